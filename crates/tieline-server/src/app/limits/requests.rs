//! Requests of backends: how many a hub or an app may have, and how often an address may fail to prove that it is a
//! backend.
//!
//! Must not know how a backend proves itself, nor how a wire refuses. Invariants: nothing that a stranger sends takes
//! from what a hub or an app may have; an address that has failed too often is not listened to, whatever it sends, so
//! that guessing costs the server no signature and a guess that is right gets nowhere.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    bucket::{Rate, Taken},
    counts::{Action, Limited, Scope},
    quotas::{Quotas, network},
    table::Usage,
};
use crate::config::hub_name::HubName;

/// The limits of requests that a hub has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestLimits {
    pub(super) hub: Option<Rate>,
    /// Of an address, whichever hub it asks for.
    pub(super) failed: Option<Rate>,
    pub(super) burst: Duration,
}

/// Why a request is not carried out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyRequests {
    retry_after: Duration,
    scope: Scope,
}

/// Somebody at an address who is about to prove that it is a backend.
#[derive(Debug)]
#[must_use = "a failure is to be counted"]
pub(crate) struct Attempt(Option<(Arc<Quotas>, Rate, IpAddr)>);

impl Attempt {
    /// Whether the address may try; one that is unknown always may.
    pub(crate) fn begin(
        quotas: &Arc<Quotas>,
        limits: RequestLimits,
        address: Option<IpAddr>,
    ) -> Result<Self, TooManyRequests> {
        let (Some(rate), Some(address)) = (limits.failed, address) else {
            return Ok(Self(None));
        };
        let address = network(address);
        let usage = quotas.addresses.known(&address);
        if let Some(wait) = usage.and_then(|it| it.requests.lacks(1, rate, Instant::now())) {
            return Err(quotas.refuse(Scope::Address, wait, &format_args!("address {address}")));
        }
        Ok(Self(Some((Arc::clone(quotas), rate, address))))
    }

    /// It has failed to.
    pub(crate) fn failed(&self) {
        let Some((quotas, rate, address)) = &self.0 else {
            return;
        };
        if let Some(usage) = quotas.addresses.usage(*address) {
            // Of those who fail at the same moment, some find nothing left to take.
            take(&usage, *rate).unwrap_or_default();
        }
    }
}

impl RequestLimits {
    /// A rate with the same burst.
    pub(crate) fn with_rate(self, per_second: Option<u32>) -> Self {
        let hub = Rate::of(per_second, self.burst);
        Self { hub, ..self }
    }
}

impl Quotas {
    /// Takes a request of a backend from what a hub or an app may have.
    pub(crate) fn take_request(
        &self,
        limits: RequestLimits,
        whose: &HubName,
    ) -> Result<(), TooManyRequests> {
        let Some(rate) = limits.hub else {
            return Ok(());
        };
        let Some(usage) = self.hubs.usage(whose.clone()) else {
            return Ok(());
        };
        take(&usage, rate)
            .map_err(|wait| self.refuse(Scope::Hub, wait, &format_args!("hub {whose}")))
    }

    fn refuse(
        &self,
        scope: Scope,
        retry_after: Duration,
        who: &impl std::fmt::Display,
    ) -> TooManyRequests {
        self.counts
            .count(scope, Limited::Requests, Action::Refused, who);
        TooManyRequests { retry_after, scope }
    }
}

/// Takes a request, or says when there is one.
fn take(usage: &Usage, rate: Rate) -> Result<(), Duration> {
    let taken = usage.requests.take(1, rate, Duration::ZERO, Instant::now());
    match taken {
        Taken::Now | Taken::After(_) => Ok(()),
        Taken::Refused(wait) => Err(wait),
    }
}

impl TooManyRequests {
    /// For `Retry-After`.
    pub(crate) fn retry_after(self) -> u64 {
        whole_seconds(self.retry_after)
    }

    /// For the backend's developer.
    pub(crate) fn message(self) -> &'static str {
        match self.scope {
            Scope::Address => {
                "too many requests from this address were not authorized; try again later"
            }
            _ => "too many requests per second for this hub or app; try again later",
        }
    }
}

/// A wait as `Retry-After` says it.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    u64::try_from(seconds).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn limits() -> RequestLimits {
        let rate = Some(Rate {
            per_second: NonZeroU32::MIN,
            burst: Duration::from_secs(2),
        });
        RequestLimits {
            hub: rate,
            failed: rate,
            burst: Duration::from_secs(2),
        }
    }

    fn attempt(quotas: &Arc<Quotas>, address: &str) -> Result<Attempt, TooManyRequests> {
        Attempt::begin(quotas, limits(), Some(address.parse().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_is_not_listened_to_and_others_are() {
        let quotas = Arc::new(Quotas::new());
        // Success takes nothing.
        for _ in 0..10 {
            drop(attempt(&quotas, "192.0.2.1").unwrap());
        }
        assert_eq!(quotas.addresses.len(), 0, "nothing is kept of who succeeds");
        for _ in 0..2 {
            attempt(&quotas, "192.0.2.1").unwrap().failed();
        }
        assert_eq!(attempt(&quotas, "192.0.2.1").unwrap_err().retry_after(), 1);
        assert!(attempt(&quotas, "192.0.2.2").is_ok());
        assert!(Attempt::begin(&quotas, limits(), None).is_ok());
        // An IPv6 client has a whole network.
        for host in ["2001:db8::1", "2001:db8::2"] {
            attempt(&quotas, host).unwrap().failed();
        }
        assert!(attempt(&quotas, "2001:db8::3").is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(attempt(&quotas, "192.0.2.1").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hub_has_its_requests_and_another_has_its_own() {
        let quotas = Quotas::new();
        let [chat, news] = ["chat", "news"].map(|name| name.parse::<HubName>().unwrap());
        let take = |hub: &HubName| quotas.take_request(limits(), hub);
        assert_eq!((take(&chat), take(&chat)), (Ok(()), Ok(())));
        assert_eq!(take(&chat).unwrap_err().retry_after(), 1);
        assert_eq!(take(&news), Ok(()));
        // One of two seconds is left.
        let faster = limits().with_rate(Some(10));
        for _ in 0..10 {
            assert_eq!(quotas.take_request(faster, &news), Ok(()));
        }
        assert!(quotas.take_request(faster, &news).is_err());
        let unlimited = limits().with_rate(None);
        assert_eq!(quotas.take_request(unlimited, &news), Ok(()));
    }
}
