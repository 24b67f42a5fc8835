//! What is posted while the node ends that posts.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::sync_channel,
    },
    thread,
    time::Duration,
};

use super::{Receiver, Scene, check, words};
use crate::{kit::pace, webhooks::handler::Reply};

/// In a cluster in which more happens before all that has happened is posted.
#[test]
fn a_node_that_ends_posts_what_it_has_taken_and_takes_no_more() {
    let receiver = Receiver::answering(|_| {
        pace(Duration::from_millis(200));
        Reply::Http(200, String::new(), Vec::new())
    });
    let scene = Scene::start();
    let (sender, log) = sync_channel(100_000);
    let headers = receiver.webhook("headers = { x-node = { env = \"NODE\" } }");
    let mut a = scene.node_with("a", &headers, move |line| drop(sender.try_send(line)));
    let is_over = Arc::new(AtomicBool::new(false));
    let coming = thread::spawn({
        let (presence, is_over) = (scene.presence.clone(), Arc::clone(&is_over));
        let runtime = scene.runtime.handle().clone();
        move || {
            let mut users = 0;
            while !is_over.load(Relaxed) {
                let channel = format!("presence-{}", users % 50);
                let user = users.to_string();
                runtime
                    .block_on(presence.enter(&channel, &*user, "{}"))
                    .unwrap();
                users += 1;
                pace(Duration::from_millis(30));
            }
            users
        }
    });
    let next = || {
        let seen = receiver.0.next();
        let event = words(&check(&seen)["events"][0]);
        (seen.header("x-node").to_owned(), event)
    };
    let mut posted = BTreeSet::new();
    let mut until = |node: &str, count: usize| {
        let mut from = 0;
        while from < count {
            let (by, event) = next();
            from += usize::from(by == node);
            posted.insert(event);
        }
    };
    until("a", 20);
    let _b = scene.node("b", &receiver);
    until("a", 20);
    a.signal("TERM");
    until("b", 20);
    assert_eq!(a.exit_code(), Some(0));
    let late = log
        .try_iter()
        .find(|line| line.contains("before all events were sent"));
    assert_eq!(late, None);
    is_over.store(true, Relaxed);
    let users = coming.join().unwrap();
    let expected = |user: usize| format!("member_added presence-{} {user}", user % 50);
    while !(0..users).all(|user| posted.contains(&expected(user))) {
        posted.insert(next().1);
    }
}
