//! The groups of the baseline server, and the bytes that wait for their members.
//!
//! Owns who is in which group, and what each member is to receive at the end of the current look at the
//! sockets. Must not know sockets. Invariants: a client that joins no group costs nothing here, and a
//! client has waiting bytes only if it is listed.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

/// The groups, with clients identified by their index.
#[derive(Debug, Default)]
pub(super) struct Groups {
    members: HashMap<Vec<u8>, Vec<usize>>,
    /// By client; shorter than the clients if the last ones have joined nothing.
    joined: Vec<Joined>,
    /// The clients with waiting bytes. May include clients whose bytes were taken since.
    listed: VecDeque<usize>,
}

/// What a client has joined.
#[derive(Debug, Default)]
struct Joined {
    names: Vec<Vec<u8>>,
    waiting: Vec<u8>,
}

impl Groups {
    pub(super) fn join(&mut self, at: usize, name: &[u8]) {
        if self.joined.len() <= at {
            self.joined.resize_with(at + 1, Joined::default);
        }
        let names = &mut self.joined[at].names;
        if !names.iter().any(|joined| joined == name) {
            names.push(name.to_vec());
            self.members.entry(name.to_vec()).or_default().push(at);
        }
    }

    pub(super) fn leave(&mut self, at: usize, name: &[u8]) {
        let Some(joined) = self.joined.get_mut(at) else {
            return;
        };
        joined.names.retain(|joined| joined != name);
        if let Some(members) = self.members.get_mut(name) {
            members.retain(|member| *member != at);
            if members.is_empty() {
                self.members.remove(name);
            }
        }
    }

    /// A client is gone: it leaves all groups, and nothing waits for it.
    pub(super) fn remove(&mut self, at: usize) {
        let Some(joined) = self.joined.get_mut(at) else {
            return;
        };
        joined.waiting = Vec::new();
        for name in mem::take(&mut joined.names) {
            self.leave(at, &name);
        }
    }

    /// Adds a frame to what waits for each member.
    pub(super) fn publish(&mut self, name: &[u8], frame: &[u8]) {
        for at in self.members.get(name).into_iter().flatten() {
            let waiting = &mut self.joined[*at].waiting;
            if waiting.is_empty() {
                self.listed.push_back(*at);
            }
            waiting.extend_from_slice(frame);
        }
    }

    /// The bytes that wait for a client, to be cleared once they are sent; `None` if there are none.
    #[inline]
    pub(super) fn waiting(&mut self, at: usize) -> Option<&mut Vec<u8>> {
        let joined = self.joined.get_mut(at)?;
        Some(&mut joined.waiting).filter(|waiting| !waiting.is_empty())
    }

    /// Takes the next client from the list.
    pub(super) fn next_listed(&mut self) -> Option<usize> {
        self.listed.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(groups: &mut Groups) -> Vec<(usize, Vec<u8>)> {
        let mut taken = Vec::new();
        while let Some(at) = groups.next_listed() {
            if let Some(waiting) = groups.waiting(at) {
                taken.push((at, mem::take(waiting)));
            }
        }
        taken
    }

    #[test]
    fn what_waits_for_a_member_is_joined() {
        let mut groups = Groups::default();
        for (at, name) in [(0, b"a"), (2, b"a"), (2, b"b"), (2, b"b")] {
            groups.join(at, name);
        }
        groups.publish(b"a", b"1");
        groups.publish(b"b", b"2");
        groups.publish(b"none", b"3");
        let wanted = [(0, b"1".to_vec()), (2, b"12".to_vec())];
        assert_eq!(taken(&mut groups), wanted);
        assert_eq!(taken(&mut groups), []);
    }

    #[test]
    fn a_client_that_left_or_is_gone_receives_nothing() {
        let mut groups = Groups::default();
        (0..3).for_each(|at| groups.join(at, b"a"));
        groups.publish(b"a", b"1");
        groups.remove(1);
        groups.leave(2, b"a");
        groups.leave(7, b"a");
        groups.publish(b"a", b"2");
        let wanted = [(0, b"12".to_vec()), (2, b"1".to_vec())];
        assert_eq!(taken(&mut groups), wanted);
        groups.remove(0);
        assert!(groups.members.is_empty());
    }
}
