//! How many files a process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for what is no connection of the load: the poll, standard streams, `/proc`.
const SPARE: usize = 100;

/// Raises the limit as far as this process may, and says how many connections that allows.
pub(crate) fn raise() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where that is refused, the limit is what it was.
    let _ = setrlimit(Resource::Nofile, wanted);
    let allowed = getrlimit(Resource::Nofile).current;
    allowed
        .and_then(|limit| usize::try_from(limit).ok())
        .map_or(usize::MAX, |limit| limit.saturating_sub(SPARE).max(1))
}
