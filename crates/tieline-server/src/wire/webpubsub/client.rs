//! The state of a client's connection.
//!
//! Owns the choice between the subprotocol and the modes of a simple client, the hub, and what the client may
//! do. Invariant: all are decided at the upgrade and never change.

use std::sync::Arc;

use tieline::{Connection, Refusal, StatusCode, UpgradeRequest};

use super::{dialects::RELIABLE, session::SessionSlot};
use crate::app::{
    events::OperationError, hubs::HubHandle, permissions::SharedPermissions, role::Permission,
};

/// The state of a client's connection.
pub(crate) struct Client<M> {
    pub(super) language: Language,
    pub(super) hub: HubHandle,
    /// Those of the connection's data, from `on_connect` on.
    pub(super) permissions: Option<Arc<SharedPermissions>>,
    pub(super) session: SessionSlot<M>,
}

impl<M> Client<M> {
    /// What metrics call its subprotocol.
    pub(super) fn kind(&self, connection: &Connection) -> &'static str {
        match (&self.language, connection.subprotocol()) {
            (Language::Simple(_), _) => "simple",
            (_, Some(name)) if name.eq_ignore_ascii_case(RELIABLE) => "json_reliable",
            _ => "json",
        }
    }
}

/// How a client's messages are read.
#[derive(Debug)]
pub(super) enum Language {
    /// As frames of `json.webpubsub.azure.v1`, also with numbers.
    Json,
    /// As bare payloads.
    Simple(SimpleMode),
}

/// What happens to the payloads of a simple client.
#[derive(Debug)]
pub(super) enum SimpleMode {
    /// They are events named `message`.
    SendEvent,
    /// They go to a group. Boxed, so that clients without one pay nothing for it.
    SendToGroup(Box<TargetGroup>),
}

/// The group that a simple client sends to.
#[derive(Debug)]
pub(super) struct TargetGroup {
    pub(super) group: String,
    pub(super) no_echo: bool,
}

/// Whether a client may do this to a group.
pub(super) fn check(
    permissions: Option<&SharedPermissions>,
    permission: Permission,
    group: &str,
) -> Result<(), OperationError> {
    if permissions.is_some_and(|own| own.lock().permit(permission, group)) {
        return Ok(());
    }
    let name = permission.name();
    Err(OperationError {
        name: "Forbidden",
        message: format!(
            "this client needs the role webpubsub.{name}, or one for the group, such as webpubsub.{name}.GROUP"
        ),
    })
}

impl SimpleMode {
    /// The mode that `webpubsub_mode` of the request's URL selects.
    pub(super) fn of(request: &UpgradeRequest) -> Result<Self, Refusal> {
        match request.query("webpubsub_mode").as_deref() {
            None | Some("" | "sendEvent") => Ok(Self::SendEvent),
            Some("sendToGroup") => {
                let group = request.query("group").filter(|group| !group.is_empty());
                let Some(group) = group else {
                    return bad_request("webpubsub_mode=sendToGroup requires group=NAME");
                };
                let no_echo = request
                    .query("noEcho")
                    .is_some_and(|v| v.eq_ignore_ascii_case("true"));
                Ok(Self::SendToGroup(Box::new(TargetGroup { group, no_echo })))
            }
            Some(mode) => bad_request(&format!(
                "unknown webpubsub_mode {mode:?}; use sendEvent or sendToGroup"
            )),
        }
    }
}

fn bad_request<T>(what: &str) -> Result<T, Refusal> {
    Err(Refusal::new(StatusCode::BAD_REQUEST, format!("{what}\n")))
}
