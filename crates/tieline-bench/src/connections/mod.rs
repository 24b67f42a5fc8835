//! The connections of a process, and the one poll that they share.
//!
//! It opens them, cuts what they receive into messages, answers pings and closes, and keeps what a
//! socket did not take. What messages mean is the business of the [`Handler`]. Whatever a server does, it
//! becomes a fault that is counted; errors are those of this machine.

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

use self::{connection::Connection, dial::Dialer, timer::Timer};
use crate::{
    clock::{self, SECOND},
    outcome::Faults,
    partition::Share,
};

const INPUT: usize = 256 * 1024;
const EVENTS: usize = 1024;
/// So often a socket is read before it is another's turn: a server that never stops sending must not
/// stop the clock.
const READS: usize = 16;
const TIMER: Token = Token(usize::MAX);
/// A server that has not answered a handshake by then is not waited for.
const PATIENCE: u64 = 10 * SECOND;

/// Who is told what happens. Connections go by their index within this process.
pub(crate) trait Handler {
    /// A connection is open; it was begun at `began`.
    fn opened(&mut self, _connections: &mut Connections, _at: usize, _began: u64, _now: u64) {}
    /// A message has come.
    fn message(&mut self, _at: usize, _message: &[u8], _now: u64) {}
    /// All messages of one read have been told: this is the time to answer.
    fn read(&mut self, _connections: &mut Connections, _now: u64) {}
    /// A socket takes bytes again.
    fn writable(&mut self, _connections: &mut Connections, _at: usize) {}
    /// A connection has ended, or could not be opened.
    fn ended(&mut self, _connections: &mut Connections, _at: usize) {}
}

/// The connections of a process.
#[derive(Debug)]
pub(crate) struct Connections {
    poll: Poll,
    timer: Timer,
    dialer: Dialer,
    slots: Vec<Option<Connection>>,
    /// Since when handshakes are under way, the oldest first; those that are over still stand here.
    handshakes: VecDeque<(u64, usize)>,
    input: Vec<u8>,
    /// Those that have more to read, though the poll does not say so again.
    ready: VecDeque<usize>,
    /// Those whose end has not been told yet.
    endings: Vec<usize>,
    /// When bytes last came.
    stirred: u64,
    /// How many are open.
    pub(crate) open: usize,
    /// How many were open at most.
    pub(crate) most_open: usize,
    /// Handshakes that were not answered in time.
    pub(crate) unanswered: u64,
    /// How many are being opened.
    pub(crate) dialing: usize,
    /// What went wrong.
    pub(crate) faults: Faults,
}

impl Connections {
    pub(crate) fn new(share: &Share) -> anyhow::Result<(Self, Events)> {
        let poll = Poll::new()?;
        let connections = Self {
            timer: Timer::new(&poll, TIMER)?,
            dialer: Dialer::new(share)?,
            slots: (0..share.connections).map(|_| None).collect(),
            handshakes: VecDeque::new(),
            input: vec![0; INPUT],
            ready: VecDeque::new(),
            endings: Vec::new(),
            stirred: clock::now(),
            open: 0,
            most_open: 0,
            unanswered: 0,
            dialing: 0,
            faults: Faults::default(),
            poll,
        };
        Ok((connections, Events::with_capacity(EVENTS)))
    }

