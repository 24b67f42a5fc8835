//! From tables of apps to the apps of Pusher Channels.
//!
//! Owns how an error names an option of a table. Must not know what makes an app valid.

use std::time::Duration;

use tieline::PresenceConfig;

use crate::{
    app::hubs::MemberLimits,
    config::{
        error::ConfigErrors,
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
    let timeout = settings.pusher.activity_timeout;
    if !ACTIVITY_TIMEOUTS.contains(&timeout) || timeout.subsec_nanos() != 0 {
        let text = "`pusher.activity_timeout` must be whole seconds, 1s to 24h";
        return Err(ConfigErrors::one(text));
    }
    let members = member_limits(&settings.pusher)?;
    let apps = Apps::of(&settings.pusher_apps, timeout, members).map_err(|invalid| {
        let mut options = AppTable::OPTIONS.iter();
        let option = options.find(|known| known.name == invalid.option);
        let scope = list_scope(APPS, invalid.index);
        let name = option.map(|option| values.name_of(option, Some(&scope)));
        ConfigErrors::one(format!("{} {}", name.unwrap_or_default(), invalid.why))
    })?;
    if let Some(app) = apps.without_hub(|hub| settings.hubs.of(hub.as_str()).is_some()) {
        let text = format!(
            "`hub` of the app {app} names a hub that does not exist, because `only_listed_hubs` is true: give it a \
             table, or leave `hub` out"
        );
        return Err(ConfigErrors::one(text));
    }
    Ok(LiveApps::new(apps))
}

/// The limits of the members of apps that have none of their own.
fn member_limits(settings: &PusherSettings) -> Result<MemberLimits, ConfigErrors> {
    if settings.max_members == 0 {
        let text = "`pusher.max_members` is zero, so nobody could subscribe to a presence channel";
        return Err(ConfigErrors::one(text));
    }
    if settings.member_grace > MAX_GRACE {
        return Err(ConfigErrors::one(
            "`pusher.member_grace` must be at most 1h",
        ));
    }
    Ok(MemberLimits {
        most: settings.max_members,
        grace: settings.member_grace,
    })
}

/// Who is a member of a presence channel, and for how long: for the longest grace of all apps, when the node dies.
pub(super) fn members(settings: &PusherSettings, apps: &Apps) -> PresenceConfig {
    PresenceConfig {
        grace: apps.longest_grace().max(settings.member_grace),
        members: Some(settings.max_members),
        ..PresenceConfig::default()
    }
}
