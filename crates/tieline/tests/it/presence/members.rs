//! Members of groups: first in and last out, information, grace, limits, names.

use std::{sync::Arc, time::Duration};

use tieline::{
    Change, Cluster, ClusterConfig, Config, EnterOutcome, Exit, Follower, Hub, MAX_NAME, Presence,
    PresenceConfig, PresenceError,
    registry::{Cursor, MemoryRegistry, Registry},
};
use tokio::sync::mpsc;

use super::history::Observer;
use crate::kit::{free_port, memory_registry, run_within, test_config};

const LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn node(registry: &Arc<dyn Registry>) -> (Cluster, Presence) {
    node_with(registry, PresenceConfig::default()).await
}

pub(super) async fn node_with(
    registry: &Arc<dyn Registry>,
    config: PresenceConfig,
) -> (Cluster, Presence) {
    let hub = Hub::new(Config::default()).unwrap();
    let cluster = Cluster::start(hub, Arc::clone(registry), test_config())
        .await
        .unwrap();
    let presence = Presence::with_config(&cluster, config).unwrap();
    (cluster, presence)
}

async fn enter(presence: &Presence, user: &str) {
    let outcome = presence.enter("lobby", user, "").await.unwrap();
    // A busy machine may take longer than the wait.
    assert_ne!(outcome, EnterOutcome::Full);
}

#[test]
fn the_first_in_and_the_last_out_are_told_once_on_every_node() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        enter(&on_a, "joan").await;
        let mut at_a = Observer::start(on_a.follow("lobby").await.unwrap()).await;
        let mut at_b = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        // Two connections at A, one at B.
        enter(&on_a, "ada").await;
        enter(&on_a, "ada").await;
        enter(&on_b, "ada").await;
        at_b.until_heard("+ada").await;
        on_a.exit("lobby", "ada", Exit::Left);
        on_a.exit("lobby", "ada", Exit::Left);
        enter(&on_b, "grace").await;
        on_b.exit("lobby", "ada", Exit::Left);
        for observer in [&mut at_a, &mut at_b] {
            observer.until_heard("-ada").await;
            assert_eq!(observer.history.heard, ["+ada", "+grace", "-ada"]);
            assert_eq!(observer.history.names(), ["grace", "joan"]);
        }
        assert_eq!(on_a.counts("lobby").await.unwrap(), 2);
        let roster = on_b.roster("lobby").await.unwrap();
        let users: Vec<_> = roster.iter().map(|member| &*member.user).collect();
        assert_eq!(users, ["grace", "joan"]);
    });
}

#[test]
fn a_later_follower_gets_everybody_at_once() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let _first = Observer::start(on_a.follow("lobby").await.unwrap()).await;
        enter(&on_a, "ada").await;
        let mut second = Observer::start(on_a.follow("lobby").await.unwrap()).await;
        second.until_members(&["ada"]).await;
        // Whoever follows another group hears nothing of this one.
        let mut hall = Observer::start(on_a.follow("hall").await.unwrap()).await;
        enter(&on_a, "grace").await;
        second.until_members(&["ada", "grace"]).await;
        on_a.enter("hall", "joan", "").await.unwrap();
        hall.until_members(&["joan"]).await;
        assert_eq!(hall.history.heard.len() + hall.history.members.len(), 2);
    });
}

/// Passes on what it is told.
struct Called(mpsc::Sender<Change>);

impl Follower for Called {
    fn on_change(&self, change: &Change) {
        self.0.try_send(change.clone()).unwrap();
    }
}

#[test]
fn one_who_is_called_is_told_the_same_until_it_is_dropped() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let (sender, mut told) = mpsc::channel(64);
        let called = Arc::new(Called(sender));
        on_a.follow_by("lobby", &called).unwrap();
        let first = told.recv().await;
        assert!(matches!(first, Some(Change::Snapshot { members, .. }) if members.is_empty()));
        let mut stream = Observer::start(on_a.follow("lobby").await.unwrap()).await;
        enter(&on_a, "ada").await;
        stream.until_members(&["ada"]).await;
        let Some(Change::Transitions { transitions, .. }) = told.recv().await else {
            panic!("who has come is told");
        };
        assert_eq!(&*transitions[0].member.user, "ada");
        // Nobody else keeps it.
        drop(called);
        assert_eq!(told.recv().await, None);
        enter(&on_a, "grace").await;
        stream.until_members(&["ada", "grace"]).await;
    });
}

#[test]
fn information_is_that_of_the_last_connection() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        let mut observer = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        on_a.enter("lobby", "ada", "first").await.unwrap();
        observer.until_heard("+ada").await;
        on_b.enter("lobby", "ada", "second").await.unwrap();
        observer.until_heard("~ada").await;
        assert_eq!(observer.history.members["ada"], "second");
        on_a.enter("lobby", "ada", "third").await.unwrap();
        observer
            .until(|history| history.members["ada"] == "third")
            .await;
        assert_eq!(observer.history.heard, ["+ada", "~ada", "~ada"]);
    });
}

