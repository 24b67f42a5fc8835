//! A message to many clients: one request for each node, not for each client.
//!
//! Owns who receives a multicast and how its parts are sent. Must not know how its order among other
//! messages is kept. Invariant: each node that may have a receiver gets exactly one part, and each
//! part is counted before it is sent, so that the summary waits for all.

use std::sync::Arc;

use bytes::Bytes;
use tieline_registry::{DEFAULT_NAMESPACE, id};
use tokio::time::Instant;

use super::{
    ordering::{Message, SenderId},
    peers::{Peers, hash},
    pending::{Peer, PendingReply},
    summary::SummaryBuilder,
    wire_content::WireContent,
};
use crate::{
    delivery::Delivery,
    hub::{Cast, ExcludedIds, Hub, Namespace, OwnedScope, ScopeKey},
    link::{Completion, NamespacedRef, NotSent, Outcome, RequestKind, proto},
};

pub(super) struct Multicast {
    scope: OwnedScope,
    except: Option<ExcludedIds>,
    cast: Cast,
    builder: Arc<SummaryBuilder>,
    sender: SenderId,
    started: Instant,
}

impl Message for Multicast {
    fn sender(&self) -> SenderId {
        self.sender
    }

    fn started(&self) -> Instant {
        self.started
    }

    fn bytes(&self) -> usize {
        let except = self.except.iter().flat_map(|ids| ids.iter());
        let except: usize = except.map(|id| id.len()).sum();
        self.cast.len() + Wire::of(&self.scope).name.len() + except
    }
}

impl Multicast {
    /// A message that the current task sends now; `builder` sums up its parts.
    pub(super) fn new(
        scope: OwnedScope,
        except: Option<ExcludedIds>,
        cast: Cast,
        builder: Arc<SummaryBuilder>,
    ) -> Self {
        Self {
            scope,
            except,
            cast,
            builder,
            sender: SenderId::current(),
            started: Instant::now(),
        }
    }

    /// Sends it to the connections of this node, which is reached at `address`.
    pub(super) fn send_local(&self, hub: &Hub, address: Option<Arc<str>>) {
        self.builder.expect_part();
        let builder = Arc::clone(&self.builder);
        let callback = move |reached| builder.add_part(address, Ok(reached));
        let (scope, except) = (self.scope.scope(), self.except.as_ref());
        hub.send_with_callback(scope, except, &self.cast, callback);
    }

    /// Sends it to every other node that may have a receiver. No part is added after this.
    pub(super) fn send_remote(&self, peers: &Peers) {
        let request = NamespacedRef {
            namespace: Wire::of(&self.scope).namespace,
            request: &self.request(),
        };
        self.for_each_part(peers, |peer, part| peer.link.send(&request, part));
    }

    /// Sends it to nobody: too much waits.
    pub(super) fn refuse(&self, peers: &Peers, address: Option<Arc<str>>) {
        self.builder.expect_part();
        self.builder.add_part(address, Err(Delivery::QueueFull));
        self.for_each_part(peers, |_, part| {
            part.complete(Outcome::NotSent(NotSent::QueueFull));
        });
    }

    /// Makes a part for every other node that may have a receiver.
    fn for_each_part(&self, peers: &Peers, send: impl Fn(&Peer, PendingReply)) {
        let hash = key(&self.scope).map(hash);
        for peer in peers.all().values() {
            let may_have = hash.is_none_or(|hash| peer.link.may_have(hash));
            if may_have && peer.is_in_membership() {
                self.builder.expect_part();
                let (builder, node) = (Arc::clone(&self.builder), Arc::clone(&peer.address));
                send(peer, PendingReply::Part(builder, node));
            }
        }
        self.builder.close();
    }

    fn request(&self) -> RequestKind {
        let Wire { scope, name, .. } = Wire::of(&self.scope);
        let bytes = |key: &str| Bytes::copy_from_slice(id::split(key).1.as_bytes());
        let except = self.except.iter().flat_map(|ids| ids.iter());
        let content = WireContent::of(&self.cast);
        let filter = self.cast.filter();
        RequestKind::Multicast(proto::Multicast {
            scope: filter.map_or(scope, |_| filtered(&self.scope)).into(),
            name: Bytes::copy_from_slice(name.as_bytes()),
            data: Bytes::copy_from_slice(content.data),
            binary: content.binary,
            except: except.map(|id| bytes(id)).collect(),
            kind: content.kind,
            about: Bytes::copy_from_slice(content.about),
            filter: filter.map(Bytes::copy_from_slice).unwrap_or_default(),
        })
    }
}

/// A scope as it travels.
struct Wire<'a> {
    scope: proto::Scope,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Wire<'a> {
    fn of(scope: &'a OwnedScope) -> Self {
        let (scope, (namespace, name)) = match scope {
            OwnedScope::Everyone => (proto::Scope::Everyone, (DEFAULT_NAMESPACE, "")),
            OwnedScope::Namespace(namespace) => (proto::Scope::Everyone, (&**namespace, "")),
            OwnedScope::User(key) => (proto::Scope::User, id::split(key)),
            OwnedScope::Group(key) => (proto::Scope::Group, id::split(key)),
        };
        Self {
            scope,
            namespace,
            name,
        }
    }
}

/// By what it is known which nodes have members of a scope; `None` if all may.
fn key(scope: &OwnedScope) -> Option<ScopeKey<'_>> {
    Some(match scope {
        OwnedScope::Everyone => return None,
        OwnedScope::Namespace(name) => ScopeKey::Namespace(name),
        OwnedScope::User(key) => ScopeKey::User(key),
        OwnedScope::Group(key) => ScopeKey::Group(key),
    })
}

/// The scope of a message with a filter.
fn filtered(scope: &OwnedScope) -> proto::Scope {
    match scope {
        OwnedScope::Everyone | OwnedScope::Namespace(_) => proto::Scope::FilteredEveryone,
        OwnedScope::User(_) => proto::Scope::FilteredUser,
        OwnedScope::Group(_) => proto::Scope::FilteredGroup,
    }
}

/// The scope of a request in a namespace, and whether the message has a filter; `None` if it is unknown.
pub(super) fn from_proto(
    scope: i32,
    namespace: &Namespace,
    name: &str,
) -> Option<(OwnedScope, bool)> {
    use proto::Scope;
    let name = || namespace.key(name).into();
    Some(match Scope::try_from(scope).ok()? {
        Scope::Everyone => (namespace.everyone().into(), false),
        Scope::User => (OwnedScope::User(name()), false),
        Scope::Group => (OwnedScope::Group(name()), false),
        Scope::FilteredEveryone => (namespace.everyone().into(), true),
        Scope::FilteredUser => (OwnedScope::User(name()), true),
        Scope::FilteredGroup => (OwnedScope::Group(name()), true),
    })
}
