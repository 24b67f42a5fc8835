//! Measures `yardstick` against what the same machine does in the same minute.
//!
//! ```sh
//! cargo build --release -p tieline --all-features --examples
//! target/release/examples/measure                  # idle and broadcast, as below
//! target/release/examples/measure idle 8000        # connections
//! target/release/examples/measure broadcast 1000 5 # receivers, rounds; then the least ratio
//! target/release/examples/measure emit 100 5       # pairs across two nodes, rounds; then the least rate
//! target/release/examples/measure nodes 1000 5     # receivers over two nodes, rounds; then the least ratio
//! ```
//!
//! Exits with 1 where an idle connection costs more than 1,500 bytes, a broadcast runs at less than
//! half of a bare loop of `send`, fewer than 60,000 messages a second cross from node to node, or a
//! broadcast over two nodes runs at less than 0.7 of one node. The last two need `redis-server` and
//! `taskset`: both nodes and Redis share one processor, the load has another.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "it prints figures, which are not exact"
)]

mod broadcast;
mod client;
mod idle;
mod nodes;
mod server;

use anyhow::Result;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default| arguments.get(i).map_or(Ok(default), |a| a.parse());
    let least = |default| arguments.get(3).map_or(Ok(default), |a| a.parse::<f64>());
    match arguments.first().map(String::as_str) {
        None => {
            idle::check(8000)?;
            broadcast::check(1000, 5, 0.5)
        }
        Some("idle") => idle::check(number(1, 8000)?),
        Some("broadcast") => broadcast::check(number(1, 1000)?, number(2, 5)?, least(0.5)?),
        Some("emit") => nodes::check_emit(number(1, 100)?, number(2, 5)?, least(60_000.0)?),
        Some("nodes") => nodes::check_broadcast(number(1, 1000)?, number(2, 5)?, least(0.7)?),
        Some("floor") => broadcast::floor(number(1, 1000)?),
        Some(other) => {
            anyhow::bail!("{other:?} is unknown; it is idle, broadcast, emit or nodes")
        }
    }
}

/// The middle of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
