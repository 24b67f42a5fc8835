//! The operations that send messages, on behalf of a client or a backend, across the cluster.
//!
//! Owns which names in the cluster a message goes to. Must not know encodings: callers pass a frame, or
//! a function that encodes one for each kind of client. Never checks whether the sender is allowed to
//! send; callers do.

use tieline::{Cluster, Connection, Frame, Summary};

use super::user::{ClientKind, cluster_name};

/// Sends to a group on behalf of a client; with `no_echo`, the client itself gets nothing.
pub(crate) fn send_to_group(
    cluster: &Cluster,
    client: &Connection,
    group: &str,
    no_echo: bool,
    frame: Frame,
) {
    if no_echo {
        cluster.except([client.id()]).emit_group(group, frame);
    } else {
        cluster.emit_group(group, frame);
    }
}

/// Sends to all connections of a user, encoded by `encode` for each kind of client. Returns the result
/// for each kind.
pub(crate) async fn send_to_user(
    cluster: &Cluster,
    user: &str,
    encode: impl Fn(ClientKind) -> Frame,
) -> [Summary; 2] {
    let send = |kind| cluster.emit_user(&cluster_name(kind, user), encode(kind));
    // Both are sent before either result is awaited.
    let (enveloped, bare) = (send(ClientKind::Enveloped), send(ClientKind::Bare));
    [enveloped.await, bare.await]
}