    /// Begins to open a connection.
    pub(crate) fn dial(&mut self, at: usize) {
        let began = clock::now();
        let dialled = self.dialer.dial(at, began).and_then(|mut connection| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let socket = connection.stream.socket();
            let registered = self.poll.registry().register(socket, Token(at), interest);
            registered.map_err(|e| format!("cannot poll a socket: {e}"))?;
            Ok(connection)
        });
        match dialled {
            Ok(connection) => {
                self.dialing += 1;
                self.handshakes.push_back((began, at));
                self.slots[at] = Some(connection);
                // The request often leaves at once; where it does not, the socket says when.
                self.flush(at);
            }
            Err(why) => {
                self.faults.not_opened(why);
                self.endings.push(at);
            }
        }
    }

    pub(crate) fn is_open(&self, at: usize) -> bool {
        self.slots[at]
            .as_ref()
            .is_some_and(|connection| connection.open)
    }

    /// Since when nothing has come.
    pub(crate) fn stirred(&self) -> u64 {
        self.stirred
    }

    /// Lets go of a connection, which is no fault and is not told.
    pub(crate) fn drop(&mut self, at: usize) {
        if let Some(connection) = self.slots[at].take() {
            *self.tally(connection.open) -= 1;
        }
    }

    /// Says farewell before it lets go.
    pub(crate) fn close(&mut self, at: usize) {
        if let Some(connection) = &mut self.slots[at] {
            connection.say_farewell();
        }
        self.drop(at);
    }

    /// What was sent to it has not all left yet.
    pub(crate) fn is_congested(&self, at: usize) -> bool {
        self.slots[at]
            .as_ref()
            .is_some_and(Connection::is_congested)
    }

    /// Sends frames; what the socket does not take leaves later.
    #[inline]
    pub(crate) fn send(&mut self, at: usize, frames: &[u8]) {
        if let Some(connection) = &mut self.slots[at]
            && let Err(e) = connection.send(frames)
        {
            self.fail(at, &broken(&e));
        }
    }

    /// Waits for something to happen, but not beyond `until`, and tells it. `exactly` is to the
    /// microsecond rather than the millisecond.
    pub(crate) fn turn(
        &mut self,
        events: &mut Events,
        until: u64,
        exactly: bool,
        handler: &mut impl Handler,
    ) -> io::Result<()> {
        self.tell_endings(handler);
        self.wait(events, until, exactly)?;
        for at in mem::take(&mut self.ready) {
            self.read(at, handler);
            self.tell_endings(handler);
        }
        for event in events.iter().filter(|event| event.token() != TIMER) {
            let Token(at) = event.token();
            if event.is_writable() && self.is_waiting_to_write(at) {
                self.flush(at);
                handler.writable(self, at);
            }
            self.read(at, handler);
            self.tell_endings(handler);
        }
        self.expire();
        self.tell_endings(handler);
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

    /// Reads until nothing is left, or it is another's turn.
    fn read(&mut self, at: usize, handler: &mut impl Handler) {
        let mut input = mem::take(&mut self.input);
        let more = (0..READS).all(|_| self.read_once(at, &mut input, handler));
        self.input = input;
        if more && !self.ready.contains(&at) {
            self.ready.push_back(at);
        }
    }

    /// Says whether there may be more.
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
        self.stirred = now;
        let result = connection.process(input, read.bytes, |message| {
            handler.message(at, message, now);
        });
        let (opens, began) = (connection.open && !was_open, connection.began);
        if opens {
            self.dialing -= 1;
            self.open += 1;
            self.most_open = self.most_open.max(self.open);
        }
        match result {
            Err(why) => self.fail(at, &why),
            Ok(()) if opens => self.greet(at, began, now, handler),
            Ok(()) => {}
        }
        handler.read(self, now);
        !read.last
    }

    fn greet(&mut self, at: usize, began: u64, now: u64, handler: &mut impl Handler) {
        let hello = self.dialer.hello(at);
        if !hello.is_empty() {
            self.send(at, &hello);
        }
        if self.is_open(at) {
            handler.opened(self, at, began, now);
        }
    }

    /// Gives up a connection that did not do what it should.
    fn fail(&mut self, at: usize, why: &str) {
        let Some(connection) = self.slots[at].take() else {
            return;
        };
        *self.tally(connection.open) -= 1;
        if connection.open {
            self.faults.ended(why);
        } else {
            self.faults.not_opened(why);
        }
        self.endings.push(at);
    }

    fn fail_to_io(&mut self, at: usize, was_open: bool, e: &io::Error) {
        let why = if was_open {
            broken(e)
        } else {
            self.dialer.cannot_connect(at, e)
        };
        self.fail(at, &why);
    }

    fn tally(&mut self, open: bool) -> &mut usize {
        if open {
            &mut self.open
        } else {
            &mut self.dialing
        }
    }

    fn tell_endings(&mut self, handler: &mut impl Handler) {
        while let Some(at) = self.endings.pop() {
            handler.ended(self, at);
        }
    }

    /// Gives up handshakes that take too long.
    fn expire(&mut self) {
        let Some(oldest) = clock::now().checked_sub(PATIENCE) else {
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
                let why = self.dialer.no_answer(at);
                self.fail(at, &why);
            }
        }
    }
}

fn broken(e: &io::Error) -> String {
    match e.kind() {
        ErrorKind::UnexpectedEof => "the server ended a connection without saying why".to_owned(),
        ErrorKind::InvalidData => format!("a connection broke: {e}"),
        kind => format!("a connection broke: {kind}"),
    }
}
