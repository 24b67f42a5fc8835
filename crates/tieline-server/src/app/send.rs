//! The operations that send messages, on behalf of a client or a backend, across the cluster.
//!
//! Must not know encodings: each client gets a message in the dialect of its wire. Never checks whether the
//! sender is allowed to send; callers do.

use tieline::{Cluster, Connection, Receipt, Summary};

use super::{
    about::{self, Metadata},
    payload::Payload,
};

/// Sends to a group on behalf of a client, with what [`about_sender`] yields; with `no_echo`, the client itself gets
/// nothing.
pub(crate) fn send_to_group(
    cluster: &Cluster,
    client: &Connection,
    group: &str,
    no_echo: bool,
    payload: &Payload,
    about: String,
) -> Receipt<Summary> {
    let note = payload.to_note().with_about(about);
    if no_echo {
        cluster.except([client.id()]).emit_group(group, note)
    } else {
        cluster.emit_group(group, note)
    }
}

/// What goes with the message of a client to a group: the wires show who has sent it, and those that know members show
/// it of members only.
pub(crate) fn about_sender(
    client: &Connection,
    is_outsider: bool,
    metadata: Option<&Metadata>,
) -> String {
    let make = if is_outsider {
        about::of_outsider
    } else {
        about::of
    };
    make(client.user().unwrap_or_default(), metadata)
}

/// Sends to all connections of a user.
pub(crate) async fn send_to_user(cluster: &Cluster, user: &str, payload: &Payload) -> Summary {
    cluster.emit_user(user, payload.to_note()).await
}
