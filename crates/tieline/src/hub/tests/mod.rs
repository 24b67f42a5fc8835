//! Messages to many, nearly all over connections without sockets.
//!
//! On one thread the workers run only when a test awaits, so that what waits can be inspected. A
//! connection's outbox keeps what it gets, since nobody reads.

mod churn;
mod cost;
mod spread;
mod ticks;

use std::{io::IoSlice, sync::Arc, time::Duration};

use tieline_registry::ClientId;

use super::{
    core::Hub,
    dialect::DialectId,
    guard::ConnectionGuard,
    handlers::HandlerSlot,
    inner::{ConnectionInfo, ConnectionInner, ConnectionOptions},
    outbox::{OwnBounds, Written},
    reports::Reports,
};
use crate::config::Config;

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_mins(1), test)
            .await
            .expect("the test ends in time")
    })
}

fn hub(config: Config) -> Hub {
    Hub::new(config).unwrap()
}

fn with_shards(shards: usize) -> Config {
    Config {
        shards: Some(shards),
        max_connections: Some(1_000_000),
        ..Config::default()
    }
}

/// A connection in the group `g`.
fn connect(hub: &Hub, id: &str) -> ConnectionGuard {
    connect_as(hub, id, None, &["g"])
}

/// A connection, without a socket, that is reachable at once.
pub(crate) fn connect_as(
    hub: &Hub,
    id: &str,
    user: Option<&str>,
    groups: &[&str],
) -> ConnectionGuard {
    let info = ConnectionInfo {
        id: ClientId::new(id).unwrap(),
        user: user.map(Arc::from),
        groups: groups.iter().copied().map(Arc::from).collect(),
        subprotocol: None,
        remote_addr: None,
    };
    let options = ConnectionOptions {
        first_message: None,
        farewell: None,
        deflate: false,
        bounds: OwnBounds::default(),
        dialect: DialectId::PLAIN,
        data: None,
        handler: HandlerSlot::NONE,
    };
    hub.register(info, options).unwrap()
}

fn crowd(hub: &Hub, count: usize) -> Vec<ConnectionGuard> {
    (0..count).map(|i| connect(hub, &format!("c{i}"))).collect()
}

fn inner(guard: &ConnectionGuard) -> &Arc<ConnectionInner> {
    guard.connection().inner()
}

/// What is in the outbox of a connection: texts, and the codes of closes.
fn received(guard: &ConnectionGuard) -> Vec<String> {
    let mut bytes = Vec::new();
    let (conn, mut write) = (inner(guard), |slices: &[IoSlice<'_>]| {
        slices
            .iter()
            .for_each(|slice| bytes.extend_from_slice(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    });
    let outbox = &mut conn.send_side.lock().outbox;
    let (rules, mut reports) = (&conn.context.rules, Reports::default());
    while outbox.write(rules, &mut reports, &mut write).unwrap() == Written::Some {}
    texts(&bytes)
}

/// The texts of short frames, and the codes of closes.
fn texts(bytes: &[u8]) -> Vec<String> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while let [kind, length, next @ ..] = rest {
        let payload;
        (payload, rest) = next.split_at((*length).into());
        frames.push(match kind & 15 {
            8 => u16::from_be_bytes([payload[0], payload[1]]).to_string(),
            _ => String::from_utf8(payload.to_vec()).unwrap(),
        });
    }
    frames
}
