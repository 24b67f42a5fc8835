//! What was used up on this node, by address, user and hub.
//!
//! Owns how they are named, and for how long they are kept. Must not know the limits.

use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use super::{counts::LimitCounts, table::Table};
use crate::config::hub_name::HubName;

/// How long what nobody uses any more is kept, at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// What was used up on this node.
#[derive(Debug)]
pub(crate) struct Quotas {
    pub(super) addresses: Table<IpAddr>,
    pub(super) users: Table<(HubName, Arc<str>)>,
    pub(super) hubs: Table<HubName>,
    pub(crate) counts: LimitCounts,
}

/// Whom the log names.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) hub: HubName,
    pub(super) address: Option<IpAddr>,
    pub(super) user: Option<Arc<str>>,
}

impl Quotas {
    pub(crate) fn new() -> Self {
        Self {
            addresses: Table::new(),
            users: Table::new(),
            hubs: Table::new(),
            counts: LimitCounts::default(),
        }
    }

    /// Forgets, from time to time, who has used nothing up. Runs for ever.
    pub(crate) async fn sweep(&self) -> Infallible {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            self.addresses.sweep();
            self.users.sweep();
            self.hubs.sweep();
        }
    }
}

/// The address by which clients are counted. One IPv6 client commonly has all addresses of a /64.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hub {}", self.hub)?;
        if let Some(address) = self.address {
            write!(f, ", address {address}")?;
        }
        if let Some(user) = &self.user {
            write!(f, ", user {user:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_client_is_counted_by_its_network_and_a_mapped_one_by_its_address() {
        for (address, counted) in [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("10.1.2.3", "10.1.2.3"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(network(address), counted.parse::<IpAddr>().unwrap());
        }
    }
}
