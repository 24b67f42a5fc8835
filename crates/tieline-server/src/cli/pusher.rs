//! From tables of apps to the apps of Pusher Channels.
//!
//! Owns the bounds of what all apps have in common. Must not know what makes an app valid.

use std::time::Duration;

use tieline::PresenceConfig;

use super::table::Table;
use crate::{
    app::hubs::MemberLimits,
    config::{
        error::ConfigErrors,
        hub_name::HubName,
        sections::pusher::{APPS, AppTable, PusherSettings},
        settings::Settings,
        values::{Values, list_scope},
    },
    wire::pusher::{
        app::{Apps, LiveApps},
        member_limits::MAX_GRACE,
    },
};

/// Clients are told in whole seconds, and some take the time that they are told for 32 bits of milliseconds.
const ACTIVITY_TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(24);

/// The apps, if their tables are valid.
pub(super) fn apps(settings: &Settings, values: &Values) -> Result<LiveApps, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let all = Table::new(values, PusherSettings::OPTIONS);
    let own = &settings.pusher;
    let timeout = own.activity_timeout;
    if !ACTIVITY_TIMEOUTS.contains(&timeout) || timeout.subsec_nanos() != 0 {
        errors.add(all.invalid("activity_timeout", "must be whole seconds, 1s to 24h"));
    }
    if own.max_members == 0 {
        let why = "is zero, so nobody could subscribe to a presence channel";
        errors.add(all.invalid("max_members", why));
    }
    if own.member_grace > MAX_GRACE {
        errors.add(all.invalid("member_grace", "must be at most 1h"));
    }
    let members = MemberLimits {
        most: own.max_members,
        grace: own.member_grace,
    };
    let table = |index| Table::at(values, AppTable::OPTIONS, list_scope(APPS, index));
    for (index, app) in settings.pusher_apps.iter().enumerate() {
        let exists = |hub: &HubName| settings.hubs.of(hub.as_str()).is_some();
        if app.hub.as_ref().is_some_and(|hub| !exists(hub)) {
            let why = "names a hub that does not exist, because `only_listed_hubs` is true: give it a table, or leave \
                       `hub` out";
            errors.add(table(index).invalid("hub", why));
        }
    }
    match Apps::of(&settings.pusher_apps, timeout, members) {
        Ok(apps) => errors.into_result(LiveApps::new(apps)),
        Err(all) => {
            for invalid in all {
                errors.add(table(invalid.index).invalid(invalid.option, &invalid.why));
            }
            Err(errors)
        }
    }
}

/// Who is a member of a presence channel, and for how long: for the longest grace of all apps, when the node dies.
pub(super) fn members(settings: &PusherSettings, apps: &Apps) -> PresenceConfig {
    PresenceConfig {
        grace: apps.longest_grace().max(settings.member_grace),
        members: Some(settings.max_members),
        ..PresenceConfig::default()
    }
}
