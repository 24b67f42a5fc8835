//! Sign-in, the channels of users, and watchlists.

use serde_json::{Value, json};

use super::{KEY, Nodes, Pusher, is_told_twice, signature};

impl Pusher {
    fn ask_to_sign_in(&mut self, data: &str) {
        let signed = signature(&format!("{}::user::{data}", self.socket_id));
        let data = json!({"auth": format!("{KEY}:{signed}"), "user_data": data});
        self.send(&json!({"event": "pusher:signin", "data": data}).to_string());
    }

    #[track_caller]
    fn sign_in(&mut self, data: &str) {
        self.ask_to_sign_in(data);
        let inner = json!({"user_data": data}).to_string();
        let expected = json!({"data": inner, "event": "pusher:signin_success"});
        assert_eq!(
            serde_json::from_str::<Value>(&self.next()).unwrap(),
            expected
        );
    }

    /// The next frame: which users have come online, and which have gone.
    #[track_caller]
    fn watched(&mut self) -> Value {
        let frame: Value = serde_json::from_str(&self.next()).unwrap();
        assert_eq!(frame["event"], "pusher_internal:watchlist_events");
        assert!(frame.get("channel").is_none());
        let data: Value = serde_json::from_str(frame["data"].as_str().unwrap()).unwrap();
        data["events"].clone()
    }
}

#[test]
fn a_user_signs_in_once_and_has_a_channel_of_its_own() {
    let nodes = Nodes::two("");
    let mut client = Pusher::connect(nodes.ends()[1]);
    let own = "#server-to-user-auth0|ü";
    client.ask_to_subscribe(own);
    is_told_twice(&mut client, own, "AuthError", 401);
    client.sign_in(r#"{"id":"auth0|ü","user_info":{"name":"A"}}"#);
    client.sign_in(r#"{"id":"auth0|ü"}"#);
    client.ask_to_subscribe("#server-to-user-other");
    is_told_twice(&mut client, "#server-to-user-other", "AuthError", 401);
    client.subscribe(own);
    client.ask_to_sign_in(r#"{"id":"other"}"#);
    let (code, message) = client.error();
    assert!(
        code.is_null() && message.contains("another user"),
        "{message}"
    );
    client.lives();
}

#[test]
fn who_cannot_sign_in_is_told_why() {
    let nodes = Nodes::one("");
    let mut client = nodes.client();
    for data in [
        "",
        "{}",
        "[]",
        "[\"a\"]",
        "null",
        r#"{"id":7}"#,
        r#"{"id":""}"#,
    ] {
        client.ask_to_sign_in(data);
        assert!(client.error().0.is_null(), "{data}");
    }
    for auth in [
        Value::Null,
        json!(7),
        json!("x"),
        json!(format!("{KEY}:00")),
    ] {
        let data = json!({"auth": auth, "user_data": "{\"id\":\"a\"}"});
        client.send(&json!({"event": "pusher:signin", "data": data}).to_string());
        assert_eq!(client.error().0, 4009);
    }
    for data in [
        json!(null),
        json!([]),
        json!({}),
        json!({"auth": "x", "user_data": {}}),
    ] {
        client.send(&json!({"event": "pusher:signin", "data": data}).to_string());
        assert!(client.error().0.is_null());
    }
    client.lives();
}

#[test]
fn a_signed_in_user_is_a_member_without_data() {
    let nodes = Nodes::one("");
    let mut client = nodes.client();
    client.sign_in(r#"{"id":"ada","user_info":{"name":"Ada"}}"#);
    let auth = client.auth("presence-a", None);
    let asked = json!({"channel": "presence-a", "auth": auth});
    client.send(&json!({"event": "pusher:subscribe", "data": asked}).to_string());
    let answer = client.next();
    let members =
        r#"{\"presence\":{\"ids\":[\"ada\"],\"hash\":{\"ada\":{\"name\":\"Ada\"}},\"count\":1}}"#;
    assert!(answer.contains(members), "{answer}");
}

#[test]
fn a_watchlist_tells_who_is_online_on_any_node() {
    let nodes = Nodes::two("");
    let [one, other] = nodes.ends().map(str::to_owned);
    let mut joan = Pusher::connect(&one);
    joan.sign_in(r#"{"id":"joan"}"#);
    let mut ada = Pusher::connect(&other);
    ada.sign_in(r#"{"id":"ada","watchlist":["joan","grace","grace",7]}"#);
    assert_eq!(
        ada.watched(),
        json!([
            {"name": "online", "user_ids": ["joan"]},
            {"name": "offline", "user_ids": ["grace"]},
        ])
    );
    let mut grace = [Pusher::connect(&one), Pusher::connect(&other)];
    grace
        .iter_mut()
        .for_each(|grace| grace.sign_in(r#"{"id":"grace"}"#));
    assert_eq!(
        ada.watched(),
        json!([{"name": "online", "user_ids": ["grace"]}])
    );
    let [first, second] = grace;
    drop(first);
    drop(joan);
    assert_eq!(
        ada.watched(),
        json!([{"name": "offline", "user_ids": ["joan"]}])
    );
    drop(second);
    assert_eq!(
        ada.watched(),
        json!([{"name": "offline", "user_ids": ["grace"]}])
    );
    ada.lives();
}

#[test]
fn a_watchlist_that_is_no_list_is_told_and_ignored() {
    let nodes = Nodes::one("");
    for list in [json!("grace"), json!({"grace": true}), json!(7)] {
        let mut ada = nodes.client();
        ada.sign_in(&json!({"id": "ada", "watchlist": list}).to_string());
        let (code, message) = ada.error();
        assert_eq!(code, Value::Null);
        assert!(message.contains("watchlist"), "{message}");
        ada.lives();
    }
    let mut ada = nodes.client();
    ada.sign_in(r#"{"id":"ada","watchlist":null}"#);
    ada.lives();
}

#[test]
fn the_first_hundred_users_of_a_long_watchlist_count() {
    let nodes = Nodes::one("");
    let mut ada = nodes.client();
    let users: Vec<_> = (0..102).map(|n| format!("u{n}")).collect();
    ada.sign_in(&json!({"id": "ada", "watchlist": users}).to_string());
    let (code, message) = ada.error();
    assert_eq!(code, 4302, "{message}");
    let watched = ada.watched();
    assert_eq!(watched[0]["user_ids"], json!(users[..100]));
}
