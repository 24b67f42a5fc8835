//! The endpoints of a cluster, and which of them is used.
//!
//! Owns one channel per endpoint. One endpoint is used until it fails, then the next one. Each registry starts
//! at a random endpoint, so that the nodes spread over the servers. Must not know the calls.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::RwLock;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::{options::EtcdOptions, url::EtcdUrl};

/// etcd closes connections that ping more often than every 5 s, or while no call is in flight.
const PING_EVERY: Duration = Duration::from_secs(6);
const PONG_WITHIN: Duration = Duration::from_secs(2);

/// The HTTP/2 window, in bytes: a page of the longest keys fits it.
const WINDOW: u32 = 4 << 20;

pub(super) struct Endpoints {
    all: Vec<Server>,
    current: AtomicUsize,
}

struct Server {
    name: String,
    endpoint: Endpoint,
    channel: RwLock<NumberedChannel>,
}

#[derive(Clone)]
struct NumberedChannel {
    number: u64,
    channel: Channel,
}

/// The endpoint to which a call is sent.
pub(super) struct ChosenEndpoint {
    pub(super) index: usize,
    number: u64,
    pub(super) name: String,
    pub(super) channel: Channel,
}

impl ChosenEndpoint {
    /// Whether it is the same connection of the same endpoint.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.index, self.number) == (other.index, other.number)
    }
}

impl Endpoints {
    /// The error says why a host or certificate cannot be used. Connects on the first call, but needs a
    /// tokio runtime already.
    pub(super) fn new(url: &EtcdUrl, options: &EtcdOptions) -> Result<Self, String> {
        let connecting = match url.hosts.len() {
            1 => options.timeout,
            // Leaves time for the next endpoint in the same call.
            _ => options.timeout / 3,
        };
        let server = |host: &String| {
            let endpoint = endpoint(url.tls, host, options)?.connect_timeout(connecting);
            Ok(Server {
                name: host.clone(),
                channel: RwLock::new(NumberedChannel {
                    number: 0,
                    channel: endpoint.connect_lazy(),
                }),
                endpoint,
            })
        };
        let all: Vec<_> = url
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

    /// The endpoint for the next call.
    pub(super) fn choose(&self) -> ChosenEndpoint {
        let index = self.current.load(Relaxed);
        let server = &self.all[index];
        let NumberedChannel { number, channel } = server.channel.read().clone();
        ChosenEndpoint {
            index,
            number,
            name: server.name.clone(),
            channel,
        }
    }

    /// Uses the next endpoint from now on. The channel is replaced: if a server hangs or packets are lost,
    /// only a new connection detects that it is back.
    pub(super) fn failed(&self, chosen: &ChosenEndpoint) {
        let server = &self.all[chosen.index];
        let mut current = server.channel.write();
        // Many calls may fail at once, some of them late; only the first one moves on.
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

    /// The name of the endpoint in use.
    pub(super) fn current(&self) -> &str {
        &self.all[self.current.load(Relaxed)].name
    }
}

/// Why a host or certificate cannot be used, as [`Endpoints::new`] says it. Needs no runtime.
pub(super) fn check(url: &EtcdUrl, options: &EtcdOptions) -> Result<(), String> {
    let mut hosts = url.hosts.iter();
    hosts.try_for_each(|host| endpoint(url.tls, host, options).map(drop))
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
    let ca = ca.ok_or("etcds:// requires the certificate of its CA; set EtcdOptions::ca_pem")?;
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
