//! Limits of one client that its hub sets.

use super::Limited;
use crate::kit::run;

#[test]
fn a_hub_has_a_largest_message_of_its_own() {
    let limited = Limited::serve(&[("hub.chat.max_message", "1KiB")]);
    let mut client = limited.client("ada");
    let text = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(1000));
    client.send(&text);
    assert_eq!(client.text(), r#"{"type":"pong"}"#);
    client.send(&format!("{text:<1025}"));
    assert_eq!(client.close_code(), 1009);
    drop(client);
    limited.logged(r#"scope="client" limit="message_size" action="closed""#);
}

#[test]
fn a_hub_has_a_largest_number_of_groups_of_its_own() {
    let limited = Limited::serve(&[("hub.chat.max_groups", "2")]);
    let mut client = limited.client("ada");
    let mut join = |group: &str, id: u32| {
        client.send(&format!(
            r#"{{"type":"joinGroup","group":"{group}","ackId":{id}}}"#
        ));
        client.text()
    };
    for (group, id) in [("a", 1), ("b", 2), ("a", 3)] {
        let answer = join(group, id);
        assert!(answer.contains(r#""success":true"#), "{answer}");
    }
    let answer = join("c", 4);
    assert!(answer.contains("already in 2 groups"), "{answer}");
    limited.logged(r#"scope="client" limit="groups" action="refused""#);
}

#[test]
fn a_client_whose_outbox_is_full_is_counted() {
    let limited = Limited::serve(&[
        ("limits.max_outbox", "64KiB"),
        ("limits.max_message", "32KiB"),
    ]);
    let (mut slow, mut sender) = (limited.client("slow"), limited.client("ada"));
    slow.send(r#"{"type":"joinGroup","group":"g","ackId":1}"#);
    assert!(slow.text().contains(r#""success":true"#));
    let data = "x".repeat(30_000);
    // More than the kernel holds for a socket.
    for id in 0..500 {
        let text = format!(r#"{{"type":"sendToGroup","group":"g","ackId":{id},"data":"{data}"}}"#);
        sender.send(&text);
        assert!(sender.text().contains(r#""success":true"#));
    }
    limited.logged(r#"scope="client" limit="outbox" action="closed""#);
}

#[test]
fn a_hub_has_an_outbox_and_a_policy_of_its_own() {
    let limited = Limited::serve(&[
        ("limits.max_outbox", "64MiB"),
        ("hub.small.max_outbox", "64KiB"),
        ("hub.newest.max_outbox_frames", "3"),
        ("hub.newest.slow_consumer", "drop-oldest"),
    ]);
    let mut slow = ["chat", "small", "newest"].map(|hub| {
        let join = r#"{"type":"joinGroup","group":"g","ackId":1}"#;
        let [mut slow, mut sender] = ["slow", "ada"].map(|user| limited.client_of(hub, user));
        slow.send(join);
        assert!(slow.text().contains(r#""success":true"#));
        let data = "x".repeat(30_000);
        // More than the kernel holds for a socket.
        for id in 0..500 {
            let text = format!(
                r#"{{"type":"sendToGroup","group":"g","ackId":{id},"data":"{id} {data}"}}"#
            );
            sender.send(&text);
            assert!(sender.text().contains(r#""success":true"#));
        }
        slow
    });
    let mut number = |client: usize| {
        let text = slow[client].text();
        let (_, data) = text.split_once(r#""data":""#).unwrap();
        let (number, _) = data.split_once(' ').unwrap();
        number.parse::<u32>().unwrap()
    };
    for id in 0..500 {
        assert_eq!(number(0), id, "as the node has it");
    }
    let mut read = 1;
    while number(2) != 499 {
        read += 1;
    }
    assert!((3..500).contains(&read), "{read} of 500");
    limited.logged(r#"scope="client" limit="outbox" action="closed" who=hub small"#);
}

#[test]
fn limits_that_cannot_be_kept_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    for (text, error) in [
        (
            "[hub.chat]\nmax_message = \"2MiB\"",
            "`max_message` of `[hub.chat]` is more than `limits.max_message`",
        ),
        (
            "[hub_defaults]\nmax_byte_rate_per_user = 1000",
            "the bytes per second of one user of `[hub_defaults]` are too few",
        ),
        (
            "[hub_defaults]\nmax_connect_rate = 0",
            "a rate of `[hub_defaults]` is zero",
        ),
        (
            "[hub.chat]\nmax_outbox = \"5MiB\"",
            "`max_outbox` of `[hub.chat]` is more than `limits.max_outbox`",
        ),
        (
            "[hub_defaults]\nmax_outbox_frames = 0",
            "`max_outbox_frames` of `[hub_defaults]` is zero",
        ),
        (
            "[hub.chat]\nmax_request_rate = 0",
            "a rate of `[hub.chat]` is zero",
        ),
        (
            "[limits]\nmax_unauthorized_request_rate_per_address = 0",
            "a rate of `[limits]` is zero",
        ),
        (
            "[limits]\nmax_message_rate_per_address = 0",
            "a rate of `[limits]` is zero",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let (code, stderr) = run(&["config", "check", path.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{text}: {stderr}");
        assert!(stderr.contains(error), "{text}: {stderr}");
    }
}
