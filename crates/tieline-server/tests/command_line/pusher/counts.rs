//! How many subscribers a channel has, as they are told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{Nodes, Pusher, succeeded};
use crate::kit::pace;

fn count(channel: &str, count: u64) -> String {
    format!(
        r#"{{"event":"pusher_internal:subscription_count","channel":"{channel}","data":"{{\"subscription_count\":{count}}}"}}"#
    )
}

#[test]
fn subscribers_of_all_nodes_are_told_whenever_their_number_changes() {
    let nodes = Nodes::two("subscription_counts = true");
    let [one, other] = nodes.ends();
    for channel in ["a", "private-a", "private-encrypted-a"] {
        let (mut first, mut second) = (Pusher::connect(one), Pusher::connect(other));
        first.subscribe(channel);
        assert_eq!(first.next(), count(channel, 1));
        second.subscribe(channel);
        let told = Instant::now();
        for client in [&mut first, &mut second] {
            assert_eq!(client.next(), count(channel, 2));
        }
        second.send(&format!(
            r#"{{"event":"pusher:unsubscribe","data":{{"channel":"{channel}"}}}}"#
        ));
        second.lives();
        assert_eq!(first.next(), count(channel, 1));
        // The node has told another number less than a second before.
        assert!(told.elapsed() >= Duration::from_millis(900), "{channel}");
        second.subscribe(channel);
        assert_eq!(first.next(), count(channel, 2));
        // Without a word.
        drop(second);
        assert_eq!(first.next(), count(channel, 1));
        first.lives();
    }
}

#[test]
fn many_changes_are_told_at_once() {
    let nodes = Nodes::one("subscription_counts = true");
    let mut first = nodes.client();
    first.subscribe("a");
    assert_eq!(first.next(), count("a", 1));
    let others: Vec<_> = (0..20)
        .map(|_| {
            let mut client = nodes.client();
            client.ask_to_subscribe("a");
            assert_eq!(client.next(), succeeded("a"));
            client
        })
        .collect();
    let mut told = 0;
    while first.next() != count("a", 21) {
        told += 1;
        assert!(told < 20, "each change was told");
    }
    drop(others);
    while first.next() != count("a", 1) {}
    first.lives();
}

#[test]
fn nobody_is_told_of_members_or_unless_the_app_says_so() {
    let nodes = Nodes::one("subscription_counts = true");
    let mut client = nodes.client();
    let data = r#"{"user_id":"ada"}"#;
    let auth = client.auth("presence-a", Some(data));
    let asked = serde_json::json!({"channel": "presence-a", "auth": auth, "channel_data": data});
    let asked = serde_json::json!({"event": "pusher:subscribe", "data": asked});
    client.send(&asked.to_string());
    assert!(client.next().contains("subscription_succeeded"));
    // Had the first been counted, that would come before the second.
    client.subscribe("b");
    assert_eq!(client.next(), count("b", 1));
    let quiet = Nodes::one("");
    let mut clients = [quiet.client(), quiet.client()];
    clients.iter_mut().for_each(|client| client.subscribe("a"));
    clients.iter_mut().for_each(Pusher::lives);
}

#[test]
fn the_subscribers_of_a_node_that_is_gone_do_not_count_until_it_is_back() {
    let app = "subscription_counts = true\n[cluster]\nlease = \"4s\"";
    let mut nodes = Nodes::many(app, 3);
    let mut clients: Vec<_> = { nodes.servers.iter() }
        .map(|node| Pusher::connect(&node.addresses[0]))
        .collect();
    for client in &mut clients {
        client.ask_to_subscribe("a");
    }
    for client in &mut clients {
        while client.next() != count("a", 3) {}
    }
    // As by SIGKILL.
    drop(nodes.servers.pop());
    let _gone = clients.pop();
    for client in &mut clients {
        while client.next() != count("a", 2) {}
    }
    nodes.servers[1].pause();
    while clients[0].next() != count("a", 1) {}
    nodes.servers[1].signal("CONT");
    while clients[0].next() != count("a", 2) {}
}

#[test]
fn a_count_without_a_node_that_did_not_answer_is_made_good_when_it_does() {
    // Some are counted by the node that is paused, some by the other.
    const CHANNELS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let nodes = Nodes::two("subscription_counts = true\n[cluster]\nlease = \"60s\"");
    let mut clients = nodes.ends().map(Pusher::connect);
    for client in &mut clients {
        for channel in CHANNELS {
            client.ask_to_subscribe(channel);
        }
    }
    for client in &mut clients {
        client.is_told_of_all(&CHANNELS, 2);
    }
    nodes.servers[1].pause();
    // It stays in the registry.
    let mut third = nodes.client();
    for channel in CHANNELS {
        third.ask_to_subscribe(channel);
    }
    third.is_told_of_all(&CHANNELS, 2);
    nodes.servers[1].signal("CONT");
    for client in [&mut third].into_iter().chain(&mut clients) {
        client.is_told_of_all(&CHANNELS, 3);
    }
}

impl Pusher {
    /// Reads on until it was told this number of each channel.
    fn is_told_of_all(&mut self, channels: &[&str], number: u64) {
        let mut missing: Vec<_> = { channels.iter() }
            .map(|channel| count(channel, number))
            .collect();
        while !missing.is_empty() {
            let next = self.next();
            missing.retain(|count| *count != next);
        }
    }
}

#[test]
fn changes_on_several_nodes_are_told_once_for_the_cluster() {
    const TIME: Duration = Duration::from_secs(5);
    let nodes = Nodes::many("subscription_counts = true", 3);
    let mut watcher = nodes.client();
    watcher.subscribe("a");
    let mut others: Vec<_> = { nodes.servers.iter() }
        .map(|node| Pusher::connect(&node.addresses[0]))
        .collect();
    for client in &mut others {
        client.ask_to_subscribe("a");
    }
    // Then the nodes know each other.
    while watcher.next() != count("a", 4) {}
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
    let churning = others.into_iter().map(|mut client| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            loop {
                // Something changes after all has been told, too.
                let is_last = stop.load(Relaxed);
                client.send(r#"{"event":"pusher:unsubscribe","data":{"channel":"a"}}"#);
                client.ask_to_subscribe("a");
                if is_last {
                    return client;
                }
                pace(Duration::from_millis(30));
            }
        })
    });
    let churning: Vec<_> = churning.collect();
    let mut told = 0;
    while begun.elapsed() < TIME {
        watcher.next();
        told += 1;
    }
    // Each of the nodes alone would tell so many.
    assert!(told <= TIME.as_secs() + 2, "{told}");
    stop.store(true, Relaxed);
    let clients: Vec<_> = { churning.into_iter() }
        .map(|client| client.join().unwrap())
        .collect();
    while watcher.next() != count("a", 4) {}
    drop(clients);
    while watcher.next() != count("a", 1) {}
}
