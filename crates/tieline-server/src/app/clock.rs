//! The wall clock.
//!
//! Owns the one place that reads it. Must not be used to measure how long something takes: it may be set.

use std::time::SystemTime;

/// The time by the wall clock: that of tokens, signatures and events, which other machines compare with theirs.
#[expect(
    clippy::disallowed_methods,
    reason = "other machines know no other clock"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The same in whole milliseconds since 1970.
pub(crate) fn unix_milliseconds() -> u128 {
    let since = now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis())
}

/// The same in whole seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    let since = now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
