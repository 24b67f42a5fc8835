//! What an idle connection costs.

use anyhow::{Result, ensure};

use super::{client::open, server::Server};

const MOST_BYTES: f64 = 1500.0;

/// Fails where it is more than it may be.
pub(crate) fn check(connections: usize) -> Result<()> {
    let bytes = measure_idle(connections)?;
    println!("idle: {bytes:.0} resident bytes per connection, {connections} connections");
    ensure!(
        bytes <= MOST_BYTES,
        "an idle connection costs more than {MOST_BYTES} bytes"
    );
    Ok(())
}

fn measure_idle(connections: usize) -> Result<f64> {
    let server = Server::yardstick()?;
    let warm = open(server.address, usize::MAX)?;
    let before = server.resident()?;
    let sockets = (0..connections)
        .map(|i| open(server.address, i))
        .collect::<Result<Vec<_>>>()?;
    let after = server.resident()?;
    drop((warm, sockets));
    Ok((after - before) / connections as f64)
}