#[test]
fn a_user_who_returns_within_the_grace_has_not_gone() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let config = PresenceConfig {
            grace: Duration::from_secs(3),
            ..PresenceConfig::default()
        };
        let (_a, on_a) = node_with(&registry, config.clone()).await;
        let (_b, on_b) = node_with(&registry, config).await;
        enter(&on_a, "ada").await;
        enter(&on_a, "grace").await;
        let mut observer = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        // Ada changes nodes; Grace leaves, which needs no grace.
        on_a.exit("lobby", "ada", Exit::Disconnected);
        on_a.exit("lobby", "grace", Exit::Left);
        observer.until_heard("-grace").await;
        enter(&on_b, "ada").await;
        observer.hear_for(Duration::from_secs(4)).await;
        assert_eq!(observer.history.heard, ["-grace"]);
        on_b.exit("lobby", "ada", Exit::Disconnected);
        observer.until_heard("-ada").await;
    });
}

#[test]
fn a_full_group_takes_nobody_who_is_new() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let config = PresenceConfig {
            members: Some(1),
            enter_timeout: Duration::from_secs(20),
            ..PresenceConfig::default()
        };
        let (_a, on_a) = node_with(&registry, config.clone()).await;
        let (_b, on_b) = node_with(&registry, config).await;
        let outcome = |presence: &Presence, user: &'static str| {
            let presence = presence.clone();
            async move { presence.enter("lobby", user, "").await.unwrap() }
        };
        assert_eq!(outcome(&on_a, "ada").await, EnterOutcome::Entered);
        assert_eq!(outcome(&on_b, "grace").await, EnterOutcome::Full);
        assert_eq!(outcome(&on_b, "ada").await, EnterOutcome::Entered);
        let mut observer = Observer::start(on_a.follow("lobby").await.unwrap()).await;
        on_a.exit("lobby", "ada", Exit::Left);
        on_b.exit("lobby", "ada", Exit::Left);
        observer.until_heard("-ada").await;
        assert_eq!(outcome(&on_b, "grace").await, EnterOutcome::Entered);
    });
}

#[test]
fn a_handle_may_have_limits_of_its_own() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let config = PresenceConfig {
            grace: Duration::from_hours(1),
            members: Some(1),
            enter_timeout: Duration::from_secs(20),
        };
        let (_a, on_a) = node_with(&registry, config.clone()).await;
        let (_b, on_b) = node_with(&registry, config).await;
        enter(&on_a, "ada").await;
        let mut observer = Observer::start(on_a.follow("lobby").await.unwrap()).await;
        let for_two = on_b.with_members(Some(2)).unwrap();
        let at_once = for_two.with_grace(Duration::ZERO).unwrap();
        let outcome = at_once.enter("lobby", "grace", "").await.unwrap();
        assert_eq!(outcome, EnterOutcome::Entered);
        for presence in [&on_a, &on_b, &for_two, &at_once] {
            let outcome = presence.enter("lobby", "joan", "").await.unwrap();
            assert_eq!(outcome, EnterOutcome::Full);
        }
        // Of the two, only this one goes at once.
        on_a.exit("lobby", "ada", Exit::Disconnected);
        at_once.exit("lobby", "grace", Exit::Disconnected);
        observer.until_heard("-grace").await;
        assert_eq!(on_a.counts("lobby").await.unwrap(), 1);
        let none = on_a.with_members(Some(0)).err().unwrap();
        assert!(matches!(none, PresenceError::NoMembers), "{none:?}");
        let long = on_a.with_grace(Duration::from_hours(25)).err().unwrap();
        assert!(matches!(long, PresenceError::Time("grace")), "{long:?}");
    });
}

#[test]
fn who_says_nothing_of_a_user_leaves_what_others_have_said() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        on_a.enter("lobby", "ada", "said").await.unwrap();
        let mut observer = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        for presence in [&on_a, &on_b] {
            presence.enter("lobby", "ada", "").await.unwrap();
        }
        on_b.enter("lobby", "grace", "").await.unwrap();
        observer.until_heard("+grace").await;
        assert_eq!(observer.history.heard, ["+grace"]);
        assert_eq!(observer.history.members["ada"], "said");
    });
}

#[test]
fn nodes_without_links_between_them_agree() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        // Nobody answers where they can be reached, so no link ever comes up.
        let cut = async || {
            let hub = Hub::new(Config::default()).unwrap();
            let config = ClusterConfig {
                advertise: Some(free_port().to_string()),
                ..test_config()
            };
            let cluster = Cluster::start(hub, Arc::clone(&registry), config)
                .await
                .unwrap();
            let presence = Presence::new(&cluster).unwrap();
            (cluster, presence)
        };
        let (a, on_a) = cut().await;
        let (b, on_b) = cut().await;
        let mut observer = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        enter(&on_a, "ada").await;
        enter(&on_b, "ada").await;
        on_b.exit("lobby", "ada", Exit::Left);
        enter(&on_b, "grace").await;
        on_a.exit("lobby", "ada", Exit::Left);
        observer.until_heard("-ada").await;
        assert_eq!(observer.history.heard, ["+ada", "+grace", "-ada"]);
        for cluster in [a, b] {
            assert!(cluster.peers().iter().all(|peer| !peer.up));
        }
    });
}

