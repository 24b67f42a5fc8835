//! How connections come into the hub and leave it.
//!
//! Owns the count of sockets and the rule for duplicate ids. A connection is admitted before its
//! upgrade is answered, so that an id is refused in time and nothing sent to it meanwhile is lost;
//! frames wait in its outbox until the socket is attached.

use std::{
    hash::BuildHasher,
    sync::{Arc, atomic::Ordering},
};

use super::{Connection, Greeting, Hub, Member, Names, shard::Inserted};
use crate::CloseReason;

/// A connection's place in the hub; dropping it ends it.
pub(crate) struct Admission {
    connection: Connection,
}

/// A connection that was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdmissionError {
    #[error("the client id is connected already")]
    Duplicate,
    #[error("the node holds as many connections as it may")]
    Full,
}

impl Hub {
    /// Admits a connection under its names.
    pub(crate) fn admit(
        &self,
        names: Names,
        greeting: Greeting,
    ) -> Result<Admission, AdmissionError> {
        let before = self.0.sockets.fetch_add(1, Ordering::AcqRel);
        // Who replaces its own older connection is let in: soon there is one less.
        if before >= self.0.capacity && !self.online(&names.id) {
            self.0.sockets.fetch_sub(1, Ordering::AcqRel);
            return Err(AdmissionError::Full);
        }
        let shard = self.shard_of(self.0.hasher.hash_one(&*names.id));
        let rules = Arc::clone(&self.0.rules);
        let member = Arc::new(Member::new(names, greeting, shard, rules));
        let inserted = self
            .part(&member)
            .index
            .lock()
            .insert(&member, self.config().duplicate);
        match inserted {
            Inserted::Taken => {
                self.0.sockets.fetch_sub(1, Ordering::AcqRel);
                return Err(AdmissionError::Duplicate);
            }
            Inserted::Replaced(older) if before >= self.0.capacity => {
                // A full node does not wait for its goodbye.
                older.close(CloseReason::Replaced);
                older.abort(CloseReason::Replaced);
            }
            Inserted::Replaced(older) => self.close_member(&older, CloseReason::Replaced),
            Inserted::Fresh => {}
        }
        Ok(Admission {
            connection: Connection::new(self.clone(), member),
        })
    }
}

impl Admission {
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Takes the connection out of the index, so that nothing more is sent to it and its id is free.
    pub(crate) fn forget(&self) {
        let member = self.connection.member();
        self.connection
            .hub()
            .part(member)
            .index
            .lock()
            .remove(member);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let (hub, member) = (self.connection.hub(), self.connection.member());
        let mut index = hub.part(member).index.lock();
        if !index.remove(member) {
            index.tell_left(member);
        }
        drop(index);
        member.detach();
        hub.0.sockets.fetch_sub(1, Ordering::AcqRel);
    }
}
