//! Bodies as libraries send them, and as nobody may.

use super::*;
use crate::wire::pusher::http::tests::{app, text_of};

fn trigger(body: &str) -> Result<Trigger<'_>, ApiError> {
    Trigger::of_body(body.as_bytes(), &app().rules)
}

/// The status and the text of the refusal of a body.
#[track_caller]
fn refusal(body: &str) -> (u16, String) {
    let event = Trigger::of_body(body.as_bytes(), &app().rules);
    text_of(event.map(drop).unwrap_err())
}

#[test]
fn bodies_of_all_libraries_are_read() {
    let node = r#"{"name":"e","data":"{\"a\":1}","channels":["b","a","b"],"socket_id":"1.2"}"#;
    let event = trigger(node).unwrap();
    assert_eq!((&*event.name, &*event.data), ("e", r#"{"a":1}"#));
    assert_eq!(event.channels, ["b", "a"], "each once");
    assert_eq!(event.socket_id.as_deref(), Some("1.2"));
    assert_eq!(event.info, None);
    let old = r#"{"data":"","channel":"a","name":"e","socket_id":null,"info":"delivered,user_count","x":[{}]}"#;
    let event = trigger(old).unwrap();
    assert_eq!((&*event.data, &*event.channels), ("", &["a".into()][..]));
    assert_eq!(event.socket_id, None);
    let info = event.info.unwrap();
    assert!(info.delivered && info.user_count && !info.subscription_count);
    let java = r#"{"name":"e","data":"\"text\"","channels":["\u0061"]}"#;
    let event = trigger(java).unwrap();
    assert_eq!((&*event.data, &*event.channels[0]), ("\"text\"", "a"));
}

#[test]
fn nothing_but_strings_is_taken_for_a_string() {
    for value in ["null", "1", "true", "{}", "[\"a\"]", "\"\\ud800\""] {
        let fields = [
            format!(r#"{{"name":{value},"data":"","channel":"a"}}"#),
            format!(r#"{{"name":"e","data":{value},"channel":"a"}}"#),
            format!(r#"{{"name":"e","data":"","channels":[{value}]}}"#),
        ];
        for body in &fields {
            assert_eq!(refusal(body).0, 400, "{body}");
        }
        if value != "null" {
            for field in ["channel", "socket_id", "info"] {
                let body =
                    format!(r#"{{"name":"e","data":"","channels":["a"],"{field}":{value}}}"#);
                assert_eq!(refusal(&body).0, 400, "{body}");
            }
        }
    }
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "1",
        "{",
        "{\"name\":\"e\"}",
        "\u{1}",
    ] {
        assert_eq!(refusal(body).0, 400, "{body}");
    }
    for channels in ["null", "[]", "{}", "\"a\""] {
        let body = format!(r#"{{"name":"e","data":"","channels":{channels}}}"#);
        assert_eq!(refusal(&body).0, 400, "{body}");
    }
    let twice = r#"{"name":"e","name":"f","data":"","channel":"a"}"#;
    assert_eq!(refusal(twice).0, 400);
}

#[test]
fn a_list_is_no_object_whatever_stands_in_it() {
    let of_one = [
        r#"["e","d",["a"],null,null,null]"#,
        r#"[{"name":"e","data":"d","channel":"a"}]"#,
    ];
    for body in of_one {
        let (status, why) = refusal(body);
        assert_eq!(status, 400, "{body}");
        assert!(why.contains("expected an object"), "{why}");
    }
    for body in [
        r#"[[{"name":"e","data":"d","channel":"a"}]]"#,
        r#"{"batch":[["e","a","1",null,null]]}"#,
        r#"{"batch":[7]}"#,
        r#"{"batch":{}}"#,
    ] {
        let events = Trigger::of_batch(body.as_bytes(), &app().rules);
        let (status, why) = text_of(events.map(drop).unwrap_err());
        assert_eq!(status, 400, "{body}");
        let names = ["TriggerBody", "BatchBody", "BatchEvent", "struct", "AtMost"];
        assert!(names.iter().all(|name| !why.contains(name)), "{why}");
    }
}

#[test]
fn an_event_is_for_1_to_100_channels() {
    let body = |n: usize| {
        let names = (0..n).map(|n| format!("\"{n}\""));
        let names = names.collect::<Vec<_>>().join(",");
        format!(r#"{{"name":"e","data":"","channels":[{names}]}}"#)
    };
    assert_eq!(trigger(&body(100)).unwrap().channels.len(), 100);
    for n in [101, 150_000] {
        let (status, why) = refusal(&body(n));
        assert_eq!(status, 400);
        assert!(why.contains("more than 100"), "{why}");
    }
}

#[test]
fn names_are_checked() {
    let of_channel = |name: &str| format!(r#"{{"name":"e","data":"","channels":["{name}"]}}"#);
    for name in ["", "a b", "ä", "#x", "#server-to-user-", &"x".repeat(201)] {
        assert_eq!(refusal(&of_channel(name)).0, 400, "{name}");
    }
    for name in ["#server-to-user-auth0|ü", "private-x", &"x".repeat(200)] {
        assert!(trigger(&of_channel(name)).is_ok(), "{name}");
    }
    let of_event = |name: &str| format!(r#"{{"name":"{name}","data":"","channel":"a"}}"#);
    for name in ["", "pusher:x", "pusher_internal:x", &"ü".repeat(201)] {
        assert_eq!(refusal(&of_event(name)).0, 400, "{name}");
    }
    for name in ["client-x", "a:b", &"ü".repeat(200)] {
        assert!(trigger(&of_event(name)).is_ok(), "{name}");
    }
    for id in ["", "1", "1.", ".1", "1.2.3", "a.b", "1.2\\n", "-1.2"] {
        let body = format!(r#"{{"name":"e","data":"","channel":"a","socket_id":"{id}"}}"#);
        assert_eq!(refusal(&body).0, 400, "{id}");
    }
}

#[test]
fn an_event_of_an_encrypted_channel_is_for_it_alone() {
    let body = |channels: &str| format!(r#"{{"name":"e","data":"","channels":[{channels}]}}"#);
    let (status, why) = refusal(&body(r#""private-encrypted-a","b""#));
    assert_eq!(status, 400);
    assert!(why.contains("encrypted"), "{why}");
    for channels in [
        r#""private-encrypted-a""#,
        r#""private-encrypted-a","private-encrypted-a""#,
    ] {
        assert_eq!(trigger(&body(channels)).unwrap().channels.len(), 1);
    }
}

#[test]
fn data_is_measured_in_bytes_after_it_was_unescaped() {
    let body = |data: &str| format!(r#"{{"name":"e","data":"{data}","channel":"a"}}"#);
    for (longest, longer) in [
        ("x".repeat(10_240), "x".repeat(10_241)),
        ("ü".repeat(5_120), format!("{}x", "ü".repeat(5_120))),
        ("\\u0001".repeat(10_240), "\\u0001".repeat(10_241)),
    ] {
        assert!(trigger(&body(&longest)).is_ok());
        let (status, why) = refusal(&body(&longer));
        assert_eq!(status, 413);
        assert!(why.contains("10241") && why.contains("10240"), "{why}");
    }
}

#[test]
fn a_batch_has_1_to_10_events_which_are_good_all_or_none() {
    let event = r#"{"name":"e","channel":"a","data":"x","info":"subscription_count"}"#;
    let batch = |events: &[&str]| format!(r#"{{"batch":[{}]}}"#, events.join(","));
    let read = |body: &str| {
        let events = Trigger::of_batch(body.as_bytes(), &app().rules);
        events.map(|events| events.len()).map_err(text_of)
    };
    assert_eq!(read(&batch(&[event; 10])).unwrap(), 10);
    let long = format!(
        r#"{{"name":"e","channel":"a","data":"{}"}}"#,
        "x".repeat(10_241)
    );
    assert_eq!(read(&batch(&[event, &long])).unwrap_err().0, 413);
    let no_channel = r#"{"name":"e","data":"x"}"#;
    for body in [
        batch(&[event; 11]),
        batch(&[]),
        batch(&[event, no_channel]),
        batch(&[event, "null"]),
        r#"{"batch":null}"#.into(),
        r#"{"batch":{}}"#.into(),
        "{}".into(),
    ] {
        assert_eq!(read(&body).unwrap_err().0, 400, "{body}");
    }
}

#[test]
fn what_is_wrong_is_said_without_the_whole_body() {
    let (_, why) = refusal(&format!("{{\"name\":[],\"x\":1}}{}", " ".repeat(1000)));
    assert!(why.contains("expected a string"), "{why}");
    let long = "x".repeat(100_000);
    let (_, why) = refusal(&format!(r#"{{"name":"e","data":"","channels":"{long}"}}"#));
    assert!(why.len() < 300, "{} bytes", why.len());
}
