//! The log: its messages and fields are those of `docs/logs.md`, and no secret is in it.

mod line;
mod source;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;
use tieline_test_servers::redis::RedisSetup;

use self::line::{Documented, Form, Line, documented};
use super::{
    kit::{Client, DEADLINE, ask_to_upgrade, pace, tieline},
    tokens::{KEY, token},
    webhooks::handler::{Handler, Reply},
};

const ADMIN_TOKEN: &str = "a-token-for-operators";
const PEER_SECRET: &str = "a-secret-between-nodes";
const REGISTRY_PASSWORD: &str = "a-password-of-the-registry";
const PAYLOAD: &str = "a payload of a client";
const IN_URL: &str = "a-part-of-a-query";

/// A node whose log is read.
struct Node {
    child: Child,
    form: Form,
    lines: Receiver<String>,
    /// As they were written.
    raw: Vec<String>,
    seen: Vec<Line>,
    config: Option<TempDir>,
}

impl Node {
    fn start(form: Form, registry: &str, handler: &str, level: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tieline.toml");
        std::fs::write(&file, "").unwrap();
        let mut command = tieline(&[
            "serve",
            "--config",
            file.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--peers-listen",
            "127.0.0.1:0",
            "--peers-plaintext",
            "--lease",
            "3",
            "--log-level",
            level,
            "--event-handler",
            handler,
            "--event-handler-system-events",
            "connected",
            "--drain-window",
            "0",
            "--log-format",
            if form == Form::Json { "json" } else { "text" },
        ]);
        command
            .env("TIELINE_KEY", KEY)
            .env("TIELINE_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("TIELINE_PEER_SECRET", PEER_SECRET)
            .env("TIELINE_REGISTRY", registry);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (log, lines) = sync_channel(100_000);
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(log.send(line)));
        });
        Self {
            child,
            form,
            lines,
            raw: Vec::new(),
            seen: Vec::new(),
            config: Some(folder),
        }
    }

    /// Waits for the next line of this message.
    #[track_caller]
    fn expect(&mut self, message: &str) -> Line {
        let begin = Instant::now();
        loop {
            let left = DEADLINE.saturating_sub(begin.elapsed());
            let Ok(raw) = self.lines.recv_timeout(left) else {
                panic!("no line {message:?} in:\n{}", self.raw.join("\n"));
            };
            let line = Line::parse(self.form, &raw);
            self.raw.push(raw);
            self.seen.push(line.clone());
            if line.message == message {
                return line;
            }
        }
    }

    /// The rest of the log of a node that ends.
    fn rest(&mut self) {
        let is_over = Instant::now() + DEADLINE;
        while let Ok(raw) = self
            .lines
            .recv_timeout(is_over.saturating_duration_since(Instant::now()))
        {
            self.seen.push(Line::parse(self.form, &raw));
            self.raw.push(raw);
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    fn reload(&mut self, config: &str) {
        let file = self.config.as_ref().unwrap().path().join("tieline.toml");
        std::fs::write(file, config).unwrap();
        self.signal("HUP");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What can happen to a node, and what its log says of it.
fn run_of_everything(form: Form, level: &str) -> Vec<Node> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let redis = RedisSetup::default().password(REGISTRY_PASSWORD);
    let redis = runtime.block_on(redis.start());
    let handler = Handler::start(|_| Reply::nothing());
    let url = handler.url(&format!("/?code={IN_URL}"));
    let start = || Node::start(form, &redis.url(), &url, level);
    let mut node = start();
    node.expect("joined the registry");
    let address = node.expect("listening").fields["address"].clone();
    let mut others = [start(), start()];
    for other in &mut others {
        node.expect("peer opened a stream");
        other.expect("listening");
        other.expect("link up");
    }
    clients(&mut node, &address);

    let config = "[limits]\nmax_groups = 7\n[hub.chat]\nanonymous = \"never\"\n";
    node.reload(config);
    node.expect("configuration reloaded");
    node.expect("these changes need a restart");
    node.reload(config);
    node.expect("configuration reloaded; no option in use has changed");
    node.reload("[limits]\nmax_grups = 7\n");
    node.expect("the configuration was not reloaded, and nothing has changed");

    redis.stop();
    node.expect("the registry does not respond; continuing with cached routes");
    redis.resume();
    node.expect("joined the registry");

    let [mut drained, mut killed] = others;
    drained.signal("TERM");
    node.expect("peer shut down");
    drained.rest();
    killed.child.kill().unwrap();
    node.expect("link down");
    node.signal("TERM");
    node.rest();
    vec![node, drained, killed]
}

/// Clients that come and go, one that breaks the protocol, and one that speaks another.
fn clients(node: &mut Node, address: &str) {
    let mut stranger = TcpStream::connect(address).unwrap();
    stranger.write_all(b"\x16\x03\x01\r\n\r\n").unwrap();
    let failed = node.expect("connection failed before a request");
    assert_eq!(failed.fields["reason"], "request");
    node.expect("handshakes are failing");
    let path = format!(
        "/client/hubs/chat?code={IN_URL}&access_token={}",
        token(json!({"sub": "ada"}))
    );
    let mut client = Client::connect_to(address, &path, Client::JSON);
    let accepted = node.expect("connection accepted");
    assert_eq!(
        (&*accepted.fields["user"], &*accepted.fields["hub"]),
        ("ada", "chat")
    );
    client.send(&format!(
        r#"{{"type":"event","event":"e","ackId":1,"dataType":"text","data":"{PAYLOAD}"}}"#
    ));
    drop(client);
    let ended = node.expect("connection ended");
    assert_eq!(ended.fields["id"], accepted.fields["id"]);
    let mut faulty = Client::connect_to(address, &path, Client::JSON);
    // Not masked.
    faulty.0.write_all(&[0x81, 1, b'x']).unwrap();
    assert_eq!(faulty.close_code(), 1002);
    drop(faulty);
    let fault = node.expect("closing connections for a fault");
    assert_eq!(fault.fields["code"], "1002");
    let refused = format!(
        "/client/hubs/chat?access_token={}",
        token(json!({"exp": 1}))
    );
    ask_to_upgrade(address, &refused, "Cookie: session=a-cookie\r\n");
    let refused = node.expect("refusing connections");
    assert_eq!(
        (&*refused.fields["status"], &*refused.fields["reason"]),
        ("401", "expired")
    );
}

#[test]
fn the_documentation_describes_the_lines_of_both_forms() {
    let documented = documented();
    for form in [Form::Text, Form::Json] {
        let nodes = run_of_everything(form, "info,tieline::connections=debug");
        let lines: Vec<_> = nodes.iter().flat_map(|node| &node.seen).collect();
        for line in &lines {
            let is_described = documented
                .iter()
                .any(|documented| documented.describes(line));
            assert!(is_described, "{form:?}: not as in docs/logs.md: {line:?}");
        }
        let is_seen = |documented: &&Documented| {
            documented.section == "Problems" || lines.iter().any(|line| documented.describes(line))
        };
        let unseen: Vec<_> = documented.iter().filter(|d| !is_seen(d)).collect();
        assert!(
            unseen.is_empty(),
            "{form:?}: only in docs/logs.md: {unseen:#?}"
        );
    }
}

#[test]
fn the_documentation_has_every_message() {
    let documented: BTreeSet<_> = documented().into_iter().map(|d| d.message).collect();
    let mut messages = source::messages("tieline");
    messages.extend(source::messages("tieline-server"));
    assert!(messages.len() > 50, "{messages:#?}");
    // They are at `debug` only.
    let debug = [
        "connection accepted",
        "connection refused",
        "connection ended",
        "connection failed before a request",
    ];
    let mut expected = messages.clone();
    expected.extend(debug.map(str::to_owned));
    let missing: Vec<_> = messages.difference(&documented).collect();
    let stale: Vec<_> = documented.difference(&expected).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "not in docs/logs.md: {missing:#?}\nonly there: {stale:#?}"
    );
}

#[test]
fn no_secret_and_no_payload_is_in_any_line() {
    let nodes = run_of_everything(Form::Text, "debug,tieline=trace");
    let lines = || nodes.iter().flat_map(|node| &node.raw);
    assert!(lines().any(|line| line.contains("TRACE tieline")));
    let secrets = [
        KEY,
        ADMIN_TOKEN,
        PEER_SECRET,
        REGISTRY_PASSWORD,
        PAYLOAD,
        IN_URL,
        "eyJ",
        "a-cookie",
    ];
    for secret in secrets {
        let line = lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[test]
fn a_peer_that_drains_is_no_warning() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let redis = runtime.block_on(RedisSetup::default().start());
    let start = || Node::start(Form::Text, &redis.url(), "http://127.0.0.1:9/", "info");
    let mut node = start();
    node.expect("listening");
    let mut drained = start();
    node.expect("link up");
    // A link that was up for longer is dialed again at once.
    pace(Duration::from_millis(2_100));
    drained.signal("TERM");
    node.expect("peer shut down");
    drained.rest();
    // By the time that another one has started, it was dialed again.
    let mut other = start();
    node.expect("link up");
    node.signal("TERM");
    node.rest();
    other.signal("TERM");
    other.rest();
    for node in [node, drained, other] {
        let warnings = node.seen.iter().filter(|line| line.level == "warn");
        assert_eq!(warnings.count(), 0, "{:#?}", node.raw);
    }
}

#[test]
fn at_info_refusals_and_faults_are_sampled() {
    let (mut server, lines) = {
        let mut command = tieline(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off"]);
        command.env("TIELINE_KEY", KEY);
        let (log, lines) = sync_channel(1_000);
        let server = super::kit::Server::start(command, move |line| drop(log.send(line)));
        (server, lines)
    };
    for _ in 0..20 {
        let answer = server.refused_upgrade("/client/hubs/chat", "");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    let path = format!("/client/hubs/chat?access_token={}", token(json!({})));
    drop(Client::simple(&server.addresses[0], &path));
    // Of another status: it is not hidden by the others.
    server.refused_upgrade("/client/hubs/a%20b", "");
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0));
    let lines: Vec<_> = lines
        .iter()
        .map(|line| Line::parse(Form::Text, &line))
        .collect();
    let about: Vec<_> = lines
        .iter()
        .filter(|line| line.target == "tieline::connections")
        .collect();
    let of = |status: &str| {
        about
            .iter()
            .filter(|line| line.fields["status"] == status)
            .count()
    };
    // Two if the machine took ten seconds for this.
    assert!((1..=2).contains(&of("401")), "{about:#?}");
    assert_eq!(of("400"), 1);
    assert_eq!(
        about.len(),
        of("401") + of("400"),
        "none about who came and went: {about:#?}"
    );
}
