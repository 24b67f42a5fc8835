//! The places of connections that are not upgraded yet.
//!
//! Owns how many there may be, in all and from one address, which of them makes room for a newcomer, and
//! how long each may wait for its client. Must not know HTTP or sockets.
//!
//! Invariants: a request in progress keeps its place; so does a connection that has waited for less than
//! [`PATIENCE`], or a crowd that reconnects at once would push itself out. A connection gives its place up
//! itself, once it has looked at its socket: a busy node may not have read what has long arrived.

use std::{
    collections::{BTreeMap, HashMap},
    future::poll_fn,
    net::{IpAddr, Ipv6Addr},
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::wait::{Lost, PATIENCE, Wait};
use crate::config::Config;

/// How long a connection looks at its socket before it gives its place up. A timer fires only after the
/// runtime has asked the kernel which sockets have something to read.
const LAST_LOOK: Duration = Duration::from_millis(5);

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
    /// The connections that wait for their clients, by when they can be asked for their places.
    waiting: BTreeMap<(Instant, u64), Arc<Notify>>,
    /// The connection that was asked for its place, and has not decided. One at a time, as newcomers are.
    asked: Option<u64>,
    next_id: u64,
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
    /// The address that it counts for, if one is known.
    address: OnceLock<IpAddr>,
    asked: Arc<Notify>,
    /// Locked before the table.
    wait: Mutex<Wait>,
}

/// The result of one attempt to take a place.
enum Attempt {
    Taken(PlaceGuard),
    /// All are taken; one that waits can be asked for its place then, or is being asked now.
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
    /// as many as it may have. Without an address, it counts for none until [`Place::count_for`]. Cancel-safe.
    pub(super) async fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<PlaceGuard> {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.attempt(address.map(network)) {
                Attempt::Taken(place) => return Some(place),
                Attempt::Refused => return None,
                Attempt::Full(None) => changed.await,
                Attempt::Full(Some(at)) => drop(timeout_at(at, changed).await),
            }
        }
    }

    fn attempt(self: &Arc<Self>, address: Option<IpAddr>) -> Attempt {
        let now = Instant::now();
        let mut table = self.table.lock();
        if address.is_some_and(|address| self.has_most(&table, address)) {
            return Attempt::Refused;
        }
        if table.taken >= self.most {
            return Attempt::Full(table.ask_oldest(now));
        }
        table.taken += 1;
        if let Some(address) = address {
            self.count(&mut table, address);
        }
        table.next_id += 1;
        let place = Place {
            places: Arc::clone(self),
            id: table.next_id,
            address: address.map(OnceLock::from).unwrap_or_default(),
            asked: Arc::new(Notify::new()),
            wait: Mutex::new(Wait::No),
        };
        drop(table);
        place.wait_for(Wait::request(now));
        Attempt::Taken(PlaceGuard(Arc::new(place)))
    }

    fn has_most(&self, table: &Table, address: IpAddr) -> bool {
        table.by_address.get(&address) >= Some(&self.most_per_address)
    }

    /// Unless addresses are not bounded.
    fn count(&self, table: &mut Table, address: IpAddr) {
        if self.most_per_address < usize::MAX {
            *table.by_address.entry(address).or_default() += 1;
        }
    }
}

impl Table {
    /// Asks the connection that has waited longest for its place; or returns when it can be asked.
    fn ask_oldest(&mut self, now: Instant) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        let oldest = self.waiting.first_entry()?;
        let (due, id) = *oldest.key();
        if due > now {
            return Some(due);
        }
        oldest.remove().notify_one();
        self.asked = Some(id);
        None
    }

    fn leave(&mut self, address: Option<&IpAddr>) {
        self.taken -= 1;
        if let Some(address) = address
            && let Some(count) = self.by_address.get_mut(address)
        {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(address);
            }
        }
    }
}

