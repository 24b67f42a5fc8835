//! What is posted when nothing goes wrong.

use std::time::Instant;

use serde_json::{Value, json};
use tieline::Exit;

use super::{HOLD, Receiver, Scene, sign, words};
use crate::kit::Client;

#[test]
fn what_happens_to_channels_is_posted_once_for_the_cluster_and_in_order() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let _a = scene.node("a", &receiver);
    let _b = scene.node("b", &receiver);
    scene.enter("presence-x", "ada");
    receiver.expect(&["channel_occupied presence-x", "member_added presence-x ada"]);
    // Another node's users, of whom one is known already.
    let other = scene.other_presence();
    scene.runtime.block_on(async {
        for user in ["ada", "bob"] {
            other.enter("presence-x", user, "{}").await.unwrap();
        }
        other.occupy("plain").await.unwrap();
    });
    receiver.expect_in_any_order(&["channel_occupied plain", "member_added presence-x bob"]);
    scene.occupy("plain");
    // Not for channels of users, nor for groups that are no channels.
    scene.occupy("#server-to-user-ada");
    scene.occupy("no channel");
    scene.presence.vacate("plain", Exit::Left);
    scene.presence.exit("presence-x", "ada", Exit::Left);
    other.exit("presence-x", "ada", Exit::Left);
    let start = Instant::now();
    receiver.expect(&["member_removed presence-x ada"]);
    assert!(start.elapsed() >= HOLD, "it could have returned");
    other.exit("presence-x", "bob", Exit::Disconnected);
    receiver.expect(&[
        "member_removed presence-x bob",
        "channel_vacated presence-x",
    ]);
    other.vacate("plain", Exit::Left);
    receiver.expect(&["channel_vacated plain"]);
    assert_eq!(receiver.0.rest().len(), 0);
}

#[test]
fn whoever_returns_in_time_is_posted_neither_going_nor_coming() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let _node = scene.node("a", &receiver);
    scene.enter("presence-x", "ada");
    receiver.expect(&["channel_occupied presence-x", "member_added presence-x ada"]);
    for _ in 0..3 {
        scene.leave("presence-x", "ada");
        scene.enter("presence-x", "ada");
    }
    // A channel stays occupied if another user comes in time.
    scene.enter("presence-y", "bob");
    receiver.expect(&["channel_occupied presence-y", "member_added presence-y bob"]);
    scene.leave("presence-y", "bob");
    scene.enter("presence-y", "joan");
    receiver.expect(&[
        "member_added presence-y joan",
        "member_removed presence-y bob",
    ]);
    scene.leave("presence-x", "ada");
    receiver.expect(&[
        "member_removed presence-x ada",
        "channel_vacated presence-x",
    ]);
    scene.enter("presence-x", "ada");
    receiver.expect(&["channel_occupied presence-x", "member_added presence-x ada"]);
    assert_eq!(receiver.0.rest().len(), 0);
}

#[test]
fn each_webhook_gets_the_events_and_channels_that_it_names() {
    let (scene, occupied, rooms) = (Scene::start(), Receiver::start(), Receiver::start());
    let webhooks = [
        occupied.webhook("events = [\"channel_occupied\"]"),
        rooms.webhook("channel_prefix = \"presence-room-\"\nchannel_suffix = \"-eu\""),
        // An app with the same hub, whose key signs.
        format!(
            "[[pusher.app]]\nid = \"4\"\nkey = \"key4\"\nsecret = {{ env = \"SECRET\" }}\nhub = \"chat\"\n{}",
            occupied.webhook("")
        ),
    ];
    let _node = scene.node_with("a", &webhooks.concat(), drop);
    for channel in [
        "presence-room-1-us",
        "presence-room-1-eu",
        "presence-hall-eu",
    ] {
        scene.enter(channel, "ada");
    }
    rooms.expect(&[
        "channel_occupied presence-room-1-eu",
        "member_added presence-room-1-eu ada",
    ]);
    let mut all: Vec<_> = (0..3).map(|_| occupied.next()).collect();
    all.sort_unstable();
    let expected = ["hall-eu", "room-1-eu", "room-1-us"];
    assert_eq!(
        all,
        expected.map(|name| format!("channel_occupied presence-{name}"))
    );
    let chat = scene.presence.namespace("chat").unwrap();
    scene.runtime.block_on(chat.occupy("lobby")).unwrap();
    let of_chat = occupied.0.next();
    assert_eq!(of_chat.header("x-pusher-key"), "key4");
    assert!(
        of_chat.text().contains("\"channel\":\"lobby\""),
        "{}",
        of_chat.text()
    );
    assert_eq!((occupied.0.rest().len(), rooms.0.rest().len()), (0, 0));
}

#[test]
fn a_batch_has_several_events_in_the_order_of_each_channel() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let _node = scene.node_with("a", &receiver.webhook("batch = true"), drop);
    let users: Vec<_> = (0..20).map(|n| format!("user-{n:02}")).collect();
    scene.runtime.block_on(async {
        for user in &users {
            scene
                .presence
                .enter("presence-x", &**user, "{}")
                .await
                .unwrap();
        }
    });
    let (mut seen, mut requests) = (Vec::new(), 0);
    while seen.len() < 21 {
        let (_, events) = receiver.request();
        seen.extend(events.iter().map(words));
        requests += 1;
    }
    let added = users
        .iter()
        .map(|user| format!("member_added presence-x {user}"));
    let expected = ["channel_occupied presence-x".to_owned()]
        .into_iter()
        .chain(added);
    assert_eq!(seen, expected.collect::<Vec<_>>());
    assert!(requests < 21, "each event had a request of its own");
}

#[test]
fn the_events_of_clients_are_posted_with_their_data_as_text() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let webhook = receiver.webhook("events = [\"client_event\"]");
    let node = scene.node_with("a", &format!("client_events = true\n{webhook}"), drop);
    let mut client = Client::simple(&node.addresses[0], "/app/key3?protocol=7");
    let first: Value = serde_json::from_str(&client.text()).unwrap();
    let data: Value = serde_json::from_str(first["data"].as_str().unwrap()).unwrap();
    let socket_id = data["socket_id"].as_str().unwrap();
    let auth = sign(format!("{socket_id}:private-x").as_bytes());
    client.send(&format!(
        r#"{{"event":"pusher:subscribe","data":{{"auth":"key3:{auth}","channel":"private-x"}}}}"#
    ));
    assert!(client.text().contains("subscription_succeeded"));
    for (sent, posted) in [
        (r#"{"a": [1, "ü"]}"#, r#"{"a": [1, "ü"]}"#),
        (r#""{\"a\":1}""#, r#"{"a":1}"#),
        ("7", "7"),
    ] {
        client.send(&format!(
            r#"{{"event":"client-x","channel":"private-x","data":{sent}}}"#
        ));
        let (_, events) = receiver.request();
        let expected = json!([{
            "name": "client_event", "channel": "private-x", "event": "client-x", "data": posted,
            "socket_id": socket_id,
        }]);
        assert_eq!(Value::from(events), expected);
    }
    // What is refused is not posted.
    client.send(r#"{"event":"client-x","channel":"private-y","data":{}}"#);
    assert!(client.text().contains("pusher:error"));
    assert_eq!(receiver.0.rest().len(), 0);
}
