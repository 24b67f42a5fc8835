//! The connections of a process, and the poll that they share.
//!
//! Owns opening, decoding, answers to pings and closes, and unsent bytes. Must not know what messages
//! mean, which is up to the [`Handler`]. Invariant: misbehaviour of a server is counted as a fault; errors
//! are those of this machine.

mod connection;
mod dial;
mod timer;

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    mem,
    time::Duration,
};

use mio::{Events, Interest, Poll, Token};

use self::{connection::Connection, dial::Connector, timer::Timer};
use crate::{
    clock::{self, SECOND},
    outcome::Faults,
    partition::Partition,
};

const INPUT: usize = 256 * 1024;
const EVENTS: usize = 1024;
/// The maximum number of reads of one socket in a row, so that a server that never stops sending cannot
/// stall the load.
const READS: usize = 16;
const TIMER: Token = Token(usize::MAX);
/// The timeout of a handshake.
const HANDSHAKE_TIMEOUT: u64 = 10 * SECOND;

/// Callbacks for events. Connections are identified by their index in this process.
pub(crate) trait Handler {
    /// A connection has opened; dialing began at `began`.
    fn opened(&mut self, _connections: &mut Connections, _at: usize, _began: u64, _now: u64) {}
    /// A message has arrived.
    fn message(&mut self, _at: usize, _message: &[u8], _now: u64) {}
    /// All messages of one read have been reported; answer them now.
    fn read(&mut self, _connections: &mut Connections, _now: u64) {}
    /// A socket is writable again.
    fn writable(&mut self, _connections: &mut Connections, _at: usize) {}
    /// A connection has ended, or failed to open.
    fn ended(&mut self, _connections: &mut Connections, _at: usize) {}
}

/// The connections of a process.
#[derive(Debug)]
pub(crate) struct Connections {
    poll: Poll,
    timer: Timer,
    connector: Connector,
    slots: Vec<Option<Connection>>,
    /// The start times of handshakes, oldest first. May include finished ones.
    handshakes: VecDeque<(u64, usize)>,
    input: Vec<u8>,
    /// Connections with more to read, which the edge-triggered poll does not report again.
    ready: VecDeque<usize>,
    /// Connections whose end has not been reported.
    ended: Vec<usize>,
    /// When bytes last arrived.
    last_received: u64,
    /// Open connections.
    pub(crate) open: usize,
    /// The maximum number of open connections.
    pub(crate) most_open: usize,
    /// Handshakes that timed out.
    pub(crate) unanswered: u64,
    /// Connections in their handshake.
    pub(crate) dialing: usize,
    /// The faults so far.
    pub(crate) faults: Faults,
}

impl Connections {
    pub(crate) fn new(partition: &Partition) -> anyhow::Result<(Self, Events)> {
        let poll = Poll::new()?;
        let connections = Self {
            timer: Timer::new(&poll, TIMER)?,
            connector: Connector::new(partition)?,
            slots: (0..partition.sockets()).map(|_| None).collect(),
            handshakes: VecDeque::new(),
            input: vec![0; INPUT],
            ready: VecDeque::new(),
            ended: Vec::new(),
            last_received: clock::now(),
            open: 0,
            most_open: 0,
            unanswered: 0,
            dialing: 0,
            faults: Faults::default(),
            poll,
        };
        Ok((connections, Events::with_capacity(EVENTS)))
    }

