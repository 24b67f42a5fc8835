//! The limit on open file descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Reserved for everything but connections: the poll, standard streams, `/proc`.
const SPARE: usize = 100;

/// Raises the limit to the maximum; yields how many connections it allows.
pub(crate) fn raise() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // If this fails, the limit stays as it was.
    let _ = setrlimit(Resource::Nofile, wanted);
    let allowed = getrlimit(Resource::Nofile).current;
    allowed
        .and_then(|limit| usize::try_from(limit).ok())
        .map_or(usize::MAX, |limit| limit.saturating_sub(SPARE).max(1))
}
