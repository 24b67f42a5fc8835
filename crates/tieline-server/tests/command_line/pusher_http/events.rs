//! Events reach who is to get them, on all nodes.

use serde_json::{Value, json};

use super::{Nodes, Request, Subscriber, eventually, single_node, web_pubsub};

fn trigger(channels: &[&str], data: &str, extra: &str) -> String {
    let (channels, data) = (json!(channels), json!(data));
    format!(r#"{{"name":"e","data":{data},"channels":{channels}{extra}}}"#)
}

#[test]
fn an_event_comes_out_as_it_was_published_on_every_node() {
    let nodes = Nodes::start();
    let mut clients = [nodes.client_here("a"), nodes.client_there("a")];
    let mut other_wire = web_pubsub(&nodes.there.addresses[0], "ada", "a");
    for data in [
        "",
        "x",
        "{\"a\": [1]}",
        "\"of Java\"",
        " {}",
        "null",
        "ü\u{0}",
    ] {
        // The same channel twice is once.
        let body = trigger(&["a", "a"], data, "");
        let response = nodes.call(&Request::post("/apps/3/events", &body));
        assert_eq!(response.json(), "{}");
        for client in &mut clients {
            client.gets("e", "a", data);
        }
        let message: Value = serde_json::from_str(&other_wire.text()).unwrap();
        assert_eq!(message["metadata"]["event"], "e");
        if data == "{\"a\": [1]}" {
            assert_eq!(message["data"], json!({"a": [1]}));
        }
    }
}

#[test]
fn an_event_goes_to_several_channels_and_not_to_who_has_caused_it() {
    let nodes = Nodes::start();
    let mut here = nodes.client_here("a");
    let mut there = nodes.client_there("b");
    let except = format!(r#","socket_id":"{}""#, there.socket_id);
    let nobody = r#","socket_id":"1.2""#;
    for (extra, data) in [(&*except, "first"), (nobody, "second")] {
        let body = trigger(&["a", "b", "c"], data, extra);
        let response = nodes.call(&Request::post("/apps/3/events", &body));
        assert_eq!(response.json(), "{}");
    }
    here.gets("e", "a", "first");
    here.gets("e", "a", "second");
    there.gets("e", "b", "second");
}

#[test]
fn a_batch_keeps_the_order_of_its_events() {
    let nodes = Nodes::start();
    let mut client = nodes.client_there("a");
    let except = json!(client.socket_id);
    let events = [
        r#"{"name":"one","channel":"a","data":"1"}"#.to_owned(),
        format!(r#"{{"name":"two","channel":"a","data":"2","socket_id":{except}}}"#),
        r#"{"name":"three","channel":"a","data":"3","info":"subscription_count"}"#.to_owned(),
        r#"{"name":"four","channel":"b","data":"4"}"#.to_owned(),
    ];
    let body = format!(r#"{{"batch":[{}]}}"#, events[..2].join(","));
    let response = nodes.call(&Request::post("/apps/3/batch_events", &body));
    assert_eq!(response.json(), "{}");
    let body = format!(r#"{{"batch":[{}]}}"#, events[2..].join(","));
    let response = nodes.call(&Request::post("/apps/3/batch_events", &body));
    assert_eq!(
        response.json(),
        r#"{"batch":[{"subscription_count":1},{}]}"#
    );
    client.gets("one", "a", "1");
    client.gets("three", "a", "3");
    let too_long = "x".repeat(10_241);
    let body = format!(
        r#"{{"batch":[{},{{"name":"e","channel":"a","data":"{too_long}"}}]}}"#,
        events[0]
    );
    let response = nodes.call(&Request::post("/apps/3/batch_events", &body));
    response.error(413);
    let body = trigger(&["a"], "none of the batch came", "");
    nodes.call(&Request::post("/apps/3/events", &body)).json();
    client.gets("e", "a", "none of the batch came");
}

#[test]
fn an_answer_for_all_nodes_says_that_one_was_missed() {
    let nodes = Nodes::start();
    let _there = nodes.client_there("a");
    nodes.there.pause();
    for request in [
        Request::post("/apps/3/users/ada/terminate_connections", "{}"),
        Request::get("/apps/3/channels/a", ""),
    ] {
        let response = nodes.call(&request);
        response.json();
        assert_eq!(response.header("tieline-missed"), Some("1"));
    }
    nodes.there.signal("CONT");
}

#[test]
fn an_answer_says_how_many_took_an_event_and_which_nodes_were_missed() {
    let nodes = Nodes::start();
    let mut clients = [
        nodes.client_here("a"),
        nodes.client_there("a"),
        nodes.client_there("b"),
    ];
    let info = r#","info":"delivered,subscription_count,user_count""#;
    let body = trigger(&["a", "b", "c"], "x", info);
    let request = Request::post("/apps/3/events", &body);
    let response = nodes.call(&request);
    assert_eq!(
        response.json(),
        r#"{"channels":{"a":{"delivered":2,"missed":[],"subscription_count":2},"b":{"delivered":1,"missed":[],"subscription_count":1},"c":{"delivered":0,"missed":[],"subscription_count":0}}}"#
    );
    let headers = ["tieline-delivered", "tieline-refused", "tieline-missed"];
    let reach = headers.map(|name| response.header(name).unwrap().to_owned());
    assert_eq!(reach, ["3", "0", "0"]);
    for (client, channel) in clients.iter_mut().zip(["a", "a", "b"]) {
        client.gets("e", channel, "x");
    }
    nodes.there.pause();
    let body = trigger(&["a"], "y", r#","info":"delivered""#);
    let response = nodes.call(&Request::post("/apps/3/events", &body));
    let answer: Value = serde_json::from_str(response.json()).unwrap();
    let a = &answer["channels"]["a"];
    assert_eq!(a["delivered"], 1, "{answer}");
    let missed = a["missed"].as_array().unwrap();
    assert!(
        missed[0].as_str().unwrap().starts_with("127.0.0.1:"),
        "{answer}"
    );
    assert_eq!(response.header("tieline-missed"), Some("1"));
    // Who does not ask does not wait.
    let begun = std::time::Instant::now();
    let body = trigger(&["a"], "z", "");
    let response = nodes.call(&Request::post("/apps/3/events", &body));
    assert_eq!(response.json(), "{}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(1));
    nodes.there.signal("CONT");
}

#[test]
fn a_cache_channel_keeps_the_last_event_of_a_backend_for_all_nodes() {
    let nodes = Nodes::start();
    let get = || {
        let cache = Request::get("/apps/3/channels/cache-a", "info=cache");
        let [here, there] = [&nodes.here, &nodes.there].map(|node| {
            let response = cache.send(&node.addresses[0]);
            serde_json::from_str::<Value>(response.json()).unwrap()
        });
        assert_eq!(here["cache"]["data"], there["cache"]["data"]);
        here
    };
    assert_eq!(get(), json!({"occupied": false, "cache": null}));
    let body = trigger(&["cache-a", "b"], "{\"n\": 1}", r#","socket_id":"1.2""#);
    assert_eq!(
        nodes.call(&Request::post("/apps/3/events", &body)).json(),
        "{}"
    );
    let kept = get();
    assert_eq!(kept["cache"]["data"], "{\"n\": 1}");
    let ttl = kept["cache"]["ttl"].as_u64().unwrap();
    assert!((1700..=1800).contains(&ttl), "{ttl}");
    let events = (1..=3).map(|n| format!(r#"{{"name":"e","channel":"cache-a","data":"{n}"}}"#));
    let events = events.collect::<Vec<_>>().join(",");
    let body = format!(r#"{{"batch":[{events}]}}"#);
    nodes
        .call(&Request::post("/apps/3/batch_events", &body))
        .json();
    assert_eq!(get()["cache"]["data"], "3");
}

#[test]
fn an_old_library_triggers_one_event_of_one_channel() {
    let server = single_node();
    let address = &server.addresses[0];
    let mut client = Subscriber::connect(address, "a");
    let request = Request {
        query: "name=e",
        ..Request::post("/apps/3/channels/a/events", "{\"raw\": 1}")
    };
    let response = request.send(address);
    assert_eq!((response.status, &*response.body), (202, "{}"));
    client.gets("e", "a", "{\"raw\": 1}");
    let stats = Request::get("/apps/3/channels/a/stats", "");
    assert_eq!(stats.send(address).status, 404);
}

#[test]
fn the_connections_of_a_user_are_ended_on_all_nodes() {
    let nodes = Nodes::start();
    for path in [
        "/apps/3/users/auth0%7C1/terminate_connections",
        "/users/auth0%7C1/terminate_connections",
    ] {
        let mut here = web_pubsub(&nodes.here.addresses[0], "auth0%7C1", "a");
        let mut there = web_pubsub(&nodes.there.addresses[0], "auth0%7C1", "a");
        let mut other = web_pubsub(&nodes.there.addresses[0], "ada", "a");
        let request = Request::post(path, "{}");
        let response = nodes.call(&request);
        assert_eq!(response.json(), "{}");
        assert_eq!(response.header("tieline-missed"), Some("0"));
        for client in [&mut here, &mut there] {
            let text = client.text();
            assert!(
                text.contains("ended the connections of this user"),
                "{text}"
            );
            assert_eq!(client.close_code(), 1000);
        }
        let body = trigger(&["a"], "still here", "");
        nodes.call(&Request::post("/apps/3/events", &body)).json();
        assert!(other.text().contains("still here"));
        // Also if there is nobody.
        assert_eq!(nodes.call(&request).json(), "{}");
    }
}

#[test]
fn apps_share_nothing_but_a_hub() {
    let server = single_node();
    let address = &server.addresses[0];
    let mut client = Subscriber::of_app(address, "k5", "a");
    let body = trigger(&["a"], "of the other app", "");
    Request::post("/apps/3/events", &body).send(address).json();
    let body = trigger(&["a"], "of this app", "");
    let request = Request {
        key: "k5",
        ..Request::post("/apps/5/events", &body)
    };
    eventually("the app is served", || request.send(address).status == 200);
    client.gets("e", "a", "of this app");
}
