//! The HTTP API of Pusher Channels: what a backend asks for on one node, about clients of two.

mod events;
mod hostile;
mod questions;
pub(crate) mod request;

use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;
use tieline_test_servers::redis::Redis;

use self::request::{KEY, Request, Response, SECRET};
use super::kit::{Client, DEADLINE, Server, tieline};

/// Two apps, of which one shares the hub `chat` with Web PubSub, and one is disabled.
fn config() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = format!(
        "[[pusher.app]]\nid = \"3\"\nkey = \"{KEY}\"\nsecret = {{ file = \"secret\" }}\nhub = \"chat\"\n\
         [[pusher.app]]\nid = \"4\"\nkey = \"k4\"\nsecret = {{ file = \"secret\" }}\nenabled = false\n\
         [[pusher.app]]\nid = \"5\"\nkey = \"k5\"\nsecret = {{ file = \"secret\" }}\n"
    );
    std::fs::write(folder.path().join("secret"), SECRET).unwrap();
    std::fs::write(folder.path().join("tieline.toml"), file).unwrap();
    folder
}

fn serve(config: &TempDir, flags: &[&str]) -> Server {
    let file = config.path().join("tieline.toml");
    let fixed = ["serve", "--listen", "127.0.0.1:0", "--config"];
    let command = [&fixed[..], &[file.to_str().unwrap()], flags].concat();
    Server::start(tieline(&command), drop)
}

fn single_node() -> Server {
    serve(&config(), &[])
}

/// Two nodes of a cluster. Backends ask the first.
struct Nodes {
    here: Server,
    there: Server,
    _redis: Redis,
}

impl Nodes {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let redis = runtime.block_on(Redis::start());
        let (config, registry) = (config(), redis.url());
        let flags = ["--registry", &registry, "--peers-listen", "127.0.0.1:0"];
        let node = || serve(&config, &[&flags[..], &["--lease", "5"]].concat());
        let nodes = Self {
            here: node(),
            there: node(),
            _redis: redis,
        };
        let _linked = nodes.client_there("linked");
        eventually("the nodes know each other", || {
            let linked = Request::get("/apps/3/channels/linked", "");
            nodes.call(&linked).json().contains("true")
        });
        nodes
    }

    fn call(&self, request: &Request<'_>) -> Response {
        request.send(&self.here.addresses[0])
    }

    fn client_here(&self, channel: &str) -> Subscriber {
        Subscriber::connect(&self.here.addresses[0], channel)
    }

    fn client_there(&self, channel: &str) -> Subscriber {
        Subscriber::connect(&self.there.addresses[0], channel)
    }
}

/// A client that is subscribed to a channel.
struct Subscriber {
    socket_id: String,
    client: Client,
}

impl Subscriber {
    fn connect(address: &str, channel: &str) -> Self {
        Self::of_app(address, KEY, channel)
    }

    fn of_app(address: &str, key: &str, channel: &str) -> Self {
        let mut client = Client::simple(address, &format!("/app/{key}?protocol=7&client=test"));
        let connected: Value = serde_json::from_str(&client.text()).unwrap();
        let data: Value = serde_json::from_str(connected["data"].as_str().unwrap()).unwrap();
        client.send(&format!(
            r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#
        ));
        let subscribed = client.text();
        assert!(
            subscribed.contains("subscription_succeeded"),
            "{subscribed}"
        );
        Self {
            socket_id: data["socket_id"].as_str().unwrap().to_owned(),
            client,
        }
    }

    /// The next event, whose data is a string.
    #[track_caller]
    fn gets(&mut self, name: &str, channel: &str, data: &str) {
        let event: Value = serde_json::from_str(&self.client.text()).unwrap();
        let expected = serde_json::json!({"event": name, "channel": channel, "data": data});
        assert_eq!(event, expected);
    }
}

/// A client of Web PubSub in the hub `chat`, in a group.
fn web_pubsub(address: &str, user: &str, group: &str) -> Client {
    let path = format!("/client/hubs/chat?user={user}");
    let mut client = Client::connect_to(address, &path, Client::JSON);
    assert!(client.text().contains(r#""event":"connected""#));
    let join = format!(r#"{{"type":"joinGroup","group":"{group}","ackId":1}}"#);
    client.send(&join);
    assert_eq!(client.text(), r#"{"type":"ack","ackId":1,"success":true}"#);
    client
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < DEADLINE, "not in time: {what}");
    }
}
