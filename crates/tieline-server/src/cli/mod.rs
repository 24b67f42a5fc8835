//! The command line.
//!
//! Owns the commands, their help, and errors in terms of flags; makes the flags of options from their list in
//! `config`, and runs the commands with the settings. The doc comments of fields are the help texts of
//! flags that are no options. Invariant: no secret appears in a text.

#![allow(clippy::doc_markdown, reason = "the help is read in a terminal")]

mod admin_client;
mod authorities;
mod cluster;
pub(crate) mod command;
mod completions;
mod config;
mod configuration;
pub(crate) mod demo;
mod drain;
pub(crate) mod error;
mod flags;
mod health;
pub(crate) mod key;
mod keys;
mod limits;
mod listening;
mod man;
mod print;
mod pusher;
mod pusher_webhooks;
mod serve;
mod table;
mod token;
mod top;
mod trace;
mod upstream;
