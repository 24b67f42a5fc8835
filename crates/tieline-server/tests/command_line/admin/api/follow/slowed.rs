//! A client that a limit slows down, as operators see it.

use serde_json::{Value, json};

use super::{Nodes, Trace};

/// How a client that sends this many messages at once is slowed down: all but the first wait for a tenth of a second.
const MESSAGES: u64 = 30;

fn slowed(answer: &Value) -> &Value {
    &answer["slowed_down"]
}

#[test]
fn a_client_is_shown_as_slowed_down_while_it_is_and_not_once_it_has_calmed_down() {
    let nodes = Nodes::start(&["--max-message-rate", "10", "--rate-burst", "100ms"]);
    let (mut calm, calm_id) = nodes.client("ada");
    let (mut client, id) = nodes.client("ada");
    let trace = Trace::start(&nodes.first.admin, &["--connection", &id, "--json"]);
    assert_eq!(trace.is_following(), 1);
    let path = format!("/api/connections/chat/{id}");
    assert_eq!(*slowed(&nodes.ask(&path)), Value::Null);

    for number in 0..MESSAGES {
        client.send(&format!(
            r#"{{"type":"leaveGroup","group":"g","ackId":{number}}}"#
        ));
    }
    let told = trace.event_of("slowed_down");
    assert_eq!(
        (&told["scope"], &told["limit"]),
        (&json!("client"), &json!("messages"))
    );
    let answer = nodes.eventually(&path, |answer| slowed(answer)["now"] == true);
    assert_eq!(slowed(&answer)["limit"], "messages");
    let found = nodes.ask(&format!("/api/connections?id={id}"));
    assert!(
        slowed(&found["connections"][0])["times"].as_u64() >= Some(1),
        "{found}"
    );
    // Who shares no limit with it is not slowed down.
    calm.send(r#"{"type":"leaveGroup","group":"g","ackId":1}"#);
    calm.text();
    let other = nodes.ask(&format!("/api/connections/chat/{calm_id}"));
    assert_eq!(*slowed(&other), Value::Null);

    for _ in 0..MESSAGES {
        client.text();
    }
    let answer = nodes.eventually(&path, |answer| slowed(answer)["now"] == false);
    let total = slowed(&answer)["times"].as_u64().unwrap();
    assert!((MESSAGES / 2..MESSAGES).contains(&total), "{answer}");
    let seconds = slowed(&answer)["seconds"].as_f64().unwrap();
    assert!((1.0..=3.0).contains(&seconds), "{answer}");
    // Each time is told, once, and with others.
    let (mut events, mut times) = (1, told["times"].as_u64().unwrap());
    while times < total {
        times += trace.event_of("slowed_down")["times"].as_u64().unwrap();
        events += 1;
    }
    assert_eq!(times, total);
    assert!(events < total / 2, "{events} events of {total} times");
    // Nothing is told of a client that keeps to its limit.
    client.send(r#"{"type":"leaveGroup","group":"g","ackId":1}"#);
    client.text();
    drop(client);
    loop {
        let event = trace.event();
        assert_ne!(event["what"], "slowed_down", "{event}");
        if event["what"] == "closed" {
            return;
        }
    }
}
