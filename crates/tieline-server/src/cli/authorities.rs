//! The authorities that may have signed the certificate of a server that is asked.
//!
//! Reads the file that an option `ca` names, and checks that it can be used. Must not know who is asked.

use std::path::Path;

use super::table::Table;
use crate::{
    config::{error::ConfigErrors, files},
    http_client::Authorities,
};

/// What is in the file of `ca`. `is_https`: whether the server is asked over TLS, or the file is not used.
pub(super) fn read(
    ca: Option<&Path>,
    is_https: bool,
    table: &Table<'_>,
) -> Result<Option<Vec<u8>>, ConfigErrors> {
    let Some(path) = ca else {
        return Ok(None);
    };
    let unusable = |why: String| ConfigErrors::unreadable(table.invalid("ca", &why));
    let pem = files::read(path).map_err(|error| unusable(format!("cannot be used: {error:#}")))?;
    let checked = Authorities::of(is_https, Some(&pem)).check();
    checked.map_err(|error| unusable(format!("cannot be used: {}: {error}", path.display())))?;
    Ok(Some(pem))
}
