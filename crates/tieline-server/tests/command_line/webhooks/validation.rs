//! Whether a handler agrees to get events.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    ack, event,
    handler::{Handler, Reply, Seen},
};

#[test]
fn a_handler_must_agree_before_it_gets_events() {
    let asks = |seen: &Seen| seen.method == "OPTIONS";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = AtomicBool::new(true);
    let handler = Handler::on(listener, false, move |seen| {
        let first = asks(seen) && refused.swap(false, Ordering::SeqCst);
        let origins = if first {
            "other.example"
        } else {
            "a:1, 127.0.0.1:8080"
        };
        let headers = format!("WebHook-Allowed-Origin: {origins}\r\n");
        Reply::Http(200, headers, Vec::new())
    });
    let server = super::serve(&handler, &["--event-handler-system-events", "connected"]);
    let mut client = super::connect(&server);
    // Nobody waits for it, so it is tried again until the handler agrees.
    for _ in 0..2 {
        let asked = handler.next();
        assert_eq!((&*asked.method, &*asked.path), ("OPTIONS", "/eventhandler"));
        let mut headers = asked.headers.clone();
        headers.remove("host").unwrap();
        let headers: Vec<_> = headers.into_iter().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            headers,
            [
                pair("ce-awpsversion", "1.0"),
                pair("webhook-request-origin", "127.0.0.1")
            ]
        );
    }
    handler.expect("connected");
    client.send(&event("e", 1, "x"));
    assert_eq!(client.text(), ack(1));
    handler.expect("e");
    assert!(!handler.rest().iter().any(asks), "an agreement holds");
}

#[test]
fn a_handler_that_does_not_know_options_is_asked_by_get() {
    for refusal in [404, 405] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let handler = Handler::on(listener, false, move |seen| match &*seen.method {
            "OPTIONS" => Reply::status(refusal),
            _ => Reply::Http(200, "WebHook-Allowed-Origin: *\r\n".into(), Vec::new()),
        });
        let server = super::serve(&handler, &["--event-handler-system-events", "connected"]);
        let _client = super::connect(&server);
        for method in ["OPTIONS", "GET"] {
            let asked = handler.next();
            assert_eq!((&*asked.method, &*asked.path), (method, "/eventhandler"));
            assert_eq!(asked.header("webhook-request-origin"), "127.0.0.1");
        }
        handler.expect("connected");
    }
}

#[test]
fn a_get_that_is_not_an_agreement_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let handler = Handler::on(listener, false, |seen| match &*seen.method {
        "OPTIONS" => Reply::status(404),
        _ => Reply::nothing(),
    });
    let server = super::serve(&handler, &["--event-handler-system-events", "disconnected"]);
    let mut client = super::connect(&server);
    client.send(&event("e", 1, "x"));
    let why = super::failed(&client.text(), 1);
    assert!(why.contains("does not allow this server"), "{why}");
    assert!(handler.rest().iter().all(|seen| seen.method != "POST"));
}
