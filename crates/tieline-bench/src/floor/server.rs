//! The event loop of the baseline server.
//!
//! Owns the poll, the clients and their ids, and the order of what a client receives. Everything runs on one thread. Invariants: a client that
//! sends without pause cannot starve the others, and an id belongs to the client that took it last.

use std::{
    collections::{HashMap, VecDeque},
    io::{ErrorKind, Read},
    mem,
    net::SocketAddr,
    time::Duration,
};

use anyhow::Context;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use super::{client::Client, groups::Groups, handshake::Handshake, listen::listen};
use crate::{
    fd_limit,
    frame::{self, Frame},
};

const LISTENER: Token = Token(usize::MAX);
const INPUT: usize = 256 * 1024;
/// The maximum number of reads of one socket in a row.
const READS: usize = 16;
/// The time until accepting is retried when descriptors have run out.
const AGAIN: Duration = Duration::from_millis(20);

/// Runs the baseline server; returns only if it cannot listen or poll.
pub fn floor(address: SocketAddr) -> anyhow::Result<()> {
    // Huge pages would round the memory of connections to 2 MiB.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let floor = Floor::bind(address)?;
    eprintln!("listening on {}", floor.address()?);
    floor.serve()
}

/// The baseline server.
#[derive(Debug)]
pub struct Floor {
    poll: Poll,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    vacant: Vec<usize>,
    ids: HashMap<Vec<u8>, usize>,
    groups: Groups,
    /// Clients with more to read, which the edge-triggered poll does not report again.
    ready: VecDeque<usize>,
    input: Vec<u8>,
    replies: Replies,
}

/// The replies to the frames of one read.
#[derive(Debug, Default)]
struct Replies {
    /// For the sender.
    own: Vec<u8>,
    /// For all clients.
    all: Vec<u8>,
    /// For one other client, or the members of a group.
    other: Vec<u8>,
}

impl Floor {
    /// Listens.
    pub fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        fd_limit::raise();
        let poll = Poll::new()?;
        let mut listener =
            listen(address).with_context(|| format!("cannot listen on {address}"))?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            clients: Vec::new(),
            vacant: Vec::new(),
            ids: HashMap::new(),
            groups: Groups::default(),
            ready: VecDeque::new(),
            input: vec![0; INPUT],
            replies: Replies::default(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until polling fails.
    pub fn serve(mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut again = None;
        loop {
            let wait = if self.ready.is_empty() {
                again
            } else {
                Some(Duration::ZERO)
            };
            match self.poll.poll(&mut events, wait) {
                Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e.into()),
                _ => {}
            }
            for at in mem::take(&mut self.ready) {
                self.on_ready(at, false);
            }
            for event in &events {
                if event.token() != LISTENER {
                    self.on_ready(event.token().0, event.is_writable());
                }
            }
            self.send_to_groups();
            let calls = events.iter().any(|event| event.token() == LISTENER);
            if calls || again.is_some() {
                again = (!self.accept()).then_some(AGAIN);
            }
        }
    }

