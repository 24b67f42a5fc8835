//! Watchlists: a client is told which of the users that it names are online, and when that changes.
//!
//! Owns what is told, and when. Invariant: each user is told of first with what is known, and then only when that has
//! changed.

use std::{sync::Arc, time::Duration};

use futures_util::future::select_all;
use serde_json::value::RawValue;
use tieline::Connection;
use tokio::time::{Instant, timeout_at};

use super::{
    member::Member,
    watched::{WatchedUser, WatchedUsers},
};
use crate::{app::hubs::HubHandle, wire::pusher::outgoing};

/// Users of a watchlist, at most.
pub(in crate::wire::pusher) const MAX_WATCHED: usize = 100;

/// How long a client waits for what is not known yet, to be told of all users at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// The users of a list, which may be missing; one more than are watched at most. `None` if it is no list.
pub(in crate::wire::pusher) fn ids(list: Option<&RawValue>) -> Option<Vec<Arc<str>>> {
    let list = list.map_or("[]", RawValue::get);
    let list: Vec<serde_json::Value> = serde_json::from_str(list).ok()?;
    let mut ids: Vec<Arc<str>> = Vec::new();
    let usable = list.iter().filter_map(serde_json::Value::as_str);
    for id in usable.filter(|id| Member::is_id(id)) {
        if ids.len() > MAX_WATCHED {
            break;
        }
        if !ids.iter().any(|known| **known == *id) {
            ids.push(id.into());
        }
    }
    Some(ids)
}

/// Tells a client of these users from now on.
pub(in crate::wire::pusher) fn start<'a>(
    connection: &Connection,
    (watched, hub): (&WatchedUsers, &HubHandle),
    users: impl Iterator<Item = &'a Arc<str>>,
) {
    let of = |user: &Arc<str>| {
        let watched = watched.watch(hub, user)?;
        Some(Watched {
            id: Arc::clone(user),
            user: watched,
            told: None,
        })
    };
    let users: Vec<_> = users.filter_map(of).collect();
    if users.is_empty() {
        return;
    }
    // It ends with the connection.
    let teller = connection.clone();
    connection.spawn(tell(teller, users));
}

/// A user of a client's watchlist.
struct Watched {
    id: Arc<str>,
    user: Arc<WatchedUser>,
    /// What the client knows.
    told: Option<bool>,
}

async fn tell(connection: Connection, mut users: Vec<Watched>) {
    let deadline = Instant::now() + PATIENCE;
    for user in &users {
        let mut is_online = user.user.is_online.clone();
        let known = is_online.wait_for(Option::is_some);
        // Whoever is not known by then is told of later.
        let _ = timeout_at(deadline, known).await;
    }
    loop {
        let mut receivers: Vec<_> = users.iter().map(|one| one.user.is_online.clone()).collect();
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for (user, receiver) in users.iter_mut().zip(&mut receivers) {
            let now = *receiver.borrow_and_update();
            if now.is_some() && now != user.told {
                user.told = now;
                let list = if now == Some(true) {
                    &mut online
                } else {
                    &mut offline
                };
                list.push(&*user.id);
            }
        }
        if !(online.is_empty() && offline.is_empty()) {
            connection.emit(outgoing::watchlist_events(&online, &offline));
        }
        let changes = receivers.iter_mut().map(|one| Box::pin(one.changed()));
        // An error means that nobody follows the user any more.
        if select_all(changes).await.0.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Vec<String> {
        let list = serde_json::from_str(list).unwrap();
        let ids = ids(Some(list)).unwrap();
        ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_nobody_is_called_is_not_watched() {
        assert_eq!(read(r#"["a","",7,null,"\u0000x","a","b"]"#), ["a", "b"]);
        assert!(read("[]").is_empty() && ids(None).is_some_and(|ids| ids.is_empty()));
        for no_list in ["{}", "7", "\"a\""] {
            assert!(ids(Some(serde_json::from_str(no_list).unwrap())).is_none());
        }
        let long = format!("[\"{}\",\"a\"]", "x".repeat(129));
        assert_eq!(read(&long), ["a"]);
    }
}
