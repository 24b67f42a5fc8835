//! `tieline key`.

use std::io::Write;

use crate::app::key::AccessKey;
use anyhow::Context;

/// Prints a new key.
pub(crate) fn run() -> anyhow::Result<()> {
    let key = AccessKey::generate().context("the system has no random bytes")?;
    writeln!(std::io::stdout(), "{}", key.expose())?;
    Ok(())
}
