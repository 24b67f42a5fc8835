//! Webhooks of apps of Pusher Channels: what servers are posted, over nodes that come and go.

mod clients;
mod ends;
mod events;
mod faults;
mod settings;

use std::{net::TcpListener, time::Duration};

use aws_lc_rs::hmac;
use serde_json::Value;
use tempfile::TempDir;
use tieline::{
    Change, Cluster, ClusterConfig, EnterOutcome, Exit, Presence, TransitionKind, registry,
};
use tieline_test_servers::redis::Redis;
use tokio::{runtime::Runtime, time::sleep};

use super::{
    kit::{DEADLINE, Server, tieline},
    webhooks::handler::{Handler, Reply, Seen},
};

const SECRET: &str = "7ad3773142a6692b25b8";

/// How long whoever has gone has to return.
const HOLD: Duration = Duration::from_secs(3);

/// Nodes of a cluster whose app 3 has webhooks, and a node of the test that enters users.
struct Scene {
    runtime: Runtime,
    redis: Redis,
    lease: &'static str,
    folder: TempDir,
    cluster: Cluster,
    presence: Presence,
}

impl Scene {
    fn start() -> Self {
        Self::with_lease("3s")
    }

    /// The same with nodes of this lease.
    fn with_lease(lease: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let redis = runtime.block_on(Redis::start());
        let (cluster, presence) = runtime.block_on(async {
            let registry = registry::connect(&redis.url(), "tieline").await.unwrap();
            // Longer than a busy machine takes.
            let config = ClusterConfig {
                registry_timeout: Duration::from_secs(3),
                ..ClusterConfig::default()
            };
            let cluster = Cluster::connect(registry, config).await.unwrap();
            let presence = presence(&cluster).await;
            (cluster, presence)
        });
        Self {
            runtime,
            redis,
            lease,
            folder: tempfile::tempdir().unwrap(),
            cluster,
            presence,
        }
    }

    /// Another node of the test, whose users are of the app too.
    fn other_presence(&self) -> Presence {
        self.runtime.block_on(presence(&self.cluster))
    }

    /// Writes the file of a node, with these webhooks.
    fn write(&self, name: &str, webhooks: &str) -> String {
        let text = format!(
            "listen = \"127.0.0.1:0\"\n[cluster]\nregistry = \"{}\"\nlisten = \"127.0.0.1:0\"\nlease = \"{}\"\n\
             [[pusher.app]]\nid = \"3\"\nkey = \"key3\"\nsecret = {{ env = \"SECRET\" }}\n{webhooks}",
            self.redis.url(),
            self.lease
        );
        let path = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Starts a node with these webhooks, which hands on its log.
    fn node_with(
        &self,
        name: &str,
        webhooks: &str,
        log: impl FnMut(String) + Send + 'static,
    ) -> Server {
        let path = self.write(name, webhooks);
        let mut command = tieline(&["serve", "--config", &path]);
        command
            .env("SECRET", SECRET)
            .env("NODE", name)
            .env("TIELINE_LOG_LEVEL", "debug");
        Server::start(command, log)
    }

    /// Starts a node that posts everything to a receiver, with its name in a header.
    fn node(&self, name: &str, receiver: &Receiver) -> Server {
        self.node_with(
            name,
            &receiver.webhook("headers = { x-node = { env = \"NODE\" } }"),
            drop,
        )
    }

    fn enter(&self, channel: &str, user: &str) {
        let entered = self.presence.enter(channel, user, "{}");
        self.runtime.block_on(entered).unwrap();
    }

    /// The last connection of a user leaves. Returns when the cluster knows.
    fn leave(&self, channel: &str, user: &str) {
        self.runtime.block_on(async {
            let mut following = self.presence.follow(channel).await.unwrap();
            let left = async {
                // It is known to be there.
                following.next().await.unwrap();
                self.presence.exit(channel, user, Exit::Left);
                loop {
                    if let Some(Change::Transitions { transitions, .. }) = following.next().await
                        && transitions.iter().any(|one| {
                            one.kind == TransitionKind::Left && &*one.member.user == user
                        })
                    {
                        return;
                    }
                }
            };
            tokio::time::timeout(DEADLINE, left).await.unwrap();
        });
    }

    fn occupy(&self, channel: &str) {
        self.runtime
            .block_on(self.presence.occupy(channel))
            .unwrap();
    }
}

/// Presence in the hub of the app, once the registry knows of it: until then, what comes is entered in any order.
async fn presence(cluster: &Cluster) -> Presence {
    let presence = Presence::new(cluster).unwrap();
    while presence.occupy("warm-up").await.unwrap() != EnterOutcome::Entered {
        sleep(Duration::from_millis(10)).await;
    }
    presence.namespace("pusher/3").unwrap()
}

/// A server that is posted events. It takes what it is told to.
struct Receiver(Handler);

impl Receiver {
    fn start() -> Self {
        Self::answering(|_| Reply::Http(200, String::new(), Vec::new()))
    }

    fn answering(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // It sees also whether it is asked for its agreement, which webhooks of Pusher Channels do not know.
        Self(Handler::on(listener, false, reply))
    }

    fn url(&self) -> String {
        self.0.url("/hook?code=hunter2")
    }

    /// The table of a webhook, with further lines.
    fn webhook(&self, lines: &str) -> String {
        format!(
            "[[pusher.app.webhooks]]\nurl = \"{}\"\n{lines}\n",
            self.url()
        )
    }

    /// The events of the next request, which must be signed.
    fn request(&self) -> (Seen, Vec<Value>) {
        let seen = self.0.next();
        let body = check(&seen);
        let events = body["events"].as_array().unwrap().clone();
        (seen, events)
    }

    /// The next event, which must be alone in its request, in words.
    fn next(&self) -> String {
        let (_, events) = self.request();
        assert_eq!(events.len(), 1, "{events:?}");
        words(&events[0])
    }

    fn expect(&self, all: &[&str]) {
        for expected in all {
            assert_eq!(self.next(), *expected);
        }
    }

    /// The same for events of different channels.
    fn expect_in_any_order(&self, all: &[&str]) {
        let mut seen: Vec<_> = all.iter().map(|_| self.next()).collect();
        seen.sort_unstable();
        assert_eq!(seen, all);
    }

    /// What follows until this event, in words.
    fn until(&self, last: &str) -> Vec<String> {
        let mut all = Vec::new();
        while all.last().is_none_or(|event: &String| event != last) {
            all.push(self.next());
        }
        all
    }
}

/// Checks all that requests have in common, and returns the body.
fn check(seen: &Seen) -> Value {
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/hook?code=hunter2"));
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("x-pusher-key"), "key3");
    assert_eq!(seen.header("x-pusher-signature"), sign(&seen.body));
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    body
}

/// The signature of the app.
fn sign(text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, text);
    let digits = signature.as_ref().iter();
    digits.fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// An event as its name, the end of its channel's name, and its user: all that it has.
fn words(event: &Value) -> String {
    let fields = event.as_object().unwrap();
    let text = |name: &str| fields.get(name).map(|value| value.as_str().unwrap());
    let user = text("user_id").map(|user| format!(" {user}"));
    assert_eq!(fields.len(), 2 + usize::from(user.is_some()), "{event}");
    let (name, channel) = (text("name").unwrap(), text("channel").unwrap());
    format!("{name} {channel}{}", user.unwrap_or_default())
}
