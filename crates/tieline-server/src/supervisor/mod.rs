//! What the commands do: nodes, their routes, their life.

mod cluster;
mod demo;
mod lifecycle;
mod routes;
mod serve;

pub(crate) use self::{demo::demo, serve::serve};
