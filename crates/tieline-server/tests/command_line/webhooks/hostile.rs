//! Handlers that are slow, broken or hostile.

use std::{
    collections::BTreeMap,
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::json;

use super::{
    ack, event, failed,
    handler::{Handler, Reply, Seen},
    server_message,
};
use crate::{
    kit::{Client, Server, tieline},
    tokens,
};

/// A handler that behaves badly for as many tries of an event as its data says, and then answers with it.
fn until_it_works(badly: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Handler {
    let tries = Mutex::new(BTreeMap::<String, u32>::new());
    Handler::start(move |seen| {
        let Ok(failures) = seen.text().parse::<u32>() else {
            return Reply::nothing();
        };
        let mut tries = tries.lock();
        let event = [seen.header("ce-connectionid"), seen.header("ce-id")].concat();
        let tries = tries.entry(event).or_default();
        *tries += 1;
        if *tries <= failures {
            badly(seen)
        } else {
            Reply::of("text/plain", seen.event())
        }
    })
}

#[test]
fn what_may_succeed_later_is_repeated_and_the_order_is_kept() {
    let handler = until_it_works(|seen| match seen.event() {
        "reset" => Reply::Close,
        "garbage" => Reply::Raw(b"\xff\xfe\r\n\r\n\0garbage".to_vec()),
        "half" => Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal".to_vec()),
        status => Reply::status(status.parse().unwrap()),
    });
    let server = super::serve(&handler, &[]);
    let mut clients = Vec::new();
    // Each needs a second. The one behind it waits for it.
    for name in ["reset", "garbage", "half", "408", "500", "503"] {
        let mut client = super::connect(&server);
        client.send(&event(name, 1, "1"));
        client.send(&event("after", 2, "0"));
        clients.push((name, client));
    }
    for (name, mut client) in clients {
        assert_eq!(client.text(), server_message(name));
        assert_eq!(client.text(), ack(1));
        assert_eq!(client.text(), server_message("after"));
        assert_eq!(client.text(), ack(2));
    }
    let seen = handler.rest();
    let of = |id: &str| {
        let same = |seen: &&Seen| seen.header("ce-connectionid") == id;
        let ids = seen.iter().filter(same).map(|seen| seen.header("ce-id"));
        ids.collect::<Vec<_>>()
    };
    for seen in seen.iter().filter(|seen| seen.event() == "connected") {
        let ids = of(seen.header("ce-connectionid"));
        // The end may have come since.
        assert_eq!(
            ids[..5],
            ["0", "1", "2", "2", "3"],
            "a repeated event keeps its id"
        );
    }
}

#[test]
fn retries_end() {
    let handler = until_it_works(|_| Reply::status(500));
    let server = super::serve(&handler, &[]);
    let mut client = super::connect(&server);
    let begin = Instant::now();
    client.send(&event("e", 1, "9"));
    let why = failed(&client.text(), 1);
    assert!(why.contains("500"), "{why}");
    assert!(begin.elapsed() >= Duration::from_secs(1 + 3 + 5));
    let tries = handler.rest();
    let tries = tries.iter().filter(|seen| seen.event() == "e");
    assert_eq!(tries.count(), 4);
}

#[test]
fn a_handler_that_never_ends_gets_its_time_and_no_more() {
    for reply in [
        (|| Reply::Hang) as fn() -> Reply,
        || Reply::Endless(b"HTTP/1.1 200 OK\r\nX: ".to_vec()),
        || Reply::Endless(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
    ] {
        let handler = Handler::start(move |seen| match seen.event() {
            "slow" => reply(),
            _ => Reply::nothing(),
        });
        let server = super::serve(&handler, &["--event-handler-timeout", "1"]);
        let mut client = super::connect(&server);
        client.send(&event("slow", 1, ""));
        client.send(&event("quick", 2, ""));
        failed(&client.text(), 1);
        assert_eq!(client.text(), ack(2));
    }
}

#[test]
fn an_endless_body_is_too_long() {
    let handler = Handler::start(|seen| match seen.event() {
        "endless" => {
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
            // What follows the first chunk is no head, but that is never read.
            let chunk = [b"100000\r\n", &vec![b'a'; 1 << 20][..], b"\r\n"].concat();
            Reply::Raw([&head[..], &chunk.repeat(20)].concat())
        }
        _ => Reply::nothing(),
    });
    let server = super::serve(&handler, &[]);
    let mut client = super::connect(&server);
    client.send(&event("endless", 1, ""));
    let why = failed(&client.text(), 1);
    assert!(why.contains("too much data"), "{why}");
}

#[test]
fn a_redirect_is_not_followed() {
    let target = Handler::start(|_| Reply::nothing());
    let location = format!("Location: {}\r\n", target.url("/"));
    let handler = Handler::start(move |seen| match seen.event() {
        "e" => Reply::Http(307, location.clone(), Vec::new()),
        _ => Reply::nothing(),
    });
    let server = super::serve(&handler, &[]);
    let mut client = super::connect(&server);
    client.send(&event("e", 1, ""));
    assert!(failed(&client.text(), 1).contains("307"));
    assert_eq!(target.rest().len(), 0);
}

#[test]
fn a_client_that_connects_waits_no_longer_than_it_must() {
    let handler = Handler::start(|_| Reply::Hang);
    let server = super::serve(&handler, &["--event-handler-connect-timeout", "1"]);
    let path = "/client/hubs/chat";
    let (_, head) = crate::kit::ask_to_upgrade(&server.addresses[0], path, "");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
}

#[test]
fn the_log_has_no_secrets() {
    let handler = Handler::start(|seen| match seen.event() {
        "e" => Reply::status(500),
        "connect" => Reply::nothing(),
        _ => Reply::Close,
    });
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "hunter2").unwrap();
    let (log, lines) = sync_channel(100_000);
    let url = handler.url("/eh?code=hunter2");
    let mut command = tieline(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--event-handler",
        &url,
        "--event-handler-timeout",
        "1",
        "--event-handler-bearer-file",
        token.path().to_str().unwrap(),
    ]);
    command.env("TIELINE_KEY", tokens::KEY);
    let server = Server::start(command, move |line| drop(log.send(line)));
    let own = tokens::token(json!({"sub": "ada"}));
    let path = format!("/client/hubs/chat?access_token={own}");
    let mut client = Client::connect(&server, &path, Client::JSON);
    client.text();
    client.send(&event("e", 1, "hunter2"));
    failed(&client.text(), 1);
    drop((client, server));
    let lines: Vec<_> = lines.iter().collect();
    let text = lines.join("\n");
    assert!(
        text.contains("gave up an event") && text.contains("/eh"),
        "{text}"
    );
    let secrets = ["hunter2", "stack trace", tokens::KEY, &*own];
    assert!(
        secrets.iter().all(|secret| !text.contains(secret)),
        "{text}"
    );
}

/// In real time, with the default timeout.
#[test]
#[ignore = "takes 100 s; run by ./test.sh slow"]
#[allow(
    clippy::disallowed_methods,
    reason = "the handler is slow in real time, on a thread of its own, and pings are paced"
)]
fn a_handler_that_is_silent_for_130_s_is_given_100_and_holds_up_nothing_else() {
    let handler = Handler::start(|seen| {
        if seen.event() == "slow" {
            std::thread::sleep(Duration::from_secs(130));
        }
        Reply::nothing()
    });
    let server = super::serve(&handler, &[]);
    let mut client = super::connect(&server);
    let begin = Instant::now();
    client.send(&event("slow", 1, "x"));
    client.send(&event("after", 2, "x"));
    let ended = loop {
        client.send(r#"{"type":"ping"}"#);
        match client.text() {
            pong if pong == r#"{"type":"pong"}"# => std::thread::sleep(Duration::from_millis(100)),
            ack => break ack,
        }
    };
    let waited = begin.elapsed().as_secs();
    assert!((100..115).contains(&waited), "{waited} s");
    assert_eq!(
        failed(&ended, 1),
        "the event handler did not answer in time"
    );
    // The next one waited for it, and has its own time.
    while client.text() != ack(2) {
        assert!(begin.elapsed().as_secs() < 125);
    }
    let seen = handler.rest().into_iter();
    let seen: Vec<_> = seen.map(|seen| seen.event().to_owned()).collect();
    assert_eq!(seen, ["connect", "connected", "slow", "after"]);
}
