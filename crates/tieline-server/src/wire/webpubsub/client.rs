//! The state of a client's connection.
//!
//! Owns the choice between the subprotocol and the modes of a simple client, the hub, and what the client may
//! do. Invariant: all are decided at the upgrade and never change.

use std::sync::Arc;

use tieline::{Connection, Refusal, StatusCode, UpgradeRequest};

use super::{dialects::RELIABLE, session::SessionSlot};
use crate::app::{
    client_data::SharedClientData, events::OperationError, hubs::HubHandle, name, role::Permission,
};

/// The state of a client's connection.
pub(crate) struct Client<M> {
    pub(super) language: Language,
    pub(super) hub: HubHandle,
    /// That of the connection, from `on_connect` on.
    pub(super) data: Option<Arc<SharedClientData>>,
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
    data: Option<&SharedClientData>,
    permission: Permission,
    group: &str,
) -> Result<(), OperationError> {
    if data.is_some_and(|data| data.lock().permit(permission, group)) {
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
        let last = |name| last(request, name).filter(|value| !value.is_empty());
        let mode = last("webpubsub_mode").unwrap_or_else(|| "sendEvent".into());
        if mode.eq_ignore_ascii_case("sendEvent") {
            return Ok(Self::SendEvent);
        }
        if !mode.eq_ignore_ascii_case("sendToGroup") {
            return bad_request(&format!(
                "unknown webpubsub_mode {mode:?}; use sendEvent or sendToGroup"
            ));
        }
        let Some(group) = last("group") else {
            return bad_request("webpubsub_mode=sendToGroup requires group=NAME");
        };
        if let Err(error) = name::check(&group) {
            return bad_request(&format!("group: {error}"));
        }
        let no_echo = match last("noEcho")
            .map(|value| value.to_ascii_lowercase())
            .as_deref()
        {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return bad_request("noEcho must be true or false"),
        };
        Ok(Self::SendToGroup(Box::new(TargetGroup { group, no_echo })))
    }
}

/// Of repeated values, the last counts.
fn last(request: &UpgradeRequest, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let values = pairs.filter(|(other, _)| other == name);
    values.last().map(|(_, value)| value.into_owned())
}

pub(super) fn bad_request<T>(what: &str) -> Result<T, Refusal> {
    Err(Refusal::new(StatusCode::BAD_REQUEST, format!("{what}\n")))
}
