//! What peers ask of this node.
//!
//! Owns the meaning of posts: each is carried out on the hub as if the call had been made here. Knows no
//! streams. What cannot be read is answered `INVALID` and does nothing.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use tieline_websocket::{CloseCode, CloseFrame, Frame};

use super::{
    Inner, NodeClaims,
    many::Whom,
    one::{DECIDED_WITHIN, Deed, Performed, code},
};
use crate::{
    Delivery, Reached,
    hub::ExcludedIds,
    link::{Answer, BoxFuture, Interest, Peer, Post, Receiver, Reply, wire},
};

/// The receiver of this node's port. The port must not keep the cluster alive.
#[derive(Default)]
pub(super) struct Answering {
    cluster: OnceLock<Weak<Inner>>,
    interest: Arc<Interest>,
}

impl Answering {
    pub(super) fn begin(&self, cluster: &Arc<Inner>) {
        // A cluster begins once.
        let _ = self.cluster.set(Arc::downgrade(cluster));
    }

    fn cluster(&self) -> Option<Arc<Inner>> {
        self.cluster.get()?.upgrade()
    }
}

impl Receiver for Answering {
    fn receive(&self, _: &Peer, post: Post) -> Reply {
        match self.cluster() {
            Some(cluster) => cluster.receive(post),
            None => Reply::Now(Answer::Code(wire::Code::NotHere)),
        }
    }

    fn greeted(&self, peer: &Peer) {
        // Whoever has a port and speaks to us is to be spoken to, before the registry names it.
        if let Some(cluster) = self.cluster()
            && let Some(address) = &peer.address
            && cluster.address.as_ref() != Some(address)
        {
            let peer = cluster.peers.meet(address, &cluster);
            if !peer.link.is_up() {
                peer.link.hurry();
            }
        }
    }

    fn interest(&self) -> &Arc<Interest> {
        &self.interest
    }

    fn unary_emit(&self, id: &str, data: Bytes) -> BoxFuture<Delivery> {
        let Some(cluster) = self.cluster() else {
            return Box::pin(async { Delivery::Offline });
        };
        let Some(conn) = cluster.here(id) else {
            cluster.missed(id);
            return Box::pin(async { Delivery::Offline });
        };
        let receipt = cluster.hub.emit_to(&conn, as_ancestor(&data));
        Box::pin(receipt)
    }

    fn unary_online(&self, id: &str) -> bool {
        self.cluster()
            .is_some_and(|cluster| cluster.here(id).is_some())
    }

    fn unary_broadcast(&self, data: Bytes) -> BoxFuture<Reached> {
        match self.cluster() {
            Some(cluster) => Box::pin(cluster.hub.broadcast(as_ancestor(&data))),
            None => Box::pin(async { Reached::default() }),
        }
    }
}

impl Inner {
    fn receive(self: &Arc<Self>, post: Post) -> Reply {
        let reply = match post {
            Post::Emit(emit) => self.one(&emit.id, frame(&emit.data, emit.binary).map(Deed::Emit)),
            Post::Close(close) => self.one(&close.id, close_frame(&close).map(Deed::Close)),
            Post::Membership(change) => {
                let group = text(&change.group).map(Arc::from);
                let deed = if change.leave {
                    Deed::Leave
                } else {
                    Deed::Join
                };
                self.one(&change.id, group.map(deed))
            }
            Post::Many(many) => self.many(&many),
            Post::Evict(evict) => {
                if let Some(claims) = self.claims() {
                    claims.evicted(evict.ids.iter().filter_map(text));
                }
                Some(Reply::Now(Answer::Code(wire::Code::Delivered)))
            }
            Post::Ask(ask) => {
                let (names, more) = self.list_here(&ask);
                let names = names
                    .iter()
                    .map(|name| Bytes::copy_from_slice(name.as_bytes()));
                let names = names.collect();
                Some(Reply::Now(Answer::Listing { names, more }))
            }
        };
        reply.unwrap_or(Reply::Now(Answer::Code(wire::Code::Invalid)))
    }

    /// Does something to one client.
    fn one(self: &Arc<Self>, id: &Bytes, deed: Option<Deed>) -> Option<Reply> {
        let (id, deed) = (text(id)?, deed?);
        let performed = match self.here(id) {
            Some(conn) => self.perform(&conn, &deed),
            None => Performed::Done(wire::Code::NotHere),
        };
        Some(match performed {
            // Whoever asked may send to the group at once.
            Performed::Done(code @ wire::Code::Delivered) if matches!(deed, Deed::Join(_)) => {
                let interest = Arc::clone(&self.interest);
                Reply::Later(Box::pin(async move {
                    interest.settled(DECIDED_WITHIN / 2).await;
                    Answer::Code(code)
                }))
            }
            Performed::Done(code) => {
                if code == wire::Code::NotHere {
                    self.missed(id);
                }
                Reply::Now(Answer::Code(code))
            }
            Performed::Later(receipt) => {
                Reply::Later(Box::pin(async { Answer::Code(code(receipt.await)) }))
            }
        })
    }

    fn many(&self, many: &wire::Many) -> Option<Reply> {
        let frame = frame(&many.data, many.binary)?;
        let name = text(&many.name)?;
        let whom = match wire::Scope::try_from(many.scope).ok()? {
            wire::Scope::Everyone => Whom::Everyone,
            wire::Scope::User => Whom::User(name.into()),
            wire::Scope::Group => Whom::Group(name.into()),
        };
        let except = many.except.iter().map(|id| text(id).map(Arc::from));
        let except: ExcludedIds = except.collect::<Option<_>>()?;
        let except = Some(&except).filter(|ids| !ids.is_empty());
        let mut receipt = self.hub.send_to_scope(whom.scope(), except, &frame);
        Some(match receipt.try_outcome() {
            Some(reached) => Reply::Now(Answer::Reached(reached)),
            None => Reply::Later(Box::pin(async { Answer::Reached(receipt.await) })),
        })
    }

    /// A peer looked here for a client who is not.
    fn missed(&self, id: &str) {
        if let Some(claims) = self.claims() {
            NodeClaims::missed(claims, id);
        }
    }
}

fn text(bytes: &Bytes) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Text stays text and binary stays binary.
fn frame(data: &Bytes, binary: bool) -> Option<Frame> {
    if binary {
        return Some(Frame::binary(data.to_vec()));
    }
    text(data).map(Frame::text)
}

/// The unary service cannot say what the data are; what reads as text is sent as text, as the ancestor
/// does.
fn as_ancestor(data: &Bytes) -> Frame {
    text(data).map_or_else(|| Frame::binary(data.to_vec()), Frame::text)
}

fn close_frame(close: &wire::Close) -> Option<CloseFrame> {
    let code = CloseCode::new(u16::try_from(close.code).ok()?)?;
    Some(CloseFrame::new(code, text(&close.reason)?))
}