    /// Starts to open a connection.
    pub(crate) fn dial(&mut self, at: usize) {
        let began = clock::now();
        let dialed = self.connector.dial(at, began).and_then(|mut connection| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let socket = connection.stream.socket();
            let registered = self.poll.registry().register(socket, Token(at), interest);
            registered.map_err(|e| format!("cannot poll a socket: {e}"))?;
            Ok(connection)
        });
        match dialed {
            Ok(connection) => {
                self.dialing += 1;
                self.handshakes.push_back((began, at));
                self.slots[at] = Some(connection);
                // Most sockets accept the request at once; the others become writable later.
                self.flush(at);
            }
            Err(why) => {
                self.faults.not_opened(why);
                self.ended.push(at);
            }
        }
    }

    pub(crate) fn is_open(&self, at: usize) -> bool {
        self.slots[at]
            .as_ref()
            .is_some_and(|connection| connection.open)
    }

    /// When bytes last arrived.
    pub(crate) fn last_received(&self) -> u64 {
        self.last_received
    }

    /// Drops a connection. This is not a fault and not reported.
    pub(crate) fn drop(&mut self, at: usize) {
        if let Some(connection) = self.slots[at].take() {
            *self.counter(connection.open) -= 1;
        }
    }

    /// Sends a close frame, then drops the connection.
    pub(crate) fn close(&mut self, at: usize) {
        if let Some(connection) = &mut self.slots[at] {
            connection.send_close();
        }
        self.drop(at);
    }

    /// Whether the connection has unsent bytes.
    pub(crate) fn is_congested(&self, at: usize) -> bool {
        self.slots[at]
            .as_ref()
            .is_some_and(Connection::is_congested)
    }

    /// Sends frames; bytes that the socket does not accept are sent later.
    #[inline]
    pub(crate) fn send(&mut self, at: usize, frames: &[u8]) {
        if let Some(connection) = &mut self.slots[at]
            && let Err(e) = connection.send(frames)
        {
            self.fail(at, &broken(&e));
        }
    }

    /// Waits for events until `until`, and reports them. `exactly` waits with microsecond precision, else
    /// milliseconds.
    pub(crate) fn poll_once(
        &mut self,
        events: &mut Events,
        until: u64,
        exactly: bool,
        handler: &mut impl Handler,
    ) -> io::Result<()> {
        self.notify_ended(handler);
        self.wait(events, until, exactly)?;
        for at in mem::take(&mut self.ready) {
            self.read(at, handler);
            self.notify_ended(handler);
        }
        for event in events.iter().filter(|event| event.token() != TIMER) {
            let Token(at) = event.token();
            if event.is_writable() && self.is_waiting_to_write(at) {
                self.open_if_connected(at, handler);
                self.flush(at);
                handler.writable(self, at);
            }
            self.read(at, handler);
            self.notify_ended(handler);
        }
        self.expire_handshakes();
        self.notify_ended(handler);
        Ok(())
    }

    fn wait(&mut self, events: &mut Events, until: u64, exactly: bool) -> io::Result<()> {
        let wait = if self.ready.is_empty() {
            until.saturating_sub(clock::now())
        } else {
            0
        };
        if exactly {
            self.timer.set(until, wait)?;
        }
        let wait = if exactly { Timer::round(wait) } else { wait };
        match self.poll.poll(events, Some(Duration::from_nanos(wait))) {
            Err(e) if e.kind() != ErrorKind::Interrupted => Err(e),
            _ => Ok(()),
        }
    }

    /// Opens a connection for requests: unlike a WebSocket, it has no answer to wait for.
    fn open_if_connected(&mut self, at: usize, handler: &mut impl Handler) {
        if let Some(connection) = &mut self.slots[at]
            && connection.open_if_connected()
        {
            let began = connection.began;
            self.count_open();
            self.finish_open(at, began, clock::now(), handler);
        }
    }

    fn count_open(&mut self) {
        self.dialing -= 1;
        self.open += 1;
        self.most_open = self.most_open.max(self.open);
    }

    fn is_waiting_to_write(&self, at: usize) -> bool {
        self.slots[at]
            .as_ref()
            .is_some_and(|connection| connection.is_congested() || !connection.open)
    }

    fn flush(&mut self, at: usize) {
        if let Some(connection) = &mut self.slots[at]
            && let Err(e) = connection.flush()
        {
            let was_open = connection.open;
            self.fail_to_io(at, was_open, &e);
        }
    }

    /// Reads until the socket is empty or others have to be served.
    fn read(&mut self, at: usize, handler: &mut impl Handler) {
        let mut input = mem::take(&mut self.input);
        let more = (0..READS).all(|_| self.read_once(at, &mut input, handler));
        self.input = input;
        if more && !self.ready.contains(&at) {
            self.ready.push_back(at);
        }
    }

    /// Yields whether there may be more to read.
    fn read_once(&mut self, at: usize, input: &mut [u8], handler: &mut impl Handler) -> bool {
        let Some(connection) = &mut self.slots[at] else {
            return false;
        };
        let was_open = connection.open;
        let read = match connection.receive(input) {
            Ok(Some(read)) => read,
            Ok(None) => return false,
            Err(e) => {
                self.fail_to_io(at, was_open, &e);
                return false;
            }
        };
        let now = clock::now();
        self.last_received = now;
        let result = connection.process(input, read.bytes, |message| {
            handler.message(at, message, now);
        });
        let (opens, began) = (connection.open && !was_open, connection.began);
        if opens {
            self.count_open();
        }
        match result {
            Err(why) => self.fail(at, &why),
            Ok(()) if opens => self.finish_open(at, began, now, handler),
            Ok(()) => {}
        }
        handler.read(self, now);
        !read.last
    }

    fn finish_open(&mut self, at: usize, began: u64, now: u64, handler: &mut impl Handler) {
        let on_open = self.connector.on_open_frames(at);
        if !on_open.is_empty() {
            self.send(at, &on_open);
        }
        if self.is_open(at) {
            handler.opened(self, at, began, now);
        }
    }

    /// Drops a connection and counts the fault.
    fn fail(&mut self, at: usize, why: &str) {
        let Some(connection) = self.slots[at].take() else {
            return;
        };
        *self.counter(connection.open) -= 1;
        if connection.open {
            self.faults.ended(why);
        } else {
            self.faults.not_opened(why);
        }
        self.ended.push(at);
    }

    fn fail_to_io(&mut self, at: usize, was_open: bool, e: &io::Error) {
        let why = if was_open {
            broken(e)
        } else {
            self.connector.cannot_connect(at, e)
        };
        self.fail(at, &why);
    }

    fn counter(&mut self, open: bool) -> &mut usize {
        if open {
            &mut self.open
        } else {
            &mut self.dialing
        }
    }

    fn notify_ended(&mut self, handler: &mut impl Handler) {
        while let Some(at) = self.ended.pop() {
            handler.ended(self, at);
        }
    }

    /// Fails handshakes that have timed out.
    fn expire_handshakes(&mut self) {
        let Some(oldest) = clock::now().checked_sub(HANDSHAKE_TIMEOUT) else {
            return;
        };
        while let Some((began, at)) = self.handshakes.front().copied() {
            let connection = self.slots[at].as_ref();
            let waits =
                connection.is_some_and(|connection| !connection.open && connection.began == began);
            if waits && began > oldest {
                return;
            }
            self.handshakes.pop_front();
            if waits {
                self.unanswered += 1;
                let why = self.connector.no_answer(at);
                self.fail(at, &why);
            }
        }
    }
}

fn broken(e: &io::Error) -> String {
    match e.kind() {
        ErrorKind::UnexpectedEof => {
            "the server dropped a connection without a close frame".to_owned()
        }
        ErrorKind::InvalidData => format!("a connection broke: {e}"),
        kind => format!("a connection broke: {kind}"),
    }
}
