//! The servers of a cluster, and which of them is asked.
//!
//! Owns one channel for each endpoint. One endpoint is asked until it fails, then the next; each
//! registry begins at another, so that nodes spread over the servers. Must not know what is asked.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::RwLock;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::{options::EtcdOptions, url::Address};

/// etcd ends connections that ping more often than every 5 s, or while no call is under way.
const PING_EVERY: Duration = Duration::from_secs(6);
const PONG_WITHIN: Duration = Duration::from_secs(2);

/// How much of an answer may be under way: a lease's keys may be tens of megabytes.
const WINDOW: u32 = 4 << 20;

pub(super) struct Endpoints {
    all: Vec<Server>,
    current: AtomicUsize,
}

struct Server {
    name: String,
    endpoint: Endpoint,
    channel: RwLock<Numbered>,
}

#[derive(Clone)]
struct Numbered {
    number: u64,
    channel: Channel,
}

/// The endpoint that a call goes to.
pub(super) struct Chosen {
    index: usize,
    number: u64,
    pub(super) name: String,
    pub(super) channel: Channel,
}

impl Endpoints {
    /// Says why where an address or a certificate cannot be used. Connects to nothing yet, but wants
    /// a runtime to be there.
    pub(super) fn new(address: &Address, options: &EtcdOptions) -> Result<Self, String> {
        let connecting = match address.hosts.len() {
            1 => options.timeout,
            // So that the next one has time left in the same call.
            _ => options.timeout / 3,
        };
        let server = |host: &String| {
            let endpoint = endpoint(address.tls, host, options)?.connect_timeout(connecting);
            Ok(Server {
                name: host.clone(),
                channel: RwLock::new(Numbered {
                    number: 0,
                    channel: endpoint.connect_lazy(),
                }),
                endpoint,
            })
        };
        let all: Vec<_> = address
            .hosts
            .iter()
            .map(server)
            .collect::<Result<_, String>>()?;
        let current = AtomicUsize::new(fastrand::usize(..all.len()));
        Ok(Self { all, current })
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The endpoint to ask now.
    pub(super) fn choose(&self) -> Chosen {
        let index = self.current.load(Relaxed);
        let server = &self.all[index];
        let Numbered { number, channel } = server.channel.read().clone();
        Chosen {
            index,
            number,
            name: server.name.clone(),
            channel,
        }
    }

    /// Asks another from now on. The channel is not used again: where a server hangs or packets get
    /// lost, only a new connection tells when it is back.
    pub(super) fn failed(&self, chosen: &Chosen) {
        let server = &self.all[chosen.index];
        let mut current = server.channel.write();
        // Many calls may fail at once, some of them late; the first moves on.
        if current.number == chosen.number {
            current.number += 1;
            current.channel = server.endpoint.connect_lazy();
            let next = (chosen.index + 1) % self.all.len();
            let _ = self
                .current
                .compare_exchange(chosen.index, next, Relaxed, Relaxed);
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|server| &*server.name)
    }

    /// The endpoint that is asked now.
    pub(super) fn asked(&self) -> &str {
        &self.all[self.current.load(Relaxed)].name
    }
}

fn endpoint(tls: bool, host: &str, options: &EtcdOptions) -> Result<Endpoint, String> {
    let scheme = if tls { "https" } else { "http" };
    let unreadable = |error: &dyn std::fmt::Display| format!("{host}: {error}");
    let endpoint = Endpoint::from_shared(format!("{scheme}://{host}"))
        .map_err(|error| unreadable(&error))?
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .keep_alive_while_idle(false);
    if !tls {
        return Ok(endpoint);
    }
    let ca = options.ca.as_ref();
    let ca = ca.ok_or("etcds:// needs the certificate of its CA: EtcdOptions::ca_pem")?;
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    if let Some((certificate, key)) = &options.client {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    endpoint.tls_config(config).map_err(|error| {
        let cause = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        format!("the CA, client certificate or key is not readable PEM: {cause}")
    })
}
