//! What no SDK sends, and more of it than any does.

use serde_json::{Value, json};

use super::{Nodes, Pusher, succeeded};

#[test]
fn ten_thousand_subscriptions_are_bounded_and_then_refused() {
    let nodes = Nodes::with("", "", &["--max-groups", "200"]);
    let mut client = nodes.client();
    for batch in 0..100 {
        let channels: Vec<_> = (0..100).map(|n| format!("c-{batch}-{n}")).collect();
        channels
            .iter()
            .for_each(|channel| client.ask_to_subscribe(channel));
        for channel in &channels {
            if batch < 2 {
                assert_eq!(client.next(), succeeded(channel));
            } else {
                super::is_told_twice(&mut client, channel, "LimitReached", 403);
            }
        }
    }
    client.lives();
}

#[test]
fn ten_thousand_subscriptions_are_kept_where_they_may_be() {
    let nodes = Nodes::with("", "", &["--max-groups", "10000"]);
    let mut client = nodes.client();
    for batch in 0..100 {
        let channels: Vec<_> = (0..100).map(|n| format!("c-{batch}-{n}")).collect();
        channels
            .iter()
            .for_each(|channel| client.ask_to_subscribe(channel));
        for channel in &channels {
            assert_eq!(client.next(), succeeded(channel));
        }
    }
    client.ask_to_subscribe("c-50-50");
    assert!(client.error().1.starts_with("Existing subscription"));
    client.lives();
}

#[test]
fn a_frame_of_a_megabyte_is_an_error_or_the_end_of_its_sender_alone() {
    let nodes = Nodes::with("", "", &["--max-message", "2MiB"]);
    let mut client = nodes.client();
    let long = "x".repeat(1 << 20);
    for frame in [
        long.clone(),
        json!({"event": long}).to_string(),
        json!({"event": "pusher:subscribe", "data": {"channel": long}}).to_string(),
        json!({"event": "client-x", "channel": "private-a", "data": long}).to_string(),
        format!("{}{}", "[".repeat(1 << 19), "]".repeat(1 << 19)),
        format!(
            r#"{{"event":"pusher:subscribe","data":{}1{}}}"#,
            "[".repeat(1 << 19),
            "]".repeat(1 << 19)
        ),
    ] {
        client.send(&frame);
        let (code, message) = client.error();
        assert_eq!(code, Value::Null);
        assert!(message.len() < 500, "{}", message.len());
    }
    // The data that is signed comes back in the error, which is cut.
    let asked = json!({"channel": "private-a", "auth": "k:0", "channel_data": long});
    client.send(&json!({"event": "pusher:subscribe", "data": asked}).to_string());
    let message = super::is_told_twice(&mut client, "private-a", "AuthError", 401);
    assert!(message.len() < 1000, "{}", message.len());
    client.lives();
    let nodes = Nodes::with("", "", &["--max-message", "65536"]);
    let mut short = nodes.client();
    let mut other = nodes.client();
    short.send(&long);
    assert_eq!(short.client.close_code(), 1009);
    other.lives();
}

#[test]
fn events_at_a_thousand_a_second_harm_nobody_else() {
    let nodes = Nodes::one("client_events = true");
    let mut clients: Vec<Pusher> = (0..3).map(|_| nodes.client()).collect();
    clients
        .iter_mut()
        .for_each(|client| client.subscribe("private-a"));
    let mut flooder = clients.remove(0);
    let frame = r#"{"event":"client-x","channel":"private-a","data":{}}"#;
    for _ in 0..20 {
        for _ in 0..100 {
            flooder.send(frame);
        }
        // The server answers as it goes: read, or the outbox is full.
        let mut answers = 0;
        flooder.send(r#"{"event":"pusher:ping"}"#);
        while !flooder.next().contains("pong") {
            answers += 1;
        }
        assert!(answers <= 100);
    }
    let [one, other] = &mut *clients else {
        panic!("two are left")
    };
    one.send(r#"{"event":"client-y","channel":"private-a","data":1}"#);
    while !other.next().contains("client-y") {}
}
