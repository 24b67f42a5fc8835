//! Webhooks of the configuration, at the start and later.

use std::{sync::mpsc::sync_channel, time::Instant};

use super::{Receiver, Scene};
use crate::kit::{DEADLINE, run, tieline};

#[test]
fn a_reload_applies_other_webhooks() {
    let (scene, old, new) = (Scene::start(), Receiver::start(), Receiver::start());
    let (sender, log) = sync_channel(1000);
    let node = scene.node_with("a", "", move |line| drop(sender.try_send(line)));
    let reload = |webhooks: &str| {
        scene.write("a", webhooks);
        node.signal("HUP");
        loop {
            let line = log.recv_timeout(DEADLINE).expect("a line about the reload");
            assert!(!line.contains("not reloaded"), "{line}");
            if line.contains("configuration reloaded") {
                return line;
            }
        }
    };
    let line = reload(&old.webhook(""));
    assert!(line.contains("pusher.app[0].webhooks"), "{line}");
    scene.occupy("one");
    old.expect(&["channel_occupied one"]);
    reload(&new.webhook(""));
    new.expect(&["channel_occupied one"]);
    scene.occupy("two");
    new.expect(&["channel_occupied two"]);
    assert_eq!(old.0.rest().len(), 0);
    // What waits is sent by the webhook that a reload leaves as it is, in its order.
    reload(&(new.webhook("") + &old.webhook("events = [\"cache_miss\"]")));
    scene.occupy("three");
    new.expect(&["channel_occupied three"]);
    assert_eq!((old.0.rest().len(), new.0.rest().len()), (0, 0));
}

#[test]
fn a_webhook_that_is_added_is_told_once_who_is_there() {
    let (scene, old, new) = (Scene::start(), Receiver::start(), Receiver::start());
    let mut nodes = Vec::new();
    for name in ["a", "b"] {
        let (sender, log) = sync_channel(100_000);
        let node = scene.node_with(name, &old.webhook(""), move |line| {
            drop(sender.try_send(line));
        });
        nodes.push((name, node, log));
    }
    scene.occupy("plain");
    scene.enter("presence-x", "ada");
    let there = [
        "channel_occupied plain",
        "channel_occupied presence-x",
        "member_added presence-x ada",
    ];
    old.expect_in_any_order(&there);
    let both = old.webhook("") + &new.webhook("");
    for (name, node, log) in &nodes {
        scene.write(name, &both);
        node.signal("HUP");
        let reloaded = |line: String| line.contains("configuration reloaded");
        while !reloaded(log.recv_timeout(DEADLINE).expect("a line about the reload")) {}
    }
    new.expect_in_any_order(&there);
    let begun = Instant::now();
    let says = |line: String| line.contains("told who is there");
    while !nodes.iter().any(|(.., log)| log.try_iter().any(says)) {
        assert!(begun.elapsed() < DEADLINE, "the webhook never became known");
        std::thread::yield_now();
    }
    scene.occupy("last");
    for receiver in [&old, &new] {
        receiver.expect(&["channel_occupied last"]);
    }
    // Nor is it new to the node that takes over, though that has started with it.
    let _c = scene.node_with("c", &both, drop);
    nodes.clear();
    scene.occupy("later");
    for receiver in [&old, &new] {
        let told = receiver.until("channel_occupied later");
        let known = |event: &&String| there.contains(&event.as_str());
        assert!(told.iter().filter(known).count() == 0, "{told:?}");
    }
}

#[test]
fn an_invalid_webhook_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    for (lines, hint) in [
        ("", "`pusher.app[0].webhooks[0].url` is required"),
        ("url = \"nowhere\"", "http://"),
        ("url = \"https://me:hunter2@h/\"", "password"),
        ("url = \"http://h/\"\ntimeout = \"0s\"", "timeout"),
        ("url = \"http://h/\"\nconcurrency = 0", "concurrency"),
        (
            "url = \"http://h/\"\nevents = [\"connected\"]",
            "channel_occupied",
        ),
        (
            "url = \"http://h/\"\nevent = []",
            "did you mean `pusher.app[0].webhooks[0].events`",
        ),
        (
            "url = \"http://h/\"\nheaders = { X-Pusher-Key = { env = \"PATH\" } }",
            "x-pusher-key",
        ),
    ] {
        let text = format!(
            "[[pusher.app]]\nid = \"3\"\nkey = \"key3\"\nsecret = {{ env = \"SECRET\" }}\n\
             [[pusher.app.webhooks]]\n{lines}\n"
        );
        std::fs::write(&path, text).unwrap();
        let mut command = tieline(&["config", "check", path.to_str().unwrap()]);
        let output = command.env("SECRET", super::SECRET).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{lines}: {stderr}");
        assert!(stderr.contains(hint), "{lines}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
    std::fs::write(&path, "[pusher.app]\n").unwrap();
    let (code, stderr) = run(&["config", "check", path.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{stderr}");
}
