//! Traces: the spans that a collector gets, and what happens without one.

mod collector;

use std::sync::mpsc::sync_channel;

use serde_json::json;

use self::collector::{Collector, Span, silent};
use super::{
    kit::{Client, DEADLINE, Server, run, tieline},
    rest::Nodes,
    webhooks::handler::{Handler, Reply},
};

/// The trace of a backend, which is recorded.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traceparent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\n")
}

fn is(name: &'static str) -> impl Fn(&Span) -> bool {
    move |span| span.trace == TRACE && span.name == name
}

fn child_of(name: &'static str, parent: &Span) -> impl Fn(&Span) -> bool {
    move |span| span.trace == TRACE && span.name == name && span.parent == parent.id
}

#[test]
fn a_request_of_a_backend_is_one_trace_from_its_caller_to_the_webhook_of_another_node() {
    let mut collector = Collector::start();
    let handler = Handler::start(|_| Reply::nothing());
    let url = handler.url("/");
    // Nothing is recorded but what a backend wants.
    let traces = [
        "--traces-endpoint",
        &collector.url,
        "--traces-sample-ratio",
        "0",
    ];
    let events = ["--event-handler", &url, "--event-handler-groups", "*"];
    let nodes = Nodes::with_flags(&traces, &events);
    let _ada = nodes.client(json!({"sub": "ada"}));
    let response = nodes.call_with("PUT", "/users/ada/groups/g", &traceparent("01"));
    assert_eq!(response.status, 200);

    let rest = collector.span("of the request", is("rest"));
    assert_eq!(rest.parent, PARENT);
    assert_eq!(rest.attribute("http.response.status_code"), "200");
    assert_eq!(rest.attribute("hub"), "chat");
    let event = collector.span("of the event", is("event"));
    assert_eq!(event.attribute("event"), "joined");
    assert_ne!(event.instance, rest.instance, "of the other node");
    let asked =
        |span: &Span| span.instance == event.instance && child_of("node_request", &rest)(span);
    let asked = collector.span("of the other node", asked);
    assert_eq!(event.parent, asked.id);
    let webhook = collector.span("of the webhook", child_of("webhook", &event));
    assert_eq!(webhook.attribute("outcome"), "success");
    let seen = std::iter::repeat_with(|| handler.next()).find(|seen| seen.event() == "joined");
    let expected = format!("00-{TRACE}-{}-01", webhook.id);
    assert_eq!(seen.unwrap().header("traceparent"), expected);

    // What the caller does not want recorded is not, and is passed on as such.
    let response = nodes.call_with("DELETE", "/users/ada/groups/g", &traceparent("00"));
    assert_eq!(response.status, 204);
    let seen = std::iter::repeat_with(|| handler.next()).find(|seen| seen.event() == "left");
    let seen = seen.unwrap();
    let passed_on = seen.header("traceparent");
    let (start, end) = (format!("00-{TRACE}-"), "-00");
    assert!(
        passed_on.starts_with(&start) && passed_on.ends_with(end),
        "{passed_on}"
    );
    // A later request whose spans arrive: those of the one before would have.
    nodes.call_with("PUT", "/users/ada/groups/h", &traceparent("01"));
    let is_second = |span: &Span| is("rest")(span) && span.id != rest.id;
    collector.span("of the last request", is_second);
    let arrived = collector.arrived();
    assert!(
        arrived.iter().all(|span| span.trace == TRACE),
        "{arrived:#?}"
    );
    let left = |span: &&Span| span.attribute("event") == "left";
    assert_eq!(arrived.iter().find(left).map(|span| &span.name), None);
}

#[test]
fn a_message_says_which_nodes_it_went_to() {
    let mut collector = Collector::start();
    let traces = [
        "--traces-endpoint",
        &collector.url,
        "--traces-sample-ratio",
        "0",
    ];
    let nodes = Nodes::with_flags(&traces, &[]);
    let ada = nodes.client(json!({"sub": "ada"}));
    let send = |path: &str| {
        let headers = traceparent("01") + "Content-Type: text/plain\r\n";
        assert_eq!(nodes.call_with("POST", path, &headers).status, 202);
    };
    send("/users/ada/:send");
    let emit = collector.span("of the message", is("emit"));
    assert_eq!(emit.attribute("to"), "user");
    assert_eq!(emit.attribute("delivered"), "1", "{emit:?}");
    assert!(emit.attribute("nodes").contains("127.0.0.1:"), "{emit:?}");
    send(&format!("/connections/{}/:send", ada.id));
    let to_one = |span: &Span| is("emit")(span) && span.attribute("to") == "connection";
    let emit = collector.span("of the second message", to_one);
    assert_eq!(emit.attribute("nodes"), "another");
}

