//! The bounds of follows, and what they tell.

use std::time::Duration;

use tieline::{Accept, Connection, Handler, Message, Node, testing::TestClient};
use tokio::time::sleep;

use super::*;
use crate::app::hubs::{Hub, Hubs, tests::hubs};

/// Sends back what it gets.
struct Echo(Follows);

impl Handler for Echo {
    type State = ();

    async fn on_connect(&self, connection: &Connection, (): &mut ()) {
        self.0.connected(connection);
    }

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        connection.emit(message);
    }
}

/// A node whose clients are all of the user `ada`, in one hub.
struct Stage {
    follows: Follows,
    hubs: Hubs,
    /// Without it, nobody would use the hub.
    _hub: Hub,
    node: Node<Echo>,
}

impl Stage {
    fn new() -> Self {
        let hubs = hubs("");
        let follows = Follows::new(FollowSettings {
            show_payloads: true,
            label: |_, _| FrameLabel::default(),
        });
        Self {
            _hub: hubs.get(&"chat".parse().unwrap()).unwrap(),
            node: Node::in_cluster(hubs.cluster().clone(), Echo(follows.clone())),
            follows,
            hubs,
        }
    }

    async fn client(&self) -> TestClient {
        let service = self.node.service(|_| async {
            let accept = Accept::new(()).any_origin();
            Ok(accept.namespace("chat").user("ada"))
        });
        TestClient::connect(&service, "/").await
    }

    async fn part(&self, follow: &str) -> FollowPart {
        let query = FollowQuery {
            follow: follow.to_owned(),
            hub: None,
            target: FollowTarget::User("ada".to_owned()),
        };
        self.follows.part(query, &self.hubs).await
    }

    async fn events(&self, follow: &str) -> Vec<What> {
        match self.part(follow).await {
            FollowPart::Events { events, .. } => {
                events.into_iter().map(|event| event.what).collect()
            }
            FollowPart::Full { .. } => panic!("there are too many"),
        }
    }

    async fn is_full(&self, follow: &str) -> bool {
        matches!(self.part(follow).await, FollowPart::Full { most: 8 })
    }
}

#[tokio::test(start_paused = true)]
async fn a_follow_that_nobody_asks_for_is_forgotten_and_its_place_is_free() {
    let stage = Stage::new();
    for n in 0..8 {
        assert!(!stage.is_full(&n.to_string()).await);
    }
    assert!(stage.is_full("another").await);
    for _ in 0..3 {
        sleep(Duration::from_secs(5)).await;
        // This one is asked for.
        assert!(!stage.is_full("0").await);
    }
    for n in 0..7 {
        assert!(!stage.is_full(&format!("another {n}")).await);
    }
    assert!(stage.is_full("one more").await);
    sleep(Duration::from_secs(20)).await;
    assert!(!stage.follows.is_any());
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_waits_for_nothing_and_later_ones_do() {
    let stage = Stage::new();
    for (asked, wait) in [(1, 0), (2, 1)] {
        let begin = tokio::time::Instant::now();
        let FollowPart::Events {
            connections,
            events,
            ..
        } = stage.part("one").await
        else {
            panic!("there are too many");
        };
        assert_eq!((connections, events.len()), (0, 0), "asked {asked} times");
        assert_eq!(begin.elapsed().as_secs(), wait, "asked {asked} times");
    }
}

#[tokio::test]
async fn of_many_connections_of_a_user_some_are_followed_and_the_rest_is_named() {
    let stage = Stage::new();
    let mut clients = Vec::new();
    for _ in 0..15 {
        clients.push(stage.client().await);
    }
    let present = stage.events("one").await;
    assert!(present.iter().all(|what| matches!(what, What::Present(_))));
    assert_eq!(present.len(), 15);
    for is_followed in [true, false] {
        clients.push(stage.client().await);
        match &stage.events("one").await[..] {
            [What::Connected(_)] => assert!(is_followed),
            [What::NotFollowed] => assert!(!is_followed),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_nobody_asks_for_in_time_is_counted() {
    let stage = Stage::new();
    let mut client = stage.client().await;
    assert_eq!(stage.events("one").await.len(), 1);
    for n in 0..400 {
        client.send(n.to_string()).await;
        client.expect_text(&n.to_string()).await;
    }
    let (mut told, mut missed, mut texts) = (0, 0, Vec::new());
    while told + missed < 800 {
        for what in stage.events("one").await {
            match what {
                What::Missed { count } => missed += count,
                What::Sent(report) => {
                    told += 1;
                    texts.push(serde_json::to_value(report).unwrap()["text"].clone());
                }
                What::Received(_) => told += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((told, missed), (256, 544));
    // The latest are told.
    assert_eq!(texts.last().unwrap(), "399");
    assert_eq!(texts.len(), 128);
}
