//! When the certificates in use expire, so that operators are told before users find out.
//!
//! Owns what is soon, and how often it is said. Must not know where the files are. Invariant: it decides nothing:
//! TLS uses a certificate that has expired, and clients refuse it.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;
use x509_parser::pem::Pem;

use crate::{app::clock, metrics::METRICS};

/// How long before its end a certificate is spoken of: whoever renews it at two thirds of 90 days has failed for 16.
const SOON: Duration = Duration::from_hours(14 * 24);

/// How often.
pub(super) const AGAIN: Duration = Duration::from_hours(24);

/// The first end among the certificates that are shown to clients or to peers.
#[derive(Clone, Copy)]
pub(crate) struct Expiry {
    /// Whom they are for.
    of: &'static str,
    at: SystemTime,
}

impl Expiry {
    /// That of some chains, as PEM text; `None` if none can be read.
    pub(super) fn of<'a>(of: &'static str, chains: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let at = first_end(chains)?;
        Some(Self { of, at })
    }

    fn has_passed(&self) -> bool {
        self.at <= clock::now()
    }

    fn is_soon(&self) -> bool {
        self.at <= clock::now() + SOON
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.has_passed() {
            "expired"
        } else {
            "expires"
        };
        let at = humantime::format_rfc3339_seconds(self.at);
        write!(f, "a certificate for {} {verb} on {at}", self.of)
    }
}

/// What `config check` says.
pub(crate) fn warnings(all: impl IntoIterator<Item = Expiry>) -> Vec<String> {
    let soon = all.into_iter().filter(Expiry::is_soon);
    soon.map(|expiry| expiry.to_string()).collect()
}

/// Watches the certificates in use.
#[derive(Default)]
pub(super) struct ExpiryWatch {
    /// Of the certificates in use.
    all: Vec<Expiry>,
    /// What was said last, and when.
    said: BTreeMap<&'static str, (SystemTime, Instant)>,
}

impl ExpiryWatch {
    /// Other certificates are in use.
    pub(super) fn replace(&mut self, all: impl IntoIterator<Item = Expiry>) {
        self.all = all.into_iter().collect();
        self.look();
    }

    /// Shows when certificates expire, and says so once a day if that is soon.
    pub(super) fn look(&mut self) {
        for expiry in self.all.clone() {
            let since = expiry.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            METRICS.certificate_expires(expiry.of, since.as_secs());
            if expiry.is_soon() && self.is_due(&expiry) {
                let at = humantime::format_rfc3339_seconds(expiry.at);
                tracing::warn!(of = expiry.of, %at, "a certificate has expired or expires soon");
            }
        }
    }

    fn is_due(&mut self, expiry: &Expiry) -> bool {
        let said = self.said.get(expiry.of);
        if said.is_some_and(|(at, when)| *at == expiry.at && when.elapsed() < AGAIN) {
            return false;
        }
        self.said.insert(expiry.of, (expiry.at, Instant::now()));
        true
    }
}

fn first_end<'a>(chains: impl Iterator<Item = &'a [u8]>) -> Option<SystemTime> {
    let pems = chains.flat_map(Pem::iter_from_buffer);
    let ends = pems.filter_map(|pem| {
        let pem = pem.ok()?;
        let seconds = pem.parse_x509().ok()?.validity().not_after.timestamp();
        // Before 1970 is as good as 1970.
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds.try_into().unwrap_or(0)))
    });
    ends.min()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn expiry(days: &[u64]) -> Expiry {
        let chain = days.iter().map(|days| {
            let mut params = CertificateParams::new(["node.test".to_owned()]).unwrap();
            params.not_after = (clock::now() + Duration::from_hours(days * 24)).into();
            params
                .self_signed(&KeyPair::generate().unwrap())
                .unwrap()
                .pem()
        });
        let chain: String = chain.collect();
        Expiry::of("clients", [chain.as_bytes()].into_iter()).unwrap()
    }

    #[test]
    fn the_first_of_a_chain_counts() {
        assert!(warnings([expiry(&[90])]).is_empty());
        let [warning] = &warnings([expiry(&[90, 13])])[..] else {
            panic!("it is soon");
        };
        assert!(
            warning.starts_with("a certificate for clients expires on "),
            "{warning}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_a_day_and_of_each_new_one() {
        let mut watch = ExpiryWatch::default();
        let (soon, other) = (expiry(&[3]), expiry(&[4]));
        assert!(watch.is_due(&soon) && !watch.is_due(&soon));
        assert!(watch.is_due(&other));
        tokio::time::advance(AGAIN).await;
        assert!(watch.is_due(&other) && !watch.is_due(&other));
    }
}
