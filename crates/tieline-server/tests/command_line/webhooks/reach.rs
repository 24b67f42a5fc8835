//! A client is reported when every node reaches it.

use std::sync::mpsc::sync_channel;

use tieline_test_servers::{free_port, redis::Redis};

use super::handler::{Handler, Reply};
use crate::kit::{Client, Server};

#[test]
fn whoever_hears_of_a_client_reaches_it_from_another_node() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let redis = runtime.block_on(Redis::start());
    let (report, reported) = sync_channel(1_000);
    let handler = Handler::start(move |seen| {
        let user = seen.header("ce-userid").to_owned();
        match seen.event() {
            "connect" => {
                let groups = format!(r#"{{"groups":["only-{user}"]}}"#);
                return Reply::of("application/json", &groups);
            }
            "connected" => report.send(user).unwrap(),
            _ => {}
        }
        Reply::nothing()
    });
    let url = handler.url("/eh");
    let node = || {
        let peers = format!("127.0.0.1:{}", free_port());
        let registry = redis.url();
        Server::serve(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--registry",
            &registry,
            "--peers-listen",
            &peers,
            "--event-handler",
            &url,
        ])
    };
    let (here, there) = (node(), node());
    let mut sender = Client::connect(&there, "/client/hubs/chat?user=sender", Client::JSON);
    assert_eq!(reported.recv().unwrap(), "sender");
    sender.text();
    for n in 0..200 {
        let path = format!("/client/hubs/chat?user=u{n}");
        let mut client = Client::connect(&here, &path, Client::JSON);
        let user = reported.recv().unwrap();
        assert_eq!(user, format!("u{n}"));
        sender.send(&format!(
            r#"{{"type":"sendToGroup","group":"only-{user}","data":{n}}}"#
        ));
        assert!(client.text().contains(r#""event":"connected""#));
        assert!(client.text().contains(r#""from":"group""#));
    }
}
