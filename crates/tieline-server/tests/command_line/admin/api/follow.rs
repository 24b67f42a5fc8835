//! One client followed live, by the API and by `tieline trace`.

mod refused;
mod slowed;

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Instant,
};

use serde_json::{Value, json};

use super::{Nodes, list, parse};
use crate::{
    admin::{Node, get},
    kit::{Client, DEADLINE, run, tieline},
    webhooks::handler::{Handler, Reply},
};

/// `tieline trace`, which prints until it is dropped or ends.
struct Trace {
    child: Child,
    lines: Receiver<String>,
}

impl Trace {
    /// Asks the first node.
    fn start(admin: &str, arguments: &[&str]) -> Self {
        let url = format!("http://{admin}");
        let command = [&["trace", "--admin", &url], arguments].concat();
        let mut child = tieline(&command).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).unwrap()
    }

    fn event(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next event of this kind; the others are passed over.
    fn event_of(&self, what: &str) -> Value {
        loop {
            let event = self.event();
            if event["what"] == what {
                return event;
            }
        }
    }

    /// Waits until both nodes tell what happens.
    fn is_following(&self) -> u64 {
        let counts = [(); 2].map(|()| self.event_of("following")["connections"].as_u64());
        counts.into_iter().map(Option::unwrap).sum()
    }

    /// The exit code, once it has ended, and what it said last.
    fn end(mut self) -> (Option<i32>, String) {
        while self.lines.recv_timeout(DEADLINE).is_ok() {}
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = sync_channel(1000);
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout).lines().map_while(Result::ok);
        stdout.try_for_each(|line| sender.send(line))
    });
    lines
}

