//! Many members, many changes, and followers that are slow.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tieline::{EnterOutcome, Exit, PresenceConfig};

use super::{
    history::Observer,
    members::{node, node_with},
};
use crate::kit::{memory_registry, run_within};

#[test]
fn a_roster_of_ten_thousand_is_followed_exactly() {
    run_within(Duration::from_mins(1), async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        let names: Arc<[String]> = (0..10_000).map(|number| format!("user {number}")).collect();
        for chunk in names.chunks(1000) {
            let users = chunk.iter().map(String::as_str);
            join_all(users.map(|user| on_a.enter("lobby", user, "{}"))).await;
        }
        // Members come and go while the pages are read.
        let coming = tokio::spawn({
            let (on_a, names) = (on_a.clone(), Arc::clone(&names));
            async move {
                for user in names.iter().step_by(10) {
                    on_a.exit("lobby", user, Exit::Left);
                    on_a.enter("lobby", format!("late {user}"), "{}")
                        .await
                        .unwrap();
                }
            }
        });
        let mut observer = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        coming.await.unwrap();
        let late = |history: &super::history::History| {
            let late = history
                .members
                .keys()
                .filter(|user| user.starts_with("late"));
            history.members.len() == 10_000 && late.count() == 1_000
        };
        observer.until(late).await;
        assert_eq!(on_b.roster("lobby").await.unwrap().len(), 10_000);
        assert_eq!(on_b.counts("lobby").await.unwrap(), 10_000);
    });
}

#[test]
fn a_thousand_joins_a_second_are_told_in_few_messages() {
    run_within(Duration::from_mins(1), async {
        let registry = memory_registry();
        let config = PresenceConfig {
            enter_timeout: Duration::from_secs(20),
            ..PresenceConfig::default()
        };
        let (_a, on_a) = node_with(&registry, config).await;
        let (_b, on_b) = node(&registry).await;
        let mut observer = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        let joins = (0..1000).map(|number| {
            let presence = on_a.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(number)).await;
                presence
                    .enter("lobby", format!("user {number}"), "")
                    .await
                    .unwrap()
            }
        });
        let (outcomes, ()) = tokio::join!(
            join_all(joins),
            observer.until(|history| history.members.len() == 1000)
        );
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == EnterOutcome::Entered)
        );
        assert_eq!(observer.history.heard.len(), 1000, "each once");
    });
}

#[test]
fn a_hundred_thousand_groups_of_one_are_listed() {
    run_within(Duration::from_mins(2), async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        for first in (0..100_000).step_by(2_000) {
            join_all((first..first + 2_000).map(|number| {
                let (presence, group) = (on_a.clone(), format!("group {number:05}"));
                async move { presence.enter(&group, "ada", "").await.unwrap() }
            }))
            .await;
        }
        while on_b.occupied().await.unwrap().len() < 100_000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let groups = on_b.occupied().await.unwrap();
        assert_eq!(
            (&*groups[0], &*groups[99_999]),
            ("group 00000", "group 99999")
        );
    });
}

#[test]
fn a_follower_that_falls_behind_gets_everybody_anew() {
    run_within(Duration::from_mins(1), async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let slow = on_a.follow("lobby").await.unwrap();
        let mut quick = Observer::start(on_a.follow("lobby").await.unwrap()).await;
        // More changes than wait for one follower, each told by itself.
        for number in 0..300 {
            let user = format!("user {number:03}");
            on_a.enter("lobby", &*user, "").await.unwrap();
            quick.until_heard(&format!("+{user}")).await;
        }
        let mut slow = Observer::start(slow).await;
        slow.until(|history| history.members.len() == 300).await;
        assert!(slow.history.heard.len() < 300);
        on_a.enter("lobby", "ada", "").await.unwrap();
        slow.until_heard("+ada").await;
    });
}
