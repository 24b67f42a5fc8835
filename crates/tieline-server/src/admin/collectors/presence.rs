//! Who is in which group, as far as this node knows and says.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use tieline::Presence;

use super::page::{Metric, Page};
use crate::app::hubs::Hubs;

pub(in crate::admin) struct PresenceCollector(pub(in crate::admin) Hubs);

impl Collector for PresenceCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        const STALE: Metric = Metric::count(
            "tieline_presence_stale",
            "Whether what clients were told about members may be out of date",
        );
        const ENTRIES: Metric = Metric::count(
            "tieline_presence_entries",
            "Members, occupied channels and users online that this node has entered",
        );
        let (page, presence) = (&mut Page(encoder), self.0.presence());
        let stale = presence.is_some_and(Presence::is_stale);
        page.gauge(STALE, &u32::from(stale))?;
        page.gauge(ENTRIES, &presence.map_or(0, Presence::entries))
    }
}

impl fmt::Debug for PresenceCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresenceCollector")
    }
}