#[test]
fn namespaces_share_no_groups() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (_a, presence) = node(&registry).await;
        let chat = presence.namespace("chat").unwrap();
        enter(&presence, "ada").await;
        enter(&chat, "grace").await;
        chat.occupy("hall").await.unwrap();
        let mut observer = Observer::start(chat.follow("lobby").await.unwrap()).await;
        observer.until_members(&["grace"]).await;
        let groups = async |presence: &Presence| {
            let groups = presence.occupied().await.unwrap();
            groups.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        while groups(&chat).await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(groups(&chat).await, ["hall", "lobby"]);
        assert_eq!(groups(&presence).await, ["lobby"]);
        assert_eq!(presence.counts("hall").await.unwrap(), 0);
    });
}

#[test]
fn what_cannot_be_entered_is_an_error() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (cluster, presence) = node(&registry).await;
        let long = "x".repeat(MAX_NAME + 1);
        for (group, user) in [("", "ada"), ("lobby", ""), (&long, "ada"), ("lobby", &long)] {
            let error = presence.enter(group, user, "").await.unwrap_err();
            assert!(matches!(error, PresenceError::Name(_)), "{error:?}");
        }
        let error = presence.enter("lobby", "ada", "i".repeat(2049)).await;
        assert!(matches!(error, Err(PresenceError::Info(2049))), "{error:?}");
        let config = PresenceConfig {
            grace: Duration::from_hours(25),
            ..PresenceConfig::default()
        };
        let error = Presence::with_config(&cluster, config).unwrap_err();
        assert!(error.to_string().contains("grace"), "{error}");
        presence.exit("lobby", "nobody", Exit::Left);
        presence.drain().await.unwrap();
        let error = presence.enter("lobby", "ada", "").await.unwrap_err();
        assert!(matches!(error, PresenceError::Draining), "{error:?}");
    });
}

#[test]
fn users_whose_connections_a_drain_ends_go_with_the_node() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        for user in ["ada", "grace", "joan"] {
            enter(&on_a, user).await;
        }
        let mut observer = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        observer.until_members(&["ada", "grace", "joan"]).await;
        on_a.begin_drain();
        on_a.exit("lobby", "ada", Exit::Disconnected);
        on_a.exit("lobby", "grace", Exit::Disconnected);
        // All else goes on.
        on_a.exit("lobby", "joan", Exit::Left);
        observer.until_heard("-joan").await;
        enter(&on_a, "mary").await;
        observer.until_heard("+mary").await;
        on_a.drain().await.unwrap();
        // The last ones have the time to come back.
        enter(&on_b, "ada").await;
        observer.until_members(&["ada"]).await;
        let mut heard = observer.history.heard.clone();
        heard[2..].sort_unstable();
        assert_eq!(heard, ["-joan", "+mary", "-grace", "-mary"]);
    });
}

#[test]
fn a_node_that_is_gone_keeps_its_users_for_a_lease() {
    run_within(LIMIT, async {
        let registry = memory_registry();
        let (a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        enter(&on_a, "ada").await;
        enter(&on_b, "grace").await;
        let mut observer = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        observer.until_members(&["ada", "grace"]).await;
        drop((a, on_a));
        observer.until_members(&["grace"]).await;
        assert_eq!(observer.history.heard, ["-ada"]);
    });
}

#[test]
fn a_registry_that_lost_everything_drives_nobody_out() {
    run_within(LIMIT, async {
        let memory = MemoryRegistry::new();
        let registry: Arc<dyn Registry> = Arc::new(memory.clone());
        let (_a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        enter(&on_a, "ada").await;
        enter(&on_a, "joan").await;
        enter(&on_b, "grace").await;
        let mut observer = Observer::start(on_b.follow("lobby").await.unwrap()).await;
        observer.until_members(&["ada", "grace", "joan"]).await;
        memory.restore(&MemoryRegistry::new());
        // Who goes meanwhile goes once everybody had the time to enter again.
        on_a.exit("lobby", "joan", Exit::Left);
        enter(&on_b, "mary").await;
        observer.until_heard("-joan").await;
        observer.until_heard("+mary").await;
        observer.hear_for(Duration::from_secs(3)).await;
        let mut heard = observer.history.heard.clone();
        heard.sort_unstable();
        assert_eq!(heard, ["+mary", "-joan"]);
        assert!(!observer.is_stale() && !on_b.is_stale());
        let first = on_b.page("lobby", Cursor::default()).await.unwrap();
        assert_eq!((first.members.len(), first.next), (3, None));
    });
}
