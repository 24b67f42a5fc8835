//! A load program for WebSocket servers, and the bare server that tells what the machine can do.
//!
//! The load knows nothing of the server: addresses and messages are templates, and what comes back is
//! recognised by the stamp in it.
//!
//! - [`plan`] and [`outcome`]: what a measurement does, and what it found
//! - [`cli`]: the commands of `tieline bench`; `target`: servers that are started for a measurement;
//!   `trial`: one measurement from start to end; `compare`: two servers in turn
//! - `report`, `progress`: what a person sees
//! - [`registry`]: what is said of a registry, whoever measures it
//! - `run`: where a plan becomes an outcome; `workers`: the same in several processes; `share`: what
//!   one process does of it; `coordinate`: what a load asks of whoever runs it
//! - `load`: the scenarios, and the path of a measured message
//! - `connections`: the connections of a process and their poll; `stream`, `tls`, `handshake`, `url`
//! - `template`, `stamp`, `frame`: what is sent, and how it is told when it comes
//! - `process`, `pin`, `descriptors`, `clock`: what the machine says and allows
//! - `floor`: the bare server

mod affinity;
mod baseline;
pub mod cli;
mod clock;
mod compare;
mod connections;
mod coordinator;
mod fd_limit;
mod floor;
mod format;
mod frame;
mod handshake;
mod load;
pub mod outcome;
mod partition;
pub mod plan;
mod process_stats;
mod progress;
mod progress_bar;
pub mod registry;
mod report;
mod run;
#[cfg(test)]
mod sample;
mod stamp;
mod stream;
mod target;
mod template;
mod tls;
mod trial;
mod url;
mod usage;
mod validate;
mod workers;

pub use self::{
    floor::{Floor, floor},
    progress::Progress,
    run::{run, run_with},
    url::UrlError,
    validate::PlanError,
    workers::worker,
};
