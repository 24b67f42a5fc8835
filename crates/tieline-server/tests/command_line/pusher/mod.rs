//! The protocol of Pusher Channels, byte by byte.

mod across;
mod backends;
mod cached;
mod channels;
mod counts;
mod documentation;
mod door;
mod drain;
mod events;
mod frames;
mod hostile;
mod members_across;
mod metrics;
mod presence;
mod sign_in;
mod slow_nodes;

use std::{fmt::Write as _, fs::Permissions, os::unix::fs::PermissionsExt};

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;
use tieline_test_servers::redis::Redis;

use super::{
    kit::{Client, Server, ask_to_upgrade, tieline},
    rest,
};

/// The app of the examples of the documentation of Pusher Channels.
pub(crate) const KEY: &str = "278d425bdf160c739803";
const SECRET: &str = "7ad3773142a6692b25b8";

/// Nodes with one app, and what lasts as long as they do.
struct Nodes {
    servers: Vec<Server>,
    /// The configuration.
    file: String,
    _folder: TempDir,
    redis: Option<Redis>,
}

impl Nodes {
    /// One node, with further lines of the app's table.
    fn one(app: &str) -> Self {
        Self::with(app, "", &[])
    }

    /// One node, with further lines for the node, and flags.
    fn with(app: &str, node: &str, flags: &[&str]) -> Self {
        let (folder, file) = configuration(app, node);
        let server = Server::serve(&[&["serve", "--config", &file], flags].concat());
        Self {
            servers: vec![server],
            file,
            _folder: folder,
            redis: None,
        }
    }

    /// Two nodes of a cluster.
    fn two(app: &str) -> Self {
        Self::many(app, 2)
    }

    fn many(app: &str, count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let redis = runtime.block_on(Redis::start());
        let (folder, file) = configuration(app, "");
        let registry = redis.url();
        let flags = ["serve", "--config", &file, "--registry", &registry];
        let flags = [&flags[..], &["--peers-listen", "127.0.0.1:0"]].concat();
        let node = || Server::start(tieline(&flags), drop);
        Self {
            servers: (0..count).map(|_| node()).collect(),
            file: file.clone(),
            _folder: folder,
            redis: Some(redis),
        }
    }

    /// The first node and the last: the same one if there is one only.
    fn ends(&self) -> [&str; 2] {
        let last = self.servers.len() - 1;
        [
            &self.servers[0].addresses[0],
            &self.servers[last].addresses[0],
        ]
    }

    fn address(&self) -> &str {
        &self.servers[0].addresses[0]
    }

    fn client(&self) -> Pusher {
        Pusher::connect(self.address())
    }
}

/// Two nodes whose app shares a hub with Web PubSub.
struct Shared {
    nodes: rest::Nodes,
    _folder: TempDir,
}

/// Backends ask the first node, and clients are on the second.
fn shared() -> Shared {
    shared_with("client_events = true", "")
}

/// The same with further lines of the app's table, and for the nodes.
fn shared_with(app: &str, node: &str) -> Shared {
    let (folder, file) = configuration(&format!("hub = \"chat\"\n{app}"), node);
    Shared {
        nodes: rest::Nodes::with_flags(&["--config", &file], &[]),
        _folder: folder,
    }
}

impl Shared {
    fn pusher(&self) -> Pusher {
        Pusher::connect(self.nodes.second_address())
    }
}

/// The file of a node with one app, with further lines of the app's table and for the node.
pub(crate) fn configuration(app: &str, node: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, secret) = (place("t.toml"), place("secret"));
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "listen = \"127.0.0.1:0\"\n{node}\n[[pusher.app]]\nid = \"3\"\nkey = \"{KEY}\"\n\
         secret = {{ file = \"{secret}\" }}\n{app}\n"
    );
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

fn path() -> String {
    format!("/app/{KEY}?protocol=7&client=js&version=8.6.0&flash=false")
}

/// A client.
struct Pusher {
    client: Client,
    socket_id: String,
}

impl Pusher {
    fn connect(address: &str) -> Self {
        Self::connect_by(address, &path(), "")
    }

    /// Connects, and checks the first frame.
    #[track_caller]
    fn connect_by(address: &str, path: &str, headers: &str) -> Self {
        let (socket, head) = ask_to_upgrade(address, path, headers);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self::over(Client(socket))
    }

    #[track_caller]
    fn over(mut client: Client) -> Self {
        let first = client.text();
        let begin = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\""#;
        let rest = first
            .strip_prefix(begin)
            .unwrap_or_else(|| panic!("{first}"));
        let (socket_id, end) = rest.split_once('\\').unwrap();
        assert_eq!(end, r#"",\"activity_timeout\":120}"}"#);
        let socket_id = socket_id.to_owned();
        Self { client, socket_id }
    }

    fn send(&mut self, frame: &str) {
        self.client.send(frame);
    }

    #[track_caller]
    fn next(&mut self) -> String {
        self.client.text()
    }

    /// The next frame, which is about an error; returns its code and its message.
    #[track_caller]
    fn error(&mut self) -> (Value, String) {
        let text = self.next();
        let mut frame: Value = serde_json::from_str(&text).unwrap();
        let object = frame.as_object().unwrap();
        let has = object.keys().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(
            (has, &frame["event"]),
            (vec!["data", "event"], &json!("pusher:error")),
            "{text}"
        );
        let message = frame["data"]["message"].as_str().expect(&text).to_owned();
        let code = frame["data"]["code"].take();
        (code, message)
    }

    /// Nothing has come but this: the connection lives.
    #[track_caller]
    fn lives(&mut self) {
        self.send(r#"{"event":"pusher:ping","data":{}}"#);
        assert_eq!(self.next(), r#"{"event":"pusher:pong","data":"{}"}"#);
    }

    /// The auth of a subscription.
    fn auth(&self, channel: &str, data: Option<&str>) -> String {
        let data = data.map(|data| format!(":{data}")).unwrap_or_default();
        let signed = format!("{}:{channel}{data}", self.socket_id);
        format!("{KEY}:{}", signature(&signed))
    }

    /// Asks to subscribe, signed if the channel needs that.
    fn ask_to_subscribe(&mut self, channel: &str) {
        let mut data = json!({"channel": channel});
        if channel.starts_with("private-") {
            data["auth"] = self.auth(channel, None).into();
        }
        self.send(&json!({"event": "pusher:subscribe", "data": data}).to_string());
    }

    #[track_caller]
    fn subscribe(&mut self, channel: &str) {
        self.ask_to_subscribe(channel);
        assert_eq!(self.next(), succeeded(channel));
    }
}

/// The answer to a subscription.
fn succeeded(channel: &str) -> String {
    format!(
        r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{channel}","data":"{{}}"}}"#
    )
}

fn signature(text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, text.as_bytes());
    tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// The error that the client and then its application are told.
#[track_caller]
fn is_told_twice(client: &mut Pusher, channel: &str, kind: &str, status: u16) -> String {
    let (code, message) = client.error();
    assert_eq!(code, Value::Null);
    let told: Value = serde_json::from_str(&client.next()).unwrap();
    assert_eq!(told["event"], "pusher:subscription_error");
    assert_eq!(told["channel"], *channel);
    let data: Value = serde_json::from_str(told["data"].as_str().unwrap()).unwrap();
    assert_eq!(
        data,
        json!({"type": kind, "error": message, "status": status})
    );
    message
}
