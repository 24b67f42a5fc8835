//! The places of connections that are not upgraded yet.
//!
//! Owns how many there may be, in all and from one address, which of them makes room for a newcomer, and
//! how long each may wait for its client. Must not know HTTP or sockets.
//!
//! Invariants: a request in progress keeps its place; so does a connection that has waited for less than
//! [`PATIENCE`], or a crowd that reconnects at once would push itself out.

use std::{
    collections::{BTreeMap, HashMap},
    future::poll_fn,
    net::{IpAddr, Ipv6Addr},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How long a connection may wait for its client before it can be pushed out: several round trips, for TLS.
const PATIENCE: Duration = Duration::from_millis(500);

/// All places of a listener.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    handshake_timeout: Duration,
    idle_timeout: Duration,
    table: Mutex<Table>,
    /// A place has become free, or its connection has begun to wait.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    taken: usize,
    /// Kept only if addresses are bounded.
    by_address: HashMap<IpAddr, usize>,
    /// The connections that wait for their clients, the one that has waited longest first.
    waiting: BTreeMap<(Instant, u64), Waiting>,
    next_id: u64,
}

#[derive(Debug)]
struct Waiting {
    address: IpAddr,
    pushed_out: CancellationToken,
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
    address: IpAddr,
    /// Cancelled with the table locked.
    pushed_out: CancellationToken,
    wait: Mutex<Wait>,
}

/// What a connection waits for. Locked before the table.
#[derive(Debug, Clone, Copy)]
enum Wait {
    /// For the TLS handshake and a complete request head, since the accept or the request's first byte.
    Request { since: Instant },
    /// For the first byte of another request.
    Idle { since: Instant },
    /// For nothing that its client owes us.
    No,
}

/// Why a connection has lost its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    TimedOut,
    PushedOut,
}

/// The result of one attempt to take a place.
enum Attempt {
    Taken(PlaceGuard),
    /// All are taken; the one that has waited longest can be pushed out then.
    Full(Option<Instant>),
    /// The address has as many as it may have.
    Refused,
}

impl Places {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            most: config.handshakes(),
            most_per_address: config.max_handshakes_per_address.unwrap_or(usize::MAX),
            handshake_timeout: config.handshake_timeout,
            idle_timeout: config.http_idle_timeout,
            table: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Takes a place for a connection that was just accepted, once there is one; `None` if its address has
    /// as many as it may have. Cancel-safe.
    pub(super) async fn take(self: &Arc<Self>, address: IpAddr) -> Option<PlaceGuard> {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.attempt(network(address)) {
                Attempt::Taken(place) => return Some(place),
                Attempt::Refused => return None,
                Attempt::Full(None) => changed.await,
                Attempt::Full(Some(at)) => drop(timeout_at(at, changed).await),
            }
        }
    }

    fn attempt(self: &Arc<Self>, address: IpAddr) -> Attempt {
        let now = Instant::now();
        let mut table = self.table.lock();
        let bounded = self.most_per_address < usize::MAX;
        if bounded && table.by_address.get(&address) >= Some(&self.most_per_address) {
            return Attempt::Refused;
        }
        if table.taken >= self.most {
            let oldest = table.waiting.first_entry();
            let Some(oldest) = oldest else {
                return Attempt::Full(None);
            };
            let patient_until = oldest.key().0 + PATIENCE;
            if patient_until > now {
                return Attempt::Full(Some(patient_until));
            }
            let oldest = oldest.remove();
            oldest.pushed_out.cancel();
            table.leave(oldest.address);
        }
        table.taken += 1;
        if bounded {
            *table.by_address.entry(address).or_default() += 1;
        }
        table.next_id += 1;
        let place = Place {
            places: Arc::clone(self),
            id: table.next_id,
            address,
            pushed_out: CancellationToken::new(),
            wait: Mutex::new(Wait::No),
        };
        drop(table);
        place.wait_for(Wait::Request { since: now });
        Attempt::Taken(PlaceGuard(Arc::new(place)))
    }
}

impl Table {
    fn leave(&mut self, address: IpAddr) {
        self.taken -= 1;
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

impl Place {
    /// The client sent bytes: if it was idle, a request has begun.
    pub(super) fn bytes_arrived(&self) {
        let idle = matches!(*self.wait.lock(), Wait::Idle { .. });
        if idle {
            let since = Instant::now();
            self.wait_for(Wait::Request { since });
        }
    }

    /// A request is complete. While the guard lives, the place is kept; then the connection is idle. `None`
    /// if the place is lost already.
    pub(super) fn begin_request(self: &Arc<Self>) -> Option<RequestInProgress> {
        self.wait_for(Wait::No)
            .then(|| RequestInProgress(Some(Arc::clone(self))))
    }

    /// When the place is lost, because the client took too long or others need the place.
    ///
    /// Polled by the task that also drives the connection, after it, so that it sees what has changed.
    pub(super) async fn lost(&self) -> Lost {
        let mut pushed_out = pin!(self.pushed_out.cancelled());
        let mut timer = pin!(sleep_until(Instant::now()));
        poll_fn(|cx| {
            if pushed_out.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Lost::PushedOut);
            }
            let Some(deadline) = self.deadline() else {
                return Poll::Pending;
            };
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(cx).map(|()| Lost::TimedOut)
        })
        .await
    }

    fn deadline(&self) -> Option<Instant> {
        match *self.wait.lock() {
            Wait::Request { since } => Some(since + self.places.handshake_timeout),
            Wait::Idle { since } => Some(since + self.places.idle_timeout),
            Wait::No => None,
        }
    }

    /// Sets what the connection waits for; false if its place is lost already.
    fn wait_for(&self, next: Wait) -> bool {
        let mut wait = self.wait.lock();
        let mut table = self.places.table.lock();
        if self.pushed_out.is_cancelled() {
            return false;
        }
        if let Some(since) = wait.since() {
            table.waiting.remove(&(since, self.id));
        }
        *wait = next;
        if let Some(since) = next.since() {
            let waiting = Waiting {
                address: self.address,
                pushed_out: self.pushed_out.clone(),
            };
            table.waiting.insert((since, self.id), waiting);
            drop(table);
            self.places.changed.notify_waiters();
        }
        true
    }

    /// Gives the place back: the connection has ended, or is upgraded.
    fn release(&self) {
        if self.wait_for(Wait::No) {
            self.places.table.lock().leave(self.address);
            self.places.changed.notify_waiters();
        }
    }
}

impl Wait {
    fn since(self) -> Option<Instant> {
        match self {
            Self::Request { since } | Self::Idle { since } => Some(since),
            Self::No => None,
        }
    }
}

/// A place that is given back on drop. Not the drop of the place itself: the stream refers to it too, and
/// may live on in an upgraded connection.
#[derive(Debug)]
pub(super) struct PlaceGuard(Arc<Place>);

impl PlaceGuard {
    pub(super) fn place(&self) -> &Arc<Place> {
        &self.0
    }
}

impl Drop for PlaceGuard {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A request that is handled, or whose response is being sent.
#[derive(Debug)]
pub(super) struct RequestInProgress(Option<Arc<Place>>);

impl RequestInProgress {
    /// The connection will not be one of HTTP any more, and so is never idle.
    pub(super) fn upgraded(mut self) {
        self.0 = None;
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            let since = Instant::now();
            place.wait_for(Wait::Idle { since });
        }
    }
}

/// The address by which connections are counted. One IPv6 client commonly has all addresses of a /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
