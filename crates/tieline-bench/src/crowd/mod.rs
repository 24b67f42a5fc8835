//! The connections of a process, and the one poll that they share.
//!
//! It opens them, cuts what they receive into messages, answers pings and closes, and keeps what a
//! socket did not take. What messages mean is the business of the [`Ear`]. Whatever a server does, it
//! becomes a fault that is counted; errors are those of this machine.

mod dial;
mod member;
mod timer;

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    mem,
    time::Duration,
};

use mio::{Events, Interest, Poll, Token};

use self::{dial::Dialer, member::Member, timer::Timer};
use crate::{
    clock::{self, SECOND},
    outcome::Faults,
    share::Share,
};

const INPUT: usize = 256 * 1024;
const EVENTS: usize = 1024;
const TIMER: Token = Token(usize::MAX);
/// A server that has not answered a handshake by then is not waited for.
const PATIENCE: u64 = 10 * SECOND;

/// Who is told what happens. Connections go by their index within this process.
pub(crate) trait Ear {
    /// A connection is open; it was begun at `began`.
    fn opened(&mut self, _crowd: &mut Crowd, _at: usize, _began: u64, _now: u64) {}
    /// A message has come.
    fn message(&mut self, _at: usize, _message: &[u8], _now: u64) {}
    /// All messages of one read have been told: this is the time to answer.
    fn read(&mut self, _crowd: &mut Crowd, _now: u64) {}
    /// A socket takes bytes again.
    fn writable(&mut self, _crowd: &mut Crowd, _at: usize) {}
    /// A connection has ended, or could not be opened.
    fn ended(&mut self, _crowd: &mut Crowd, _at: usize) {}
}

/// The connections of a process.
#[derive(Debug)]
pub(crate) struct Crowd {
    poll: Poll,
    timer: Timer,
    dialer: Dialer,
    members: Vec<Option<Member>>,
    /// Since when handshakes are under way, the oldest first; those that are over still stand here.
    handshakes: VecDeque<(u64, usize)>,
    input: Vec<u8>,
    /// Those whose end has not been told yet.
    endings: Vec<usize>,
    /// When bytes last came.
    stirred: u64,
    /// How many are open.
    pub(crate) open: usize,
    /// How many are being opened.
    pub(crate) dialing: usize,
    /// What went wrong.
    pub(crate) faults: Faults,
}

impl Crowd {
    pub(crate) fn new(share: &Share) -> anyhow::Result<(Self, Events)> {
        let poll = Poll::new()?;
        let crowd = Self {
            timer: Timer::new(&poll, TIMER)?,
            dialer: Dialer::new(share)?,
            members: (0..share.connections).map(|_| None).collect(),
            handshakes: VecDeque::new(),
            input: vec![0; INPUT],
            endings: Vec::new(),
            stirred: clock::now(),
            open: 0,
            dialing: 0,
            faults: Faults::default(),
            poll,
        };
        Ok((crowd, Events::with_capacity(EVENTS)))
    }

