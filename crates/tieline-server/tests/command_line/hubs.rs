//! Many hubs in one process: names in different hubs never meet.

use tieline_test_servers::{free_port, redis::Redis};

use super::kit::{Client, Server};

/// Two nodes of a cluster.
fn two_nodes() -> (Redis, [Server; 2]) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let redis = runtime.block_on(Redis::start());
    let registry = redis.url();
    let node = || {
        let peers = format!("127.0.0.1:{}", free_port());
        let flags = ["--registry", &registry, "--peers-listen", &peers];
        Server::serve(&[&["serve", "--listen", "127.0.0.1:0"], &flags[..]].concat())
    };
    let nodes = [node(), node()];
    (redis, nodes)
}

/// A client named ada of a hub, in the group `lobby`.
fn ada(node: &Server, hub: &str) -> Client {
    let path = format!("/client/hubs/{hub}?user=ada");
    let mut client = Client::connect(node, &path, Client::JSON);
    assert!(client.text().contains(r#""userId":"ada""#));
    client.send(r#"{"type":"joinGroup","group":"lobby","ackId":1}"#);
    assert_eq!(client.text(), r#"{"type":"ack","ackId":1,"success":true}"#);
    client
}

#[test]
fn the_same_names_in_two_hubs_never_meet() {
    let (_redis, [here, there]) = two_nodes();
    let mut chat = [ada(&here, "chat"), ada(&there, "Chat")];
    let mut news = [ada(&here, "news"), ada(&there, "news")];
    for round in 0..20 {
        for (clients, hub) in [(&mut chat, "chat"), (&mut news, "news")] {
            let data = format!(r#""data":"{hub} {round}""#);
            let send = format!(r#"{{"type":"sendToGroup","group":"lobby",{data}}}"#);
            clients[round % 2].send(&send);
            // What comes from the other hub would come in between.
            for client in clients.iter_mut() {
                let got = client.text();
                assert!(got.contains(&data), "{got}");
            }
        }
    }
    // To leave a group of one hub is not to leave that of another.
    chat[0].send(r#"{"type":"leaveGroup","group":"lobby","ackId":100}"#);
    assert!(chat[0].text().contains(r#""ackId":100,"success":true"#));
    news[1].send(r#"{"type":"sendToGroup","group":"lobby","data":"still","noEcho":true}"#);
    assert!(news[0].text().contains("still"));
}

#[test]
fn a_hub_is_named_in_the_path_or_in_the_query() {
    let server = Server::serve(&["serve", "--listen", "127.0.0.1:0"]);
    for path in [
        "/client/hubs/news",
        "/client/?hub=NEWS",
        "/client?hub=n%65ws",
    ] {
        let mut client = Client::connect(&server, path, Client::JSON);
        client.text();
        client.send(r#"{"type":"joinGroup","group":"g","ackId":1}"#);
        assert!(client.text().contains(r#""success":true"#), "{path}");
    }
    let invalid = "a hub name starts with a letter";
    for (path, why) in [
        ("/client/hubs/1news", invalid),
        ("/client/hubs/a%2Fb", invalid),
        ("/client/hubs/a%00", invalid),
        ("/client/hubs/a%ff", "not UTF-8"),
        ("/client/?hub=", invalid),
        ("/client/", "no hub in the path or the query"),
        ("/client/?hub=a&hub=b", "several hubs"),
    ] {
        let refused = server.refused_upgrade(path, "");
        assert!(refused.starts_with("HTTP/1.1 400"), "{path}: {refused}");
        let (_, text) = refused.split_once("\r\n\r\n").unwrap();
        assert!(
            text.contains(why) && text.ends_with('\n'),
            "{path}: {refused}"
        );
    }
}

#[test]
fn only_listed_hubs_exist_if_the_configuration_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    let text = "listen = \"127.0.0.1:0\"\nonly_listed_hubs = true\n[hub.chat]\n";
    std::fs::write(&file, text).unwrap();
    let server = Server::serve(&["serve", "--config", file.to_str().unwrap()]);
    Client::connect(&server, "/client/hubs/Chat", Client::JSON).text();
    let refused = server.refused_upgrade("/client/hubs/news", "");
    assert!(refused.starts_with("HTTP/1.1 404"), "{refused}");
    assert!(refused.contains("there is no hub \"news\""), "{refused}");
}

#[test]
fn each_hub_decides_who_may_connect() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    let text = "listen = \"127.0.0.1:0\"\n[hub.chat]\norigins = [\"https://chat.example\"]\n\
                anonymous_roles = [\"webpubsub.joinLeaveGroup\"]\n[hub.news]\nanonymous = \"never\"\n";
    std::fs::write(&file, text).unwrap();
    let server = Server::serve(&["serve", "--config", file.to_str().unwrap()]);
    let status = |hub: &str, origin: &str| {
        let path = format!("/client/hubs/{hub}");
        let headers = format!("Origin: https://{origin}.example\r\n");
        let (_, head) = super::kit::ask_to_upgrade(&server.addresses[0], &path, &headers);
        head.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status("chat", "chat"), "101");
    assert_eq!(status("chat", "news"), "403");
    assert_eq!(status("games", "chat"), "403");
    assert!(
        server
            .refused_upgrade("/client/hubs/news", "")
            .starts_with("HTTP/1.1 403")
    );
    for (hub, may_send) in [("chat", false), ("games", true)] {
        let path = format!("/client/hubs/{hub}");
        let mut client = Client::connect(&server, &path, Client::JSON);
        client.text();
        client.send(r#"{"type":"sendToGroup","group":"g","data":1,"ackId":1}"#);
        let ack = client.text();
        assert!(ack.contains(&format!(r#""success":{may_send}"#)), "{ack}");
    }
}