#[test]
fn a_user_is_followed_across_nodes_without_payloads() {
    let nodes = Nodes::start(&["--admin-read-only"]);
    let trace = Trace::start(
        &nodes.first.admin,
        &["--user", "ada", "--hub", "chat", "--json"],
    );
    assert_eq!(trace.is_following(), 0);
    let other = nodes.other();
    let (_bystander, _) = nodes.client("bob");
    let (mut client, id) = nodes.client("ada");
    let connected = trace.event();
    assert_eq!(connected["what"], "connected");
    assert!(
        connected["address"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    client.send(r#"{"type":"joinGroup","group":"lobby","ackId":1}"#);
    client.text();
    client.send(
        r#"{"type":"sendToGroup","group":"lobby","ackId":2,"dataType":"text","data":"secret"}"#,
    );
    for _ in 0..2 {
        client.text();
    }
    client.send(r#"{"type":"event","event":"lost","dataType":"text","data":"secret"}"#);
    let expected = [
        json!({"what": "received", "type": "joinGroup", "group": "lobby", "ack_id": 1}),
        json!({"what": "joined", "group": "lobby"}),
        json!({"what": "sent", "type": "ack", "ack_id": 1, "success": true}),
        json!({"what": "received", "type": "sendToGroup", "group": "lobby", "ack_id": 2, "frame": "text", "bytes": 82}),
        json!({"what": "sent", "type": "message", "from": "group", "group": "lobby"}),
        json!({"what": "sent", "type": "ack", "ack_id": 2, "success": true}),
        json!({"what": "received", "type": "event", "event": "lost"}),
        // Without an ack id, the client is not told.
        json!({"what": "refused", "error": "InternalServerError"}),
    ];
    for expected in expected {
        let event = trace.event();
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(event[name], *value, "{event}");
        }
        assert_eq!((&event["hub"], &event["id"]), (&json!("chat"), &json!(id)));
        assert_eq!(
            (&event["node"], &event["user"]),
            (&json!(other), &json!("ada"))
        );
        assert!(!event.to_string().contains("secret"), "{event}");
    }
    drop(client);
    let closed = trace.event_of("closed");
    assert_eq!((&closed["code"], &closed["id"]), (&json!(1006), &json!(id)));
    // Whoever comes while somebody follows is followed too.
    let (_again, id) = nodes.client("ada");
    assert_eq!(trace.event_of("connected")["id"], json!(id));
}

#[test]
fn a_connection_is_followed_to_its_end_as_text() {
    let nodes = Nodes::start(&[]);
    let (mut client, id) = nodes.client("ada");
    let trace = Trace::start(&nodes.first.admin, &["--connection", &id]);
    let other = nodes.other();
    let begin = Instant::now();
    let mut before = Vec::new();
    let present = loop {
        let line = trace.line();
        if line.contains(" is connected as ada from 127.0.0.1:") {
            break line;
        }
        assert!(begin.elapsed() < DEADLINE, "{line}");
        before.push(line);
    };
    // What happens from here on comes after this.
    let begins = format!("  {other}  followed from now on: 1 connection");
    assert!(
        before.iter().any(|line| line.ends_with(&begins)),
        "{before:?}"
    );
    assert!(
        present.contains(&format!("  {other}  chat/{id}  ")),
        "{present}"
    );
    client.send(r#"{"type":"leaveGroup","group":"lobby","ackId":7}"#);
    client.text();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let line = trace.line();
        let what = line.split_once(&format!("chat/{id}  "));
        seen.extend(what.map(|(_, what)| what.to_owned()));
    }
    assert_eq!(seen[0], "-> leaveGroup group=lobby ack=7 47 B");
    assert_eq!(seen[1], "<- ack ack=7 ok 39 B");
    drop(client);
    loop {
        let line = trace.line();
        if line.ends_with(" (1006)") {
            break;
        }
    }
    assert_eq!(trace.end(), (Some(0), String::new()));
    let url = format!("http://{}", nodes.first.admin);
    let (code, stderr) = run(&["trace", "--connection", "nobody", "--admin", &url]);
    assert_eq!(
        (code, stderr.trim_end()),
        (Some(1), "tieline: no node has this connection")
    );
}

#[test]
fn a_name_cannot_make_a_line_look_like_another() {
    let node = Node::serve(&["--admin-listen", "127.0.0.1:0"]);
    let trace = Trace::start(&node.admin, &["--user", "e\u{202e}v\u{7}"]);
    assert!(
        trace
            .line()
            .ends_with("followed from now on: 0 connections")
    );
    let path = "/client/hubs/chat?user=e%E2%80%AEv%07";
    let mut client = Client::connect(&node.server, path, Client::JSON);
    client.text();
    let line = trace.line();
    assert!(
        line.contains(r" connected as e\u{202e}v\u{7} from "),
        "{line}"
    );
    client.send(r#"{"type":"joinGroup","group":"g\n\u001b[31mX\u202e","ackId":1}"#);
    let (sent, joined) = (trace.line(), trace.line());
    assert!(
        sent.contains(r" group=g\n\u{1b}[31mX\u{202e} ack=1 "),
        "{sent}"
    );
    assert!(
        joined.ends_with(r" joined g\n\u{1b}[31mX\u{202e}"),
        "{joined}"
    );
}

#[test]
fn payloads_and_answers_of_the_event_handler_are_told_if_the_node_allows_it() {
    let handler = Handler::start(|request| match request.event() {
        "bad" => Reply::status(500),
        _ => Reply::nothing(),
    });
    let url = handler.url("/eventhandler");
    let node = Node::serve(&[
        "--admin-listen",
        "127.0.0.1:0",
        "--admin-show-payloads",
        "--event-handler",
        &url,
    ]);
    let trace = Trace::start(&node.admin, &["--user", "ada", "--json"]);
    trace.event_of("following");
    let mut client = Client::connect(&node.server, "/client/hubs/chat?user=ada", Client::JSON);
    client.text();
    let long = "x".repeat(3000);
    for (name, data) in [("good", "short"), ("bad", &*long)] {
        client.send(&format!(
            r#"{{"type":"event","event":"{name}","ackId":{},"dataType":"text","data":"{data}"}}"#,
            data.len()
        ));
        let received = trace.event_of("received");
        assert_eq!(
            (&received["type"], &received["event"]),
            (&json!("event"), &json!(name))
        );
        let text = received["text"].as_str().unwrap();
        assert!(
            text.starts_with(r#"{"type":"event","#) && text.len() <= 1024,
            "{text}"
        );
        assert_eq!(text.contains("short"), name == "good");
        let answer = trace.event_of("handled");
        assert_eq!(
            (&answer["event"], &answer["ok"]),
            (&json!(name), &json!(name == "good"))
        );
        client.text();
    }
}

#[test]
fn follows_are_bounded_and_end_with_the_process() {
    let mut node = Node::serve(&["--admin-listen", "127.0.0.1:0"]);
    for path in [
        "/api/follow",
        "/api/follow?user=a&id=b",
        "/api/follow?user=a&hub=-",
    ] {
        let (status, answer) = parse(&get(&node.admin, path, ""));
        assert_eq!(status, 400, "{answer}");
    }
    let traces = [(); 8].map(|()| Trace::start(&node.admin, &["--user", "ada", "--json"]));
    for trace in &traces {
        assert_eq!(trace.event()["what"], "following");
    }
    let url = format!("http://{}", node.admin);
    let (code, stderr) = run(&["trace", "--user", "ada", "--admin", &url]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("answered 503: 8 follow clients by this node"),
        "{stderr}"
    );
    let [first, rest @ ..] = traces;
    drop(first);
    // Its place is free once the node notices.
    let begin = Instant::now();
    while run(&["trace", "--user", "ada", "--for", "1ms", "--admin", &url]).0 != Some(0) {
        assert!(begin.elapsed() < DEADLINE);
    }
    let begin = Instant::now();
    node.server.signal("TERM");
    assert_eq!(node.server.exit_code(), Some(0));
    // Nobody waits for those who follow.
    assert!(begin.elapsed().as_secs() < 8, "{:?}", begin.elapsed());
    for trace in rest {
        let (code, stderr) = trace.end();
        assert_eq!(code, Some(1));
        assert!(
            stderr.contains("the node that was asked has ended"),
            "{stderr}"
        );
    }
    let (code, stderr) = run(&["trace", "--user", "ada", "--admin", &url]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("--admin"), "{stderr}");
}

#[test]
fn a_node_that_stops_answering_is_named() {
    let nodes = Nodes::start(&["--lease", "5"]);
    let trace = Trace::start(&nodes.first.admin, &["--user", "ada", "--json"]);
    trace.is_following();
    let other = nodes.other();
    nodes.second.server.pause();
    let missed = trace.event_of("node_missed");
    assert_eq!(missed["node"], json!(other));
    nodes.second.server.signal("CONT");
    nodes.eventually("/api/nodes", |answer| list(answer, "missed").is_empty());
    let begin = Instant::now();
    // Told again, whether or not its follow has outlived the pause.
    loop {
        let (_client, id) = nodes.client("ada");
        match trace.lines.recv_timeout(DEADLINE) {
            Ok(line) if line.contains(&id) => return,
            Err(RecvTimeoutError::Disconnected) => panic!("it has ended"),
            _ => assert!(begin.elapsed() < DEADLINE),
        }
    }
}
