//! The command line.
//!
//! Owns the flags, their help, and errors in terms of flags; turns flags into settings, and runs the
//! commands with them. The doc comments of fields are the help texts. Invariant: no secret appears in a
//! text.

#![allow(clippy::doc_markdown, reason = "the help is read in a terminal")]

mod clients;
pub(crate) mod command;
pub(crate) mod common;
mod demo;
pub(crate) mod error;
mod event_handler;
pub(crate) mod key;
mod limits;
mod peers;
mod rates;
mod registry;
mod serve;
mod token;
mod tokens;