    /// Accepts all waiting connections; yields whether that worked.
    fn accept(&mut self) -> bool {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => self.add_client(socket),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => return false,
            }
        }
    }

    fn add_client(&mut self, mut socket: TcpStream) {
        let at = self.vacant.pop().unwrap_or(self.clients.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        // A socket that fails here is dead already.
        let registered = self
            .poll
            .registry()
            .register(&mut socket, Token(at), interest);
        let client = registered
            .and_then(|()| socket.set_nodelay(true))
            .map(|()| Client::new(socket));
        if at == self.clients.len() {
            self.clients.push(None);
        }
        match client {
            Ok(client) => self.clients[at] = Some(client),
            Err(_) => self.vacant.push(at),
        }
    }

    /// Writes to and reads from a ready socket.
    fn on_ready(&mut self, at: usize, writable: bool) {
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else {
            return;
        };
        let alive = (!writable || client.flush()) && self.read(at);
        if !alive {
            self.remove_client(at);
        }
    }

    fn remove_client(&mut self, at: usize) {
        if let Some(client) = self.clients[at].take() {
            self.vacant.push(at);
            self.groups.remove(at);
            if let Some(id) = client.id
                && self.ids.get(&id) == Some(&at)
            {
                self.ids.remove(&id);
            }
        }
    }

    /// Reads until a short read or until others have to be served; yields whether the connection is alive.
    fn read(&mut self, at: usize) -> bool {
        for _ in 0..READS {
            let Some(client) = &mut self.clients[at] else {
                return true;
            };
            let held = client.tail.len();
            if self.input.len() < held + INPUT / 2 {
                self.input.resize(held + INPUT, 0);
            }
            self.input[..held].copy_from_slice(&client.tail);
            match client.socket.read(&mut self.input[held..]) {
                Ok(0) => return false,
                Ok(count) => {
                    if !self.process(at, held + count) {
                        return false;
                    }
                    if held + count < self.input.len() {
                        return true;
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        if !self.ready.contains(&at) {
            self.ready.push_back(at);
        }
        true
    }

    /// Processes the first `filled` bytes of the input, and keeps incomplete ones.
    fn process(&mut self, at: usize, filled: usize) -> bool {
        let mut input = mem::take(&mut self.input);
        let used = match self.clients[at].as_ref().map(|client| client.open) {
            Some(true) => self.frames(at, &mut input[..filled]),
            _ => self.handshake(at, &mut input[..filled]),
        };
        if let (Some(used), Some(client)) = (used, &mut self.clients[at]) {
            client.tail.clear();
            client.tail.extend_from_slice(&input[used..filled]);
        }
        self.input = input;
        used.is_some()
    }

    /// Responds to the request once it is complete, and processes the frames after it.
    fn handshake(&mut self, at: usize, input: &mut [u8]) -> Option<usize> {
        let Some(handshake) = Handshake::parse(input) else {
            return Some(0);
        };
        let client = self.clients[at].as_mut()?;
        if !client.send(&handshake.response()) || handshake.key.is_none() {
            return None;
        }
        client.open = true;
        client.id.clone_from(&handshake.id);
        if let Some(id) = handshake.id {
            self.ids.insert(id, at);
        }
        let rest = self.frames(at, &mut input[handshake.length..])?;
        Some(handshake.length + rest)
    }

    /// Replies to all complete frames; yields how many bytes they were, or `None` if the connection ends.
    fn frames(&mut self, at: usize, input: &mut [u8]) -> Option<usize> {
        let mut used = 0;
        let mut alive = true;
        while alive {
            let Ok(found) = Frame::at(input, used) else {
                alive = false;
                break;
            };
            let Some(frame) = found else {
                break;
            };
            used = frame.payload.end;
            let payload = &mut input[frame.payload];
            if let Some(mask) = frame.mask {
                unmask(payload, mask);
            }
            alive = frame.opcode != frame::CLOSE;
            self.reply(at, frame.opcode, payload);
        }
        alive &= self.send_replies(at);
        alive.then_some(used)
    }

    fn reply(&mut self, at: usize, opcode: u8, payload: &[u8]) {
        match (opcode, payload) {
            (frame::TEXT | frame::BINARY, [b'T', b':', rest @ ..]) => self.forward(opcode, rest),
            (frame::TEXT | frame::BINARY, [b'G', b':', rest @ ..]) => self.publish(opcode, rest),
            (frame::TEXT | frame::BINARY, [b'J', b':', name @ ..]) => self.groups.join(at, name),
            (frame::TEXT | frame::BINARY, [b'L', b':', name @ ..]) => self.groups.leave(at, name),
            (frame::TEXT | frame::BINARY, [b'B', ..]) => {
                append(&mut self.replies.all, opcode, payload);
            }
            (frame::PING, _) => append(&mut self.replies.own, frame::PONG, payload),
            (frame::PONG, _) => {}
            _ => append(&mut self.replies.own, opcode, payload),
        }
    }

    fn forward(&mut self, opcode: u8, command: &[u8]) {
        let Some((id, payload)) = split(command) else {
            return;
        };
        let Some(to) = self.ids.get(id) else {
            return;
        };
        let other = &mut self.replies.other;
        other.clear();
        append(other, opcode, payload);
        // A client that is gone is removed on its own event.
        if let Some(client) = &mut self.clients[*to] {
            send(client, *to, &mut self.groups, other);
        }
    }

    fn publish(&mut self, opcode: u8, command: &[u8]) {
        let Some((name, payload)) = split(command) else {
            return;
        };
        let other = &mut self.replies.other;
        other.clear();
        append(other, opcode, payload);
        self.groups.publish(name, other);
    }

    /// Sends what waits for the members of groups.
    fn send_to_groups(&mut self) {
        while let Some(at) = self.groups.next_listed() {
            if let (Some(client), Some(waiting)) = (&mut self.clients[at], self.groups.waiting(at))
            {
                client.send(waiting);
                waiting.clear();
            }
        }
    }

    fn send_replies(&mut self, at: usize) -> bool {
        let mut alive = true;
        if !self.replies.own.is_empty() {
            alive = self.clients[at]
                .as_mut()
                .is_some_and(|client| send(client, at, &mut self.groups, &self.replies.own));
            self.replies.own.clear();
        }
        if !self.replies.all.is_empty() {
            for (at, client) in self.clients.iter_mut().enumerate() {
                if let Some(client) = client.as_mut().filter(|client| client.open) {
                    send(client, at, &mut self.groups, &self.replies.all);
                }
            }
            self.replies.all.clear();
        }
        alive
    }
}

/// Sends to a client, behind what waits for it; yields whether the connection is alive.
#[inline]
fn send(client: &mut Client, at: usize, groups: &mut Groups, bytes: &[u8]) -> bool {
    let Some(waiting) = groups.waiting(at) else {
        return client.send(bytes);
    };
    waiting.extend_from_slice(bytes);
    let alive = client.send(waiting);
    waiting.clear();
    alive
}

/// The argument of a command, and its payload.
fn split(command: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = command.iter().position(|byte| *byte == b':')?;
    Some((&command[..colon], &command[colon + 1..]))
}

fn append(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    frame::header(out, opcode, payload.len(), false);
    out.extend_from_slice(payload);
}

/// Eight bytes at a time, as production servers do.
fn unmask(payload: &mut [u8], [a, b, c, d]: [u8; 4]) {
    let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.to_ne_bytes()) {
        *byte ^= key;
    }
}
