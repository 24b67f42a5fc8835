//! Runs a plan in several processes, which open, begin and end together.
//!
//! A worker reads its part of the plan from standard input as a line of JSON, then one number for each
//! barrier that it waits at. It writes messages to standard output, a line of JSON each. It exits when its
//! standard input closes, so that no worker outlives the process that started it.

mod handle;
mod merge;
mod message;
mod pool;
mod worker;

pub(crate) use self::pool::run;
pub use self::worker::worker;