    /// Begins to open a connection.
    pub(crate) fn dial(&mut self, at: usize) {
        let began = clock::now();
        let dialled = self.dialer.dial(at, began).and_then(|mut member| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let socket = member.stream.socket();
            let registered = self.poll.registry().register(socket, Token(at), interest);
            registered.map_err(|e| format!("cannot poll a socket: {e}"))?;
            Ok(member)
        });
        match dialled {
            Ok(member) => {
                self.dialing += 1;
                self.handshakes.push_back((began, at));
                self.members[at] = Some(member);
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
        self.members[at].as_ref().is_some_and(|member| member.open)
    }

    /// Since when nothing has come.
    pub(crate) fn stirred(&self) -> u64 {
        self.stirred
    }

    /// Lets go of a connection, which is no fault and is not told.
    pub(crate) fn drop(&mut self, at: usize) {
        if let Some(member) = self.members[at].take() {
            *self.tally(member.open) -= 1;
        }
    }

    /// Says farewell before it lets go.
    pub(crate) fn close(&mut self, at: usize) {
        if let Some(member) = &mut self.members[at] {
            member.say_farewell();
        }
        self.drop(at);
    }

    /// What was sent to it has not all left yet.
    pub(crate) fn is_congested(&self, at: usize) -> bool {
        self.members[at].as_ref().is_some_and(Member::is_congested)
    }

    /// Sends frames; what the socket does not take leaves later.
    #[inline]
    pub(crate) fn send(&mut self, at: usize, frames: &[u8]) {
        if let Some(member) = &mut self.members[at]
            && let Err(e) = member.send(frames)
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
        ear: &mut impl Ear,
    ) -> io::Result<()> {
        self.tell_endings(ear);
        let wait = until.saturating_sub(clock::now());
        if exactly {
            self.timer.set(until, wait)?;
        }
        let wait = if exactly { Timer::round(wait) } else { wait };
        match self.poll.poll(events, Some(Duration::from_nanos(wait))) {
            Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        for event in events.iter().filter(|event| event.token() != TIMER) {
            let Token(at) = event.token();
            if event.is_writable() && self.is_waiting_to_write(at) {
                self.flush(at);
                ear.writable(self, at);
            }
            self.read(at, ear);
            self.tell_endings(ear);
        }
        self.expire();
        self.tell_endings(ear);
        Ok(())
    }

    fn is_waiting_to_write(&self, at: usize) -> bool {
        self.members[at]
            .as_ref()
            .is_some_and(|member| member.is_congested() || !member.open)
    }

    fn flush(&mut self, at: usize) {
        if let Some(member) = &mut self.members[at]
            && let Err(e) = member.flush()
        {
            let was_open = member.open;
            self.fail_to_io(at, was_open, &e);
        }
    }

    fn read(&mut self, at: usize, ear: &mut impl Ear) {
        let mut input = mem::take(&mut self.input);
        while let Some(member) = &mut self.members[at] {
            let was_open = member.open;
            let read = match member.receive(&mut input) {
                Ok(Some(read)) => read,
                Ok(None) => break,
                Err(e) => {
                    self.fail_to_io(at, was_open, &e);
                    break;
                }
            };
            let now = clock::now();
            self.stirred = now;
            let result = member.process(&mut input, read.bytes, |message| {
                ear.message(at, message, now);
            });
            let (opens, began) = (member.open && !was_open, member.began);
            if opens {
                self.dialing -= 1;
                self.open += 1;
            }
            match result {
                Err(why) => self.fail(at, &why),
                Ok(()) if opens => self.greet(at, began, now, ear),
                Ok(()) => {}
            }
            ear.read(self, now);
            if read.last {
                break;
            }
        }
        self.input = input;
    }

    fn greet(&mut self, at: usize, began: u64, now: u64, ear: &mut impl Ear) {
        let hello = self.dialer.hello(at);
        if !hello.is_empty() {
            self.send(at, &hello);
        }
        if self.is_open(at) {
            ear.opened(self, at, began, now);
        }
    }

    /// Gives up a connection that did not do what it should.
    fn fail(&mut self, at: usize, why: &str) {
        let Some(member) = self.members[at].take() else {
            return;
        };
        *self.tally(member.open) -= 1;
        if member.open {
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

    fn tell_endings(&mut self, ear: &mut impl Ear) {
        while let Some(at) = self.endings.pop() {
            ear.ended(self, at);
        }
    }

    /// Gives up handshakes that take too long.
    fn expire(&mut self) {
        let Some(oldest) = clock::now().checked_sub(PATIENCE) else {
            return;
        };
        while let Some((began, at)) = self.handshakes.front().copied() {
            let member = self.members[at].as_ref();
            let waits = member.is_some_and(|member| !member.open && member.began == began);
            if waits && began > oldest {
                return;
            }
            self.handshakes.pop_front();
            if waits {
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
