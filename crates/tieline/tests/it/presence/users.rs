//! Users who sign in, whatever groups they are in.

use std::time::Duration;

use tieline::{EnterOutcome, Exit, FollowingUser, PresenceError};
use tokio::time::timeout;

use super::members::node;
use crate::kit::{memory_registry, run_within};

const LIMIT: Duration = Duration::from_secs(30);

async fn next(user: &mut FollowingUser) -> bool {
    let next = timeout(Duration::from_secs(15), user.next()).await;
    next.expect("the change was not told")
        .expect("it has not ended")
}

#[test]
fn a_user_is_online_from_the_first_sign_in_to_the_last_sign_out_on_any_node() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        let mut ada = on_b.follow_user("ada").await.unwrap();
        let mut grace = on_a.follow_user("grace").await.unwrap();
        assert!(!next(&mut ada).await && !next(&mut grace).await);
        for at in [&on_a, &on_a, &on_b] {
            assert_ne!(at.sign_in("ada").await.unwrap(), EnterOutcome::Full);
        }
        assert!(next(&mut ada).await);
        on_a.sign_out("ada", Exit::Left);
        on_b.sign_out("ada", Exit::Left);
        // Once this is told, so is whatever came before it.
        on_b.sign_in("grace").await.unwrap();
        assert!(next(&mut grace).await);
        let mut later = on_a.follow_user("ada").await.unwrap();
        assert!(next(&mut later).await);
        on_a.sign_out("ada", Exit::Disconnected);
        for one in [&mut ada, &mut later] {
            assert!(!next(one).await);
            assert!(!one.is_stale());
        }
    });
}

#[test]
fn who_signs_in_is_in_no_group_of_that_name() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        on_a.sign_in("ada").await.unwrap();
        assert!(on_a.occupied().await.unwrap().is_empty());
        assert_eq!(on_a.counts("ada").await.unwrap(), 0);
        let elsewhere = on_a.namespace("chat").unwrap();
        let mut ada = elsewhere.follow_user("ada").await.unwrap();
        assert!(!next(&mut ada).await);
        let unnamed = on_a.sign_in("").await;
        assert!(matches!(unnamed, Err(PresenceError::Name(_))));
    });
}
