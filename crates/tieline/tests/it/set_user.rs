//! The user of a connection, set after the upgrade.

use std::{hint, thread};

use tieline::{Config, Connection, MAX_NAME, NameError, UserError};

use crate::kit::{Server, close_frame, dialects::dialects, eventually, run, run_threads};

fn ids(connections: &[Connection]) -> Vec<String> {
    let ids = connections.iter().map(|it| it.id().to_string());
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_user_is_found_by_every_call_from_then_on() {
    run(async {
        let server = Server::in_dialects(Config::default(), dialects().0).await;
        let mut early = server.client("id=early&user=ada&groups=g&quiet").await;
        let mut late = server.client("id=late&groups=g&quiet").await;
        let (hub, connection) = (&server.hub, server.connection("late"));
        assert_eq!(connection.user(), None);
        assert_eq!(hub.emit_user("ada", "1").await.delivered, 1);
        connection.set_user("ada").unwrap();
        assert_eq!(connection.user(), Some("ada"));
        assert_eq!(hub.emit_user("ada", "2").await.delivered, 2);
        let others = hub.except(["early"]).emit_user("ada", "3").await;
        assert_eq!(others.delivered, 1);
        let matching = hub.matching("user ada").emit_group("g", "4").await;
        assert_eq!(matching.delivered, 2);
        assert_eq!(ids(&hub.user("ada")), ["early", "late"]);
        assert_eq!(hub.user_len("ada"), 2);
        let shown = format!("{connection:?}");
        assert!(shown.contains("ada"), "{shown}");
        for text in ["1", "2", "4"] {
            assert_eq!(early.text().await, text);
        }
        for text in ["2", "3", "4"] {
            assert_eq!(late.text().await, text);
        }
        late.close(1000).await;
        eventually(|| hub.user_len("ada") == 1).await;
        early.close(1000).await;
        eventually(|| hub.counts().users == 0).await;
        assert_eq!(connection.user(), Some("ada"), "also after the end");
    });
}

#[test]
fn a_user_is_set_once() {
    run(async {
        let server = Server::start(Config::default()).await;
        let _named = server.raw("id=named&user=ada&quiet").await;
        let _late = server.raw("id=late&quiet").await;
        let (named, late) = (server.connection("named"), server.connection("late"));
        assert_eq!(named.set_user("ada"), Ok(()));
        assert_eq!(named.set_user("ben"), Err(UserError::Taken));
        for (name, why) in [
            (String::new(), NameError::Empty),
            ("\0ada".to_owned(), NameError::Nul),
            ("x".repeat(MAX_NAME + 1), NameError::TooLong(MAX_NAME + 1)),
        ] {
            assert_eq!(late.set_user(&name), Err(UserError::Name(why)));
        }
        assert_eq!(late.user(), None);
        let longest = "x".repeat(MAX_NAME);
        assert_eq!(late.set_user(&longest), Ok(()));
        assert_eq!(late.set_user(&longest), Ok(()));
        assert_eq!(late.set_user("ada"), Err(UserError::Taken));
        assert_eq!(ids(&server.hub.user("ada")), ["named"]);
        assert_eq!(ids(&server.hub.user(&longest)), ["late"]);
    });
}

#[test]
fn a_connection_that_has_ended_gets_no_user() {
    run(async {
        let server = Server::start(Config::default()).await;
        let client = server.client("id=x&quiet").await;
        let older = server.client("id=y&quiet").await;
        let (closed, replaced) = (server.connection("x"), server.connection("y"));
        let _newer = server.raw("id=y&quiet").await;
        assert_eq!(older.closed().await, Some(4409));
        closed.close(close_frame(4000));
        assert_eq!(client.closed().await, Some(4000));
        eventually(|| server.hub.len() == 1).await;
        for connection in [closed, replaced] {
            assert_eq!(connection.set_user("ada"), Err(UserError::Closed));
            assert_eq!(connection.user(), None);
        }
        assert_eq!(server.hub.user_len("ada"), 0);
        assert!(server.hub.users().is_empty());
    });
}

#[test]
fn of_two_calls_at_once_one_sets_the_user() {
    run_threads(2, async {
        let server = Server::start(Config::default()).await;
        for round in 0..200 {
            let _client = server.raw(&format!("id=c{round}&quiet")).await;
            let connection = server.connection(&format!("c{round}"));
            let names = ["ada", "ben"];
            let results = names.map(|name| {
                let connection = connection.clone();
                thread::spawn(move || connection.set_user(name))
            });
            let results = results.map(|result| result.join().unwrap());
            let set: Vec<_> = names.into_iter().zip(&results).collect();
            let set: Vec<_> = set
                .into_iter()
                .filter(|(_, result)| result.is_ok())
                .collect();
            let [(winner, _)] = set[..] else {
                panic!("{results:?}")
            };
            assert!(results.contains(&Err(UserError::Taken)), "{results:?}");
            assert_eq!(connection.user(), Some(winner));
            let found = names.map(|name| server.hub.user(name).contains(&connection));
            assert_eq!(found, names.map(|name| name == winner));
        }
        server.hub.close();
        server.empty().await;
        assert!(server.hub.users().is_empty(), "nothing is left behind");
    });
}

/// Whether the end or the call comes first, a user has a connection only while the hub has it.
#[test]
fn a_connection_that_ends_at_the_same_time_leaves_no_user_behind() {
    run_threads(2, async {
        let server = Server::start(Config::default()).await;
        let mut outcomes = [0; 2];
        for round in 0..300 {
            let client = server.raw(&format!("id=c{round}&quiet")).await;
            let connection = server.connection(&format!("c{round}"));
            let setting = thread::spawn(move || {
                // Sooner and later.
                for _ in 0..round % 50 * 400 {
                    hint::spin_loop();
                }
                connection.set_user("ada")
            });
            drop(client);
            match tokio::task::spawn_blocking(|| setting.join().unwrap())
                .await
                .unwrap()
            {
                Ok(()) => outcomes[0] += 1,
                Err(why) => {
                    assert_eq!(why, UserError::Closed);
                    outcomes[1] += 1;
                }
            }
        }
        assert_eq!(outcomes[0] + outcomes[1], 300);
        server.empty().await;
        assert!(server.hub.users().is_empty(), "{outcomes:?}");
        assert_eq!(server.hub.emit_user("ada", "x").await.delivered, 0);
    });
}

#[cfg(feature = "cluster")]
mod nodes {
    use tieline::{Cluster, Summary};

    use super::*;
    use crate::kit::{TestNode, memory_registry, test_config};

    /// Sends to a user, and returns how many were reached, and how many other nodes were asked.
    async fn reach(cluster: &Cluster, user: &str, text: &str) -> (u64, usize) {
        let Summary { reached, nodes, .. } = cluster.emit_user(user, text).await;
        let own = cluster.address();
        let others = nodes.iter().filter(|node| node.node.as_deref() != own);
        (reached.delivered, others.count())
    }

    #[test]
    fn every_node_reaches_the_user_once_it_is_synced() {
        run(async {
            let registry = memory_registry();
            let [a, b, c] = TestNode::start_linked(&registry).await;
            let mut late = a.client("id=late&quiet").await;
            assert_eq!(reach(&b.cluster, "ada", "no").await, (0, 0));
            let connection = a.node.hub().connection("late").unwrap();
            connection.set_user("ada").unwrap();
            assert!(a.cluster.synced().await);
            for node in [&a, &b, &c] {
                let (reached, _) = reach(&node.cluster, "ada", "yes").await;
                assert_eq!(reached, 1);
                assert_eq!(late.text().await, "yes");
                assert_eq!(node.cluster.user_len("ada").await.total, 1);
                let users = node.cluster.users(None, 10).await.names;
                assert!(users.iter().any(|(user, _)| &**user == "ada"), "{users:?}");
                assert_eq!(node.cluster.counts().await.total.users, 1);
            }
            // A second connection of the user elsewhere, whose end leaves the first.
            let mut second = b.client("id=second&quiet").await;
            let connection = b.node.hub().connection("second").unwrap();
            connection.set_user("ada").unwrap();
            assert!(b.cluster.synced().await);
            assert_eq!(reach(&c.cluster, "ada", "both").await, (2, 2));
            for client in [&mut late, &mut second] {
                assert_eq!(client.text().await, "both");
            }
            second.close(1000).await;
            eventually(|| b.node.hub().is_empty()).await;
            assert!(b.cluster.synced().await);
            assert_eq!(reach(&c.cluster, "ada", "one").await, (1, 1));
            late.close(1000).await;
            eventually(|| a.node.hub().is_empty()).await;
            assert!(a.cluster.synced().await);
            assert_eq!(reach(&c.cluster, "ada", "none").await, (0, 0));
        });
    }

    #[test]
    fn a_filter_of_another_node_sees_the_user_in_its_namespace() {
        run(async {
            let registry = memory_registry();
            let start = async || {
                let (config, cluster) = (Config::default(), test_config());
                TestNode::in_dialects(&registry, config, cluster, dialects().0).await
            };
            let (a, b) = (start().await, start().await);
            b.wait_for_links(1).await;
            let mut chat = a.client("ns=chat&id=x&quiet").await;
            let mut game = a.client("ns=game&id=x&quiet").await;
            for place in ["chat", "game"] {
                let hub = a.node.hub().namespace(place).unwrap();
                let user = if place == "chat" { "ada" } else { "ben" };
                hub.connection("x").unwrap().set_user(user).unwrap();
            }
            assert!(a.cluster.synced().await);
            let [in_chat, in_game] =
                ["chat", "game"].map(|name| b.cluster.namespace(name).unwrap());
            assert_eq!(reach(&in_game, "ada", "no").await.0, 0);
            assert_eq!(reach(&b.cluster, "ada", "no").await.0, 0);
            assert_eq!(reach(&in_chat, "ada", "1").await.0, 1);
            let matching = in_game.matching("user ben").broadcast("2").await;
            assert_eq!(matching.reached.delivered, 1);
            let matching = in_chat.matching("user ben").broadcast("no").await;
            assert_eq!(matching.reached.delivered, 0);
            assert_eq!(chat.text().await, "1");
            assert_eq!(game.text().await, "2");
        });
    }
}