#[test]
fn a_stranger_does_not_choose_what_is_recorded() {
    let mut collector = Collector::start();
    let handler = Handler::start(|_| Reply::nothing());
    let url = handler.url("/");
    let flags = ["serve", "--listen", "127.0.0.1:0", "--event-handler", &url];
    let traces = [
        "--traces-endpoint",
        &collector.url,
        "--traces-sample-ratio",
        "1",
    ];
    let server = Server::serve(&[&flags[..], &traces].concat());
    let _client = Client::with_headers(&server, "/client/hubs/chat", &traceparent("01"));
    let upgrade = collector.span("of the upgrade", |span| span.name == "upgrade");
    assert_ne!(upgrade.trace, TRACE);
    assert_eq!(upgrade.attribute("http.response.status_code"), "101");
    // The handler is asked within the upgrade, and learns of its trace.
    let asked = |span: &Span| span.name == "webhook" && span.parent == upgrade.id;
    let webhook = collector.span("of the question", asked);
    let seen = handler.expect("connect");
    let expected = format!("00-{}-{}-01", upgrade.trace, webhook.id);
    assert_eq!(seen.header("traceparent"), expected);
    // Nor does a backend without a valid token.
    let headers = traceparent("01") + "Authorization: Bearer x\r\n";
    let refused = server.refused_upgrade("/api/hubs/chat/groups/g/connections", &headers);
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let _other = Client::with_headers(&server, "/client/hubs/chat", "");
    let second = |span: &Span| span.name == "upgrade" && span.id != upgrade.id;
    collector.span("of a later upgrade", second);
    assert!(collector.arrived().iter().all(|span| span.trace != TRACE));
}

#[test]
fn without_a_collector_nothing_is_handed_to_webhooks() {
    let handler = Handler::start(|_| Reply::nothing());
    let url = handler.url("/");
    let server = Server::serve(&["serve", "--listen", "127.0.0.1:0", "--event-handler", &url]);
    let _client = Client::with_headers(&server, "/client/hubs/chat", &traceparent("01"));
    assert_eq!(handler.expect("connect").header("traceparent"), "");
}

#[test]
fn a_collector_that_does_not_answer_holds_up_neither_clients_nor_the_end() {
    let flags = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--traces-sample-ratio",
        "1",
    ];
    let command = tieline(&[&flags[..], &["--traces-endpoint", &silent()]].concat());
    let (log, lines) = sync_channel(10_000);
    let mut server = Server::start(command, move |line| drop(log.try_send(line)));
    for _ in 0..10 {
        Client::simple(&server.addresses[0], "/client/hubs/chat");
    }
    server.signal("TERM");
    // The deadline of the kit, which is below that of a request to the collector and its repetitions.
    assert_eq!(server.exit_code(), Some(0));
    let not_sent = || lines.recv_timeout(DEADLINE).expect("a line about it");
    let line = std::iter::repeat_with(not_sent).find(|line| line.contains("traces were not sent"));
    assert!(line.unwrap().contains("WARN"));
}

#[test]
fn a_collector_that_cannot_be_is_refused_without_its_password() {
    for url in [
        "127.0.0.1:4317",
        "ftp://collector:4317",
        "http://me:hunter2@collector:4317",
        "http://collector:4318/v1/traces",
    ] {
        let (code, stderr) = run(&["serve", "--traces-endpoint", url]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(
            stderr.contains("--traces-endpoint") && stderr.lines().count() == 1,
            "{stderr}"
        );
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
    let (code, stderr) = run(&["serve", "--traces-sample-ratio", "1.5"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("from 0 to 1"), "{stderr}");
}
