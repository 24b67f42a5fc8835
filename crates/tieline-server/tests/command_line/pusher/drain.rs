//! What clients are told while a node drains.

use std::time::Instant;

use serde_json::json;

use super::{Nodes, Pusher, door::refused, path};
use crate::kit::DEADLINE;

/// The close, with the same code in the frame before it.
#[track_caller]
fn closed(client: &mut Pusher) -> u16 {
    let (code, message) = client.error();
    let (closed, reason) = client.client.close();
    assert_eq!((code, message), (json!(closed), reason));
    closed
}

#[test]
fn without_another_node_clients_come_back_later_and_newcomers_too() {
    let nodes = Nodes::one("");
    let mut clients = [nodes.client(), nodes.client(), nodes.client()];
    clients.iter_mut().for_each(|client| client.subscribe("a"));
    nodes.servers[0].signal("TERM");
    // They never answer the close frame, so the drain waits for them.
    for client in &mut clients {
        assert_eq!(closed(client), 4100);
    }
    assert_eq!(refused(nodes.address(), &path(), "").0, 4100);
}

#[test]
fn clients_go_to_another_node_at_once_if_it_is_ready() {
    let mut nodes = Nodes::two("client_events = true");
    let [here, there] = nodes.ends().map(str::to_owned);
    // They know each other once an event gets through.
    let mut here = Pusher::connect(&here);
    here.subscribe("private-a");
    let mut clients: Vec<_> = (0..10).map(|_| Pusher::connect(&there)).collect();
    clients[0].subscribe("private-a");
    let begun = Instant::now();
    here.send(r#"{"event":"client-x","channel":"private-a","data":1}"#);
    clients[0].next();
    assert!(begun.elapsed() < DEADLINE);
    nodes.servers[1].signal("TERM");
    for client in &mut clients {
        assert_eq!(closed(client), 4200);
    }
    drop(clients);
    assert_eq!(nodes.servers[1].exit_code(), Some(0));
    nodes.servers[0].signal("TERM");
    assert_eq!(closed(&mut here), 4100);
}

#[test]
fn members_who_come_back_on_another_node_were_never_gone() {
    let mut nodes = Nodes::two("[times]\ndrain_window = \"2s\"\n");
    let [here, there] = nodes.ends().map(str::to_owned);
    let mut grace = Pusher::connect(&here);
    grace.enter(r#"{"user_id":"grace"}"#);
    let mut members: Vec<_> = { 0..11 }
        .map(|number| {
            let data = json!({"user_id": format!("u{number}")});
            let mut member = Pusher::connect(&there);
            member.enter(&data.to_string());
            grace.hears_of("member_added", &data);
            (data, member)
        })
        .collect();
    nodes.servers[1].signal("TERM");
    let (lost, mut gone) = members.pop().unwrap();
    let back: Vec<_> = { members.into_iter() }
        .map(|(data, mut member)| {
            assert!(matches!(member.client.close_code(), 4100 | 4200));
            drop(member);
            let mut member = Pusher::connect(&here);
            let members = member.enter(&data.to_string());
            assert_eq!(members["count"], 12, "{members}");
            member
        })
        .collect();
    gone.client.close_code();
    drop(gone);
    assert_eq!(nodes.servers[1].exit_code(), Some(0));
    // Nothing was told of the others.
    grace.hears_of("member_removed", &lost);
    drop(back);
}
