//! A plan in several processes, which open, begin and end together.
//!
//! A worker reads its share from standard input as a line of JSON, then an answer, which is a number,
//! for each gate that it waits at; it writes a [`Report`] to standard output, a line each. The end of
//! its standard input ends it, so that no worker outlives whoever started it.

mod handle;
mod merge;
mod message;
mod pool;
mod worker;

pub(crate) use self::pool::run;
pub use self::worker::worker;
