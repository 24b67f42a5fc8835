//! A message to many clients: one message for each node, not for each client.

use std::sync::Arc;

use bytes::Bytes;
use tieline_websocket::{Frame, FrameKind};

use super::{
    Inner,
    summary::{Summary, SummaryBuilder},
    ticket::Ticket,
};
use crate::{
    Receipt,
    hub::{ExcludedIds, Scope},
    link::{self, Post, wire},
};

/// A message to many, on its way to the other nodes.
pub(super) struct Many {
    whom: Whom,
    except: Option<ExcludedIds>,
    frame: Frame,
    gather: Arc<SummaryBuilder>,
}

/// Whom a message is for.
#[derive(Debug, Clone)]
pub(super) enum Whom {
    Everyone,
    User(Arc<str>),
    Group(Arc<str>),
}

impl Whom {
    pub(super) fn scope(&self) -> Scope<'_> {
        match self {
            Self::Everyone => Scope::Everyone,
            Self::User(name) => Scope::User(name),
            Self::Group(name) => Scope::Group(name),
        }
    }

    fn wire(&self) -> (wire::Scope, &str) {
        match self {
            Self::Everyone => (wire::Scope::Everyone, ""),
            Self::User(name) => (wire::Scope::User, name),
            Self::Group(name) => (wire::Scope::Group, name),
        }
    }
}

impl Inner {
    /// Sends to many, here at once and to other nodes behind what was sent before.
    pub(super) fn post(
        self: &Arc<Self>,
        whom: Whom,
        except: Option<ExcludedIds>,
        frame: Frame,
    ) -> Receipt<Summary> {
        let (gather, receipt) = SummaryBuilder::open();
        self.post_here(&whom, except.as_ref(), &frame, &gather);
        let many = Many {
            whom,
            except,
            frame,
            gather,
        };
        match self.line.add_many(many) {
            Some(many) => self.send_many(&many),
            None => self.advance(),
        }
        receipt
    }

    fn post_here(
        &self,
        whom: &Whom,
        except: Option<&ExcludedIds>,
        frame: &Frame,
        gather: &Arc<SummaryBuilder>,
    ) {
        gather.expect_part();
        let (gather, node) = (Arc::clone(gather), self.address.clone());
        let told = move |reached| gather.part(node, Ok(reached));
        self.hub
            .send_with_callback(whom.scope(), except, frame, told);
    }

    /// Sends to every other node that may have someone.
    pub(super) fn send_many(&self, many: &Many) {
        let (scope, name) = many.whom.wire();
        let hash = link::hash(scope, name);
        let except = many.except.iter().flat_map(|ids| ids.iter());
        let post = Post::Many(wire::Many {
            scope: scope.into(),
            name: Bytes::copy_from_slice(name.as_bytes()),
            data: Bytes::copy_from_slice(many.frame.payload()),
            binary: many.frame.kind() == FrameKind::Binary,
            except: except
                .map(|id| Bytes::copy_from_slice(id.as_bytes()))
                .collect(),
        });
        for peer in self.peers.all().values() {
            let wanted = scope == wire::Scope::Everyone || peer.link.may_have(hash);
            if wanted && peer.is_expected() {
                many.gather.expect_part();
                let ticket = Ticket::Part(Arc::clone(&many.gather), Arc::clone(&peer.address));
                peer.link.post(&post, ticket);
            }
        }
        many.gather.close();
    }
}
