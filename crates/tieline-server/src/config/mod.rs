//! The configuration: one TOML file, under environment variables, under flags.
//!
//! Owns every option, in one list each part of which is typed: from it come the keys of the file, the
//! variables, the flags, their help, the default file and the documentation. Must not know what a setting
//! does, except to the library's configuration. Invariants: an unknown key is refused, a value is checked in
//! every layer, and no text contains a secret.

#[cfg(test)]
mod documentation;
mod environment;
pub(crate) mod error;
mod file;
pub(crate) mod files;
pub(crate) mod hub_name;
pub(crate) mod key_set_location;
pub(crate) mod known;
pub(crate) mod listen;
pub(crate) mod names;
pub(crate) mod option;
pub(crate) mod per_hub;
pub(crate) mod registry_url;
pub(crate) mod secret;
pub(crate) mod secret_headers;
mod section;
pub(crate) mod sections;
pub(crate) mod settings;
pub(crate) mod source;
mod suggest;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod types;
mod units;
pub(crate) mod unix_socket;
pub(crate) mod url_template;
pub(crate) mod values;
pub(crate) mod webhook_url;
