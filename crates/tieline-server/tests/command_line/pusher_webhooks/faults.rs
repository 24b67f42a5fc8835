//! What is posted when receivers fail and nodes die.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::{Receiver, Scene, check};
use crate::webhooks::handler::{Reply, Seen};

fn taken() -> Reply {
    Reply::Http(204, String::new(), Vec::new())
}

fn has(seen: &Seen, event: &str) -> bool {
    seen.text().contains(event)
}

#[test]
fn what_is_not_taken_is_posted_again_signed_anew_and_before_what_follows() {
    let failures = Arc::new(AtomicUsize::new(0));
    let receiver = Receiver::answering(move |seen| {
        let fails = has(seen, "presence-x") && failures.fetch_add(1, Relaxed) < 2;
        if fails { Reply::status(500) } else { taken() }
    });
    let scene = Scene::start();
    let _node = scene.node("a", &receiver);
    scene.enter("presence-x", "ada");
    let mut bodies = vec![receiver.0.next()];
    assert!(has(&bodies[0], "channel_occupied"));
    // Another channel does not wait for this one.
    scene.occupy("plain");
    loop {
        let seen = receiver.0.next();
        let is_last = has(&seen, "member_added");
        bodies.push(seen);
        if is_last {
            break;
        }
    }
    let times = bodies.iter().filter(|seen| has(seen, "channel_occupied"));
    let times = times.filter(|seen| has(seen, "presence-x"));
    let times: BTreeSet<_> = times
        .map(|seen| check(seen)["time_ms"].as_u64().unwrap())
        .collect();
    assert_eq!(times.len(), 3, "each attempt has its time");
    assert!(bodies.iter().any(|seen| has(seen, "plain")));
    assert_eq!(bodies.len(), 5);
}

#[test]
fn what_a_node_has_not_posted_when_it_is_killed_is_posted_by_another() {
    // The first node's own requests about the hall are never taken.
    let receiver = Receiver::answering(|seen| {
        let fails = has(seen, "presence-hall") && seen.header("x-node") == "a";
        if fails { Reply::status(503) } else { taken() }
    });
    let scene = Scene::start();
    let a = scene.node("a", &receiver);
    scene.enter("presence-x", "ada");
    receiver.expect(&["channel_occupied presence-x", "member_added presence-x ada"]);
    let _b = scene.node("b", &receiver);
    scene.enter("presence-hall", "bob");
    receiver.expect(&["channel_occupied presence-hall"]);
    // Ada has gone, and the first node has read so: it posts what came after.
    scene.leave("presence-x", "ada");
    scene.occupy("after");
    receiver.until("channel_occupied after");
    drop(a);

    // The second node goes on before what the first was not done with. Some of what follows was posted already.
    let mut missing = BTreeSet::from([
        "channel_occupied presence-hall",
        "member_added presence-hall bob",
        "member_removed presence-x ada",
        "channel_vacated presence-x",
    ]);
    let mut from_b = Vec::new();
    while !missing.is_empty() {
        let seen = receiver.0.next();
        if seen.header("x-node") == "b" {
            let event = super::words(&check(&seen)["events"][0]);
            missing.remove(&*event);
            from_b.push(event);
        }
    }
    let unique: BTreeSet<_> = from_b.iter().collect();
    assert_eq!(
        unique.len(),
        from_b.len(),
        "twice at most, by two nodes: {from_b:?}"
    );
    let place = |event: &str| from_b.iter().position(|one| one == event);
    assert!(place("channel_occupied presence-hall") < place("member_added presence-hall bob"));
    assert!(place("member_removed presence-x ada") < place("channel_vacated presence-x"));
    assert!(
        place("channel_occupied presence-x").is_none(),
        "done long ago: {from_b:?}"
    );
}

#[test]
fn a_node_that_ends_in_order_hands_over_at_once() {
    let receiver = Receiver::start();
    let scene = Scene::with_lease("10m");
    let mut a = scene.node("a", &receiver);
    scene.occupy("one");
    assert_eq!(receiver.request().0.header("x-node"), "a");
    let _b = scene.node("b", &receiver);
    a.signal("TERM");
    assert_eq!(a.exit_code(), Some(0));
    scene.occupy("two");
    let (seen, events) = receiver.request();
    assert_eq!(seen.header("x-node"), "b");
    assert_eq!(super::words(&events[0]), "channel_occupied two");
}

/// Two members of a channel, which the receiver was told.
fn enter_ada_and_bob(scene: &Scene, receiver: &Receiver) {
    scene.enter("presence-x", "ada");
    scene.enter("presence-x", "bob");
    receiver.expect(&[
        "channel_occupied presence-x",
        "member_added presence-x ada",
        "member_added presence-x bob",
    ]);
}

#[test]
fn the_difference_is_posted_after_the_registry_has_lost_its_data() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let _node = scene.node("a", &receiver);
    enter_ada_and_bob(&scene, &receiver);
    scene.runtime.block_on(scene.redis.wipe());
    scene
        .presence
        .exit("presence-x", "bob", tieline::Exit::Left);
    scene.enter("presence-x", "joan");
    // Whoever is there may be posted again.
    let all = receiver.until("member_removed presence-x bob");
    assert!(
        all.iter()
            .any(|event| event == "member_added presence-x joan"),
        "{all:?}"
    );
    let gone = all
        .iter()
        .filter(|event| event.contains("removed") || event.contains("vacated"));
    assert_eq!(gone.count(), 1, "{all:?}");
}

/// Whoever had the place knows what it has told, so another node must not take it first.
#[test]
fn who_goes_while_the_registry_loses_its_data_is_posted_whichever_node_posts() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let _a = scene.node("a", &receiver);
    scene.enter("presence-x", "ada");
    receiver.expect(&["channel_occupied presence-x", "member_added presence-x ada"]);
    let _b = scene.node("b", &receiver);
    for user in ["bob", "joan", "grace"] {
        scene.enter("presence-x", user);
        receiver.until(&format!("member_added presence-x {user}"));
        scene.runtime.block_on(scene.redis.wipe());
        scene.presence.exit("presence-x", user, tieline::Exit::Left);
        receiver.until(&format!("member_removed presence-x {user}"));
    }
}

#[test]
fn who_returns_after_a_loss_is_posted_although_this_node_has_not_posted_the_going() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let a = scene.node("a", &receiver);
    enter_ada_and_bob(&scene, &receiver);
    let b = scene.node("b", &receiver);
    a.signal("STOP");
    scene.occupy("plain");
    receiver.until("channel_occupied plain");
    a.signal("CONT");
    scene.leave("presence-x", "ada");
    receiver.until("member_removed presence-x ada");

    drop(b);
    scene.runtime.block_on(scene.redis.wipe());
    // The first node has the place again, and tells anew who is there.
    receiver.until("member_added presence-x bob");
    scene.enter("presence-x", "ada");
    receiver.until("member_added presence-x ada");
}
