//! How many members the presence channels of an app may have, and how long these stay.
//!
//! Owns which limits are valid, and that an app without its own has those of all. Must not know channels.

use std::time::Duration;

use crate::{app::hubs::MemberLimits, config::sections::pusher::AppTable};

/// Longest time that a member stays after it is gone.
pub(crate) const MAX_GRACE: Duration = Duration::from_hours(1);

/// The limits of the members of an app.
pub(super) fn of(
    table: &AppTable,
    default: MemberLimits,
) -> Result<MemberLimits, (&'static str, String)> {
    let most = table.max_members.unwrap_or(default.most);
    if most == 0 {
        let why = "is zero, so nobody could subscribe to a presence channel";
        return Err(("max_members", why.into()));
    }
    let grace = table.member_grace.unwrap_or(default.grace);
    if grace > MAX_GRACE {
        return Err(("member_grace", "must be at most 1h".into()));
    }
    Ok(MemberLimits { most, grace })
}
