//! A load generator for WebSocket servers, with a baseline server.
//!
//! The load knows nothing about the server: URLs and messages are templates, and a stamp in each
//! message identifies it when it arrives.
//!
//! - [`plan`] and [`outcome`]: the parameters and the result of a measurement
//! - [`cli`]: the commands of `tieline bench`
//! - [`registry`]: plan and result of a measurement of a registry
//! - `run`: turns a plan into an outcome, in this process or in several (`workers`)
//! - `load`: the scenarios; `connections`: the sockets of a process and the poll that they share
//! - `wire`: the message formats, with their default templates and how a connection opens; `http`: requests;
//!   `token`: what signs both
//! - `target`: starts and stops servers; `trial`: one measurement of a target; `compare`: two targets in
//!   turn
//! - `report`: results as a table, as JSON and as a page
//! - `floor`: the baseline server
//!
//! `ARCHITECTURE.md` has the order in which the modules import each other.

#![cfg_attr(docsrs, feature(doc_cfg))]

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
mod http;
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
mod token;
mod trial;
mod url;
mod usage;
mod validate;
mod wire;
mod workers;

pub use self::{
    affinity::CpuList,
    floor::{Floor, floor},
    progress::Progress,
    run::{run, run_with},
    tls::unverified_tls,
    url::UrlError,
    validate::PlanError,
    workers::worker,
};
