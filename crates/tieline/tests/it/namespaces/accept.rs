//! How a client gets into a namespace.

use tieline::{CloseReason, Config, Duplicate};
#[cfg(feature = "testing")]
use tieline::{Delivery, testing::TestClient};

use crate::kit::{Server, eventually, run};

#[test]
fn the_names_of_an_accept_are_checked() {
    run(async {
        let server = Server::start(Config::default()).await;
        let long = format!("ns={}", "x".repeat(256));
        let refused = [
            ("ns=a%00b", "namespace: "),
            (&*long, "namespace: "),
            ("ns=chat&user=%00ada", "user: "),
            ("ns=chat&user=", "user: "),
            ("user=%00chat%00ada", "user: "),
            ("groups=%00chat%00g", "group: "),
            ("ns=chat&groups=%00g", "group: "),
        ];
        for (query, why) in refused {
            let answer = server.ask(query, "").await;
            assert_eq!(answer.status, 400, "{query}");
            assert!(answer.body.starts_with(why), "{answer:?}");
        }
        // 255 bytes, and a name that has a NUL elsewhere.
        let longest = "x".repeat(255);
        let _ada = server
            .client(&format!("ns={longest}&id=a%00da&user=u"))
            .await;
        let hub = server.hub.namespace(&longest).unwrap();
        assert_eq!(hub.connection("a\0da").unwrap().id().as_str(), "a\0da");
        assert!(hub.namespace("a\0b").is_err());
    });
}

#[cfg(feature = "testing")]
#[test]
fn a_client_in_memory_is_accepted_in_a_namespace() {
    run(async {
        let server = Server::start(Config::default()).await;
        let probe = server.node.handler().clone();
        let service = server.node.service(move |request| {
            let decided = probe.clone().authorize(request);
            async { Ok(decided.await?.namespace("chat")) }
        });
        let mut ada = TestClient::connect(&service, "/?id=ada").await;
        let chat = server.hub.namespace("chat").unwrap();
        assert_eq!(chat.emit("ada", "hello").await, Delivery::Delivered);
        ada.expect_text("hello").await;
        assert!(!server.hub.online("ada"));
    });
}

#[test]
fn ids_are_unique_in_their_namespace() {
    run(async {
        let server = Server::start(Config::default()).await;
        let first = server.client("id=ada&ns=chat").await;
        let _game = server.client("id=ada&ns=game").await;
        let _default = server.client("id=ada").await;
        let chat = server.hub.namespace("chat").unwrap();
        let older = chat.connection("ada").unwrap();
        let _second = server.client("id=ada&ns=chat").await;
        assert_eq!(first.closed().await, Some(4409));
        assert_eq!(older.closed().await, CloseReason::Replaced);
        assert_ne!(chat.connection("ada").unwrap(), older);
        eventually(|| server.hub.stats().connections == 3).await;
        let config = Config {
            duplicate: Duplicate::Reject,
            ..Config::default()
        };
        let server = Server::start(config).await;
        let _ada = server.client("id=ada&ns=chat").await;
        assert_eq!(server.ask("id=ada&ns=chat", "").await.status, 409);
        let _elsewhere = server.client("id=ada&ns=game").await;
        let _default = server.client("id=ada").await;
    });
}

#[test]
fn callbacks_see_names_and_the_namespace_of_their_client() {
    run(async {
        let server = Server::start(Config::default()).await;
        let (mut ada, mut bob) = (
            server.client("ns=chat&id=ada&groups=mix").await,
            server.client("id=bob&groups=mix").await,
        );
        // By `connection.hub()`: everyone, the group, the id.
        ada.send("!mix:5").await;
        for n in 0..5 {
            assert_eq!(ada.text().await, n.to_string());
        }
        ada.send("!join:hall").await;
        ada.send("!leave:mix").await;
        ada.send("done").await;
        assert_eq!(ada.text().await, "done");
        let chat = server.hub.namespace("chat").unwrap();
        let handle = chat.connection("ada").unwrap();
        assert_eq!(handle.groups().join(","), "hall");
        assert_eq!((handle.namespace(), handle.hub().len()), ("chat", 1));
        ada.close(1000).await;
        assert!(matches!(
            server.log.end_of("ada").await,
            CloseReason::Client(_)
        ));
        assert_eq!(handle.groups().join(","), "hall", "at the end");
        bob.send("nothing came before this").await;
        assert_eq!(bob.text().await, "nothing came before this");
    });
}
