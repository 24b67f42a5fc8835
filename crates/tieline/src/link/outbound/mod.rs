//! The outbound side of links.

mod exchange;
mod link;
mod liveness;
mod queue;
mod run;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod unary_client;

pub(crate) use self::link::Link;
#[cfg(test)]
pub(crate) use self::link::LinkStatus;
