//! How many members the presence channels of an app may have, and how long these stay.
//!
//! Owns which limits are valid, and that an app without its own has those of all. Must not know channels.

use std::time::Duration;

use crate::{app::hubs::MemberLimits, config::sections::pusher::AppTable};

/// Longest time that a member stays after it is gone.
pub(crate) const MAX_GRACE: Duration = Duration::from_hours(1);

/// The limits of the members of an app, or all that is wrong with them.
pub(super) fn of(
    table: &AppTable,
    default: MemberLimits,
) -> Result<MemberLimits, Vec<(&'static str, String)>> {
    let most = table.max_members.unwrap_or(default.most);
    let grace = table.member_grace.unwrap_or(default.grace);
    let none = table.max_members == Some(0);
    let none = none.then_some((
        "max_members",
        "is zero, so nobody could subscribe to a presence channel",
    ));
    let long = table.member_grace.is_some_and(|grace| grace > MAX_GRACE);
    let long = long.then_some(("member_grace", "must be at most 1h"));
    let wrong = [none, long].into_iter().flatten();
    let wrong: Vec<_> = wrong
        .map(|(option, why)| (option, why.to_owned()))
        .collect();
    if wrong.is_empty() {
        Ok(MemberLimits { most, grace })
    } else {
        Err(wrong)
    }
}
