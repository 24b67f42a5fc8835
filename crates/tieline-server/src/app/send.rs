//! The operations that send messages, on behalf of a client or a backend, across the cluster.
//!
//! Must not know encodings: each client gets a message in the dialect of its wire. Never checks whether the
//! sender is allowed to send; callers do.

use tieline::{Cluster, Connection, Receipt, Summary};

use super::{
    about::{self, Metadata},
    payload::Payload,
};

/// Sends to a group on behalf of a client; with `no_echo`, the client itself gets nothing.
pub(crate) fn send_to_group(
    cluster: &Cluster,
    client: &Connection,
    group: &str,
    no_echo: bool,
    payload: &Payload,
    metadata: Option<&Metadata>,
) -> Receipt<Summary> {
    // The wires show who has sent it.
    let about = about::of(client.user().unwrap_or_default(), metadata);
    let note = payload.to_note().with_about(about);
    if no_echo {
        cluster.except([client.id()]).emit_group(group, note)
    } else {
        cluster.emit_group(group, note)
    }
}

/// Sends to all connections of a user.
pub(crate) async fn send_to_user(cluster: &Cluster, user: &str, payload: &Payload) -> Summary {
    cluster.emit_user(user, payload.to_note()).await
}
