//! What a filter is asked about.

use std::sync::Arc;

/// The properties of a connection that filters know.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) user_id: Option<&'a str>,
    pub(super) connection_id: &'a str,
    pub(super) protocol: Option<&'a str>,
    pub(super) groups: &'a [Arc<str>],
}
