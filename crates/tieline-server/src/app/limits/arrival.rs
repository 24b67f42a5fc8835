//! A client that connects, and whether there is still room for it.
//!
//! Owns the order: first its address, which costs least to know, then the hub, then the user. Must not know
//! tokens. Invariant: what was taken for a client that is refused later is given back, but for its turn in the
//! rates of connects.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use tieline::{Accept, Inbound};
use tokio::time::Instant;

use super::{
    bucket::Taken,
    counts::{Action, Limited, Scope},
    quota::Quota,
    quotas::{Quotas, Who, network},
    rules::HubLimits,
    table::Place,
};
use crate::config::{hub_name::HubName, sections::limits::ConnectExcess};

/// The longest time that a connect is slowed down; one that would have to wait longer is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// When to come again if there are too many connections. Nobody knows when one ends.
const RETRY_LATER: Duration = Duration::from_secs(5);

/// Why a client may not connect now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitExceeded {
    scope: Scope,
    limited: Limited,
    pub(crate) retry_after: Duration,
}

/// A client on its way in.
#[derive(Debug)]
pub(crate) struct Arrival {
    quotas: Arc<Quotas>,
    limits: Arc<HubLimits>,
    who: Who,
    places: Vec<(Scope, Place)>,
}

impl Arrival {
    /// A client of an address, which may be unknown, on its way into a hub.
    pub(crate) async fn at_hub(
        quotas: Arc<Quotas>,
        limits: Arc<HubLimits>,
        hub: &HubName,
        address: Option<IpAddr>,
    ) -> Result<Self, LimitExceeded> {
        let mut arrival = Self {
            quotas,
            limits,
            who: Who {
                hub: hub.clone(),
                address: address.map(network),
                user: None,
            },
            places: Vec::new(),
        };
        arrival.take(Scope::Address).await?;
        Ok(arrival)
    }

    /// It has shown that it may use the hub.
    pub(crate) async fn admit(&mut self) -> Result<(), LimitExceeded> {
        self.take(Scope::Hub).await
    }

    /// It is this user.
    pub(crate) async fn identify(&mut self, user: &Arc<str>) -> Result<(), LimitExceeded> {
        self.who.user = Some(Arc::clone(user));
        self.take(Scope::User).await
    }

    /// A client with the limits of its hub. They include what the configuration of the library says of every client.
    /// With it comes what it uses up, unless nothing is limited.
    pub(crate) fn apply_to<S>(self, accept: Accept<S>) -> (Accept<S>, Option<Arc<Quota>>) {
        let accept = self.limits.apply_to(accept);
        let mut accept = accept.inbound(Inbound::default());
        let quota = self.connected();
        if let Some(quota) = &quota {
            accept = accept.inbound_limit(Arc::<Quota>::clone(quota));
        }
        (accept, quota)
    }

    /// What counts for as long as the client is connected; `None` if nothing does.
    fn connected(self) -> Option<Arc<Quota>> {
        let Self {
            quotas,
            limits,
            who,
            places,
        } = self;
        if places.is_empty() && !limits.has_rates() {
            return None;
        }
        Some(Arc::new(Quota::new(quotas, limits, who, places)))
    }

    /// Takes what the client needs of one scope. Waits for its turn, if the settings say so.
    async fn take(&mut self, scope: Scope) -> Result<(), LimitExceeded> {
        let limits = *self.limits.of(scope);
        let (quotas, who) = (&self.quotas, &self.who);
        if !limits.is_limited() {
            return Ok(());
        }
        let usage = match (scope, who.address, &who.user) {
            (Scope::Hub, ..) => quotas.hubs.usage(who.hub.clone()),
            (Scope::Address, Some(address), _) => quotas.addresses.usage(address),
            (Scope::User, _, Some(user)) => quotas.users.usage((who.hub.clone(), Arc::clone(user))),
            _ => None,
        };
        let Some(usage) = usage else {
            return Ok(());
        };
        let count = |limited, action| quotas.counts.count(scope, limited, action, who);
        let refuse = |limited, retry_after| {
            count(limited, Action::Refused);
            LimitExceeded {
                scope,
                limited,
                retry_after,
            }
        };
        let most = limits.connections.unwrap_or(usize::MAX);
        let place = Place::take(usage, most);
        let place = place.ok_or_else(|| refuse(Limited::Connections, RETRY_LATER))?;
        if let Some(rate) = limits.connects {
            let longest = match self.limits.connect_excess {
                ConnectExcess::Refuse => Duration::ZERO,
                ConnectExcess::SlowDown => LONGEST_WAIT,
            };
            let connects = &place.usage().connects;
            match connects.take(1, rate, longest, Instant::now()) {
                Taken::Now => {}
                Taken::After(wait) => {
                    count(Limited::Connects, Action::SlowedDown);
                    tokio::time::sleep(wait).await;
                }
                Taken::Refused(retry_after) => return Err(refuse(Limited::Connects, retry_after)),
            }
        }
        self.places.push((scope, place));
        Ok(())
    }
}

impl LimitExceeded {
    /// What there is too much of.
    pub(crate) fn what(&self) -> String {
        let what = match self.limited {
            Limited::Connections => "connections",
            _ => "connects per second",
        };
        let scope = self.scope.name();
        format!("too many {what} of this {scope}; try again later")
    }
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, as Retry-After says", self.what())
    }
}
