//! How far a handshake has come.
//!
//! Owns who the client is, as far as that is known, and what it owes next, so that whoever watches the time can say it.

use parking_lot::Mutex;

use super::peer::Peer;

/// Shared by what serves a connection and what watches the time.
#[derive(Debug)]
pub(super) struct Progress(Mutex<(Peer, Awaited)>);

/// What the client owes next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Awaited {
    ProxyHeader,
    #[cfg(feature = "tls")]
    Tls,
    Request,
}

impl Progress {
    pub(super) fn new(peer: Peer) -> Self {
        Self(Mutex::new((peer, Awaited::Request)))
    }

    pub(super) fn peer(&self) -> Peer {
        self.0.lock().0
    }

    /// A proxy has said who its client is.
    pub(super) fn announced(&self, client: Peer) {
        *self.0.lock() = (client, Awaited::Request);
    }

    pub(super) fn awaits(&self, awaited: Awaited) {
        self.0.lock().1 = awaited;
    }

    /// What did not come in time.
    pub(super) fn late(&self) -> &'static str {
        match self.0.lock().1 {
            Awaited::ProxyHeader => "the header of the PROXY protocol did not arrive in time",
            #[cfg(feature = "tls")]
            Awaited::Tls => "the TLS handshake was not complete in time",
            Awaited::Request => "a complete request did not arrive in time",
        }
    }
}
