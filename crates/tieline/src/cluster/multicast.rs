//! A message to many clients: one message for each node, not for each client.

use std::sync::Arc;

use bytes::Bytes;
use tieline_websocket::{Frame, FrameKind};

use super::{
    Inner,
    pending::PendingReply,
    summary::{Summary, SummaryBuilder},
};
use crate::{
    Receipt,
    hub::{ExcludedIds, Scope},
    link::{self, RequestKind, proto},
};

/// A message to many, on its way to the other nodes.
pub(super) struct Multicast {
    scope: OwnedScope,
    except: Option<ExcludedIds>,
    frame: Frame,
    builder: Arc<SummaryBuilder>,
}

/// Whom a message is for.
#[derive(Debug, Clone)]
pub(super) enum OwnedScope {
    Everyone,
    User(Arc<str>),
    Group(Arc<str>),
}

impl OwnedScope {
    pub(super) fn scope(&self) -> Scope<'_> {
        match self {
            Self::Everyone => Scope::Everyone,
            Self::User(name) => Scope::User(name),
            Self::Group(name) => Scope::Group(name),
        }
    }

    fn wire(&self) -> (proto::Scope, &str) {
        match self {
            Self::Everyone => (proto::Scope::Everyone, ""),
            Self::User(name) => (proto::Scope::User, name),
            Self::Group(name) => (proto::Scope::Group, name),
        }
    }
}

impl Inner {
    /// Sends to many, here at once and to other nodes behind what was sent before.
    pub(super) fn send_multicast(
        self: &Arc<Self>,
        scope: OwnedScope,
        except: Option<ExcludedIds>,
        frame: Frame,
    ) -> Receipt<Summary> {
        let (builder, receipt) = SummaryBuilder::open();
        self.send_here(&scope, except.as_ref(), &frame, &builder);
        let msg = Multicast {
            scope,
            except,
            frame,
            builder,
        };
        match self.ordering.add_multicast(msg) {
            Some(msg) => self.send_multicast_remote(&msg),
            None => self.dispatch_ready(),
        }
        receipt
    }

    fn send_here(
        &self,
        scope: &OwnedScope,
        except: Option<&ExcludedIds>,
        frame: &Frame,
        builder: &Arc<SummaryBuilder>,
    ) {
        builder.expect_part();
        let (builder, node) = (Arc::clone(builder), self.address.clone());
        let callback = move |reached| builder.part(node, Ok(reached));
        self.hub
            .send_with_callback(scope.scope(), except, frame, callback);
    }

    /// Sends to every other node that may have someone.
    pub(super) fn send_multicast_remote(&self, msg: &Multicast) {
        let (scope, name) = msg.scope.wire();
        let hash = link::hash(scope, name);
        let except = msg.except.iter().flat_map(|ids| ids.iter());
        let request = RequestKind::Multicast(proto::Multicast {
            scope: scope.into(),
            name: Bytes::copy_from_slice(name.as_bytes()),
            data: Bytes::copy_from_slice(msg.frame.payload()),
            binary: msg.frame.kind() == FrameKind::Binary,
            except: except
                .map(|id| Bytes::copy_from_slice(id.as_bytes()))
                .collect(),
        });
        for peer in self.peers.all().values() {
            let wanted = scope == proto::Scope::Everyone || peer.link.may_have(hash);
            if wanted && peer.is_in_membership() {
                msg.builder.expect_part();
                let pending =
                    PendingReply::Part(Arc::clone(&msg.builder), Arc::clone(&peer.address));
                peer.link.send(&request, pending);
            }
        }
        msg.builder.close();
    }
}