impl Place {
    /// Counts a connection that counts for no address yet; false if this one has as many as it may have.
    pub(super) fn count_for(&self, address: IpAddr) -> bool {
        let address = network(address);
        let mut table = self.places.table.lock();
        if self.places.has_most(&table, address) {
            return false;
        }
        if self.address.set(address).is_ok() {
            self.places.count(&mut table, address);
        }
        true
    }

    /// The client sent bytes: if it was idle, a request has begun.
    pub(super) fn bytes_arrived(&self) {
        let mut wait = self.wait.lock();
        match &mut *wait {
            Wait::Request { progress, .. } => *progress = true,
            Wait::Idle { .. } => self.change(&mut wait, Wait::request(Instant::now())),
            Wait::No | Wait::Released => {}
        }
    }

    /// A request is complete. While the guard lives, the place is kept; then the connection is idle.
    pub(super) fn begin_request(self: &Arc<Self>) -> RequestInProgress {
        self.wait_for(Wait::No);
        RequestInProgress(Some(Arc::clone(self)))
    }

    /// When the place is lost, because the client took too long or others need the place.
    ///
    /// Polled by the task that also drives the connection, after it, so that it sees what has changed.
    pub(super) async fn lost(&self) -> Lost {
        let pushed_out = async {
            loop {
                self.asked.notified().await;
                sleep(LAST_LOOK).await;
                if let Some(lost) = self.give_up() {
                    return lost;
                }
            }
        };
        let mut pushed_out = pin!(pushed_out);
        let mut timer = pin!(sleep_until(Instant::now()));
        poll_fn(|cx| {
            if let Poll::Ready(lost) = pushed_out.as_mut().poll(cx) {
                return Poll::Ready(lost);
            }
            let Some((deadline, lost)) = self.deadline() else {
                return Poll::Pending;
            };
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(cx).map(|()| lost)
        })
        .await
    }

    /// Whether the client owes a request, or the rest of one.
    pub(super) fn awaits_request(&self) -> bool {
        matches!(*self.wait.lock(), Wait::Request { .. })
    }

    fn deadline(&self) -> Option<(Instant, Lost)> {
        match *self.wait.lock() {
            Wait::Request { since, .. } => {
                Some((since + self.places.handshake_timeout, Lost::TimedOut))
            }
            Wait::Idle { since } => Some((since + self.places.idle_timeout, Lost::Idle)),
            Wait::No | Wait::Released => None,
        }
    }

    /// Gives the place up if it is still asked for, unless bytes have come. What it was lost for, if it did.
    fn give_up(&self) -> Option<Lost> {
        let mut wait = self.wait.lock();
        if self.places.table.lock().asked != Some(self.id) {
            // It was asked before its last change.
            return None;
        }
        let lost = match *wait {
            Wait::Idle { .. } => Lost::Idle,
            _ => Lost::PushedOut,
        };
        let next = match *wait {
            Wait::Request {
                since,
                progress: true,
                reprieves: left @ 1..,
                ..
            } => Wait::Request {
                since,
                due: Instant::now() + PATIENCE,
                progress: false,
                reprieves: left - 1,
            },
            _ => Wait::Released,
        };
        self.change(&mut wait, next);
        matches!(next, Wait::Released).then_some(lost)
    }

    fn wait_for(&self, next: Wait) {
        self.change(&mut self.wait.lock(), next);
    }

    /// Sets what the connection waits for. What it was asked before is void.
    fn change(&self, wait: &mut Wait, next: Wait) {
        if let Wait::Released = wait {
            return;
        }
        let mut table = self.places.table.lock();
        if let Some(due) = wait.due() {
            table.waiting.remove(&(due, self.id));
        }
        if table.asked == Some(self.id) {
            table.asked = None;
        }
        *wait = next;
        if let Some(due) = next.due() {
            let asked = Arc::clone(&self.asked);
            table.waiting.insert((due, self.id), asked);
        }
        if let Wait::Released = next {
            table.leave(self.address.get());
        }
        drop(table);
        self.places.changed.notify_waiters();
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
        self.0.wait_for(Wait::Released);
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
