//! The task of a test client: it reads ahead, answers pings and closes, and writes.
//!
//! Owns the client's end of the stream. Must not know what a test expects. Invariant: it never waits for one
//! direction while the other could go on, so that a client and a server that both send cannot block each
//! other.

use std::{collections::VecDeque, ops::ControlFlow};

use tieline_websocket::{AnyFrame, CloseFrame, FrameKind, Message};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use super::codec::{Decoder, Received, encode};

/// How much waits for the server to read it before a send waits too.
const UNSENT_BYTES: usize = 64 * 1024;

pub(super) enum Command {
    Send(AnyFrame),
    AnswerPings(bool),
    Read(bool),
}

/// What the test may see. The end of the stream is that of the channel.
#[derive(Debug)]
pub(super) enum Event {
    Message(Message),
    Close(Option<CloseFrame>),
    /// The server broke this rule.
    Broken(&'static str),
}

/// The client's end of a connection.
pub(super) struct ClientTask {
    decoder: Decoder,
    unsent: Vec<u8>,
    received: VecDeque<Event>,
    answers_pings: bool,
    reads: bool,
    close_sent: bool,
}

impl ClientTask {
    pub(super) fn new() -> Self {
        Self {
            decoder: Decoder::default(),
            unsent: Vec::new(),
            received: VecDeque::new(),
            answers_pings: true,
            reads: true,
            close_sent: false,
        }
    }

    /// Runs until the stream ends.
    pub(super) async fn run(
        mut self,
        stream: impl AsyncRead + AsyncWrite,
        mut commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
    ) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() || !self.received.is_empty() {
            let may_read = self.reads && self.received.is_empty();
            tokio::select! {
                // In this order: a client that is told not to read does not read before.
                biased;
                Some(command) = commands.recv(), if self.unsent.len() < UNSENT_BYTES => {
                    self.obey(command);
                }
                written = writer.write(&self.unsent), if !self.unsent.is_empty() => {
                    // If the server has left, reading tells.
                    let written = written.ok().filter(|n| *n > 0);
                    self.unsent.drain(..written.unwrap_or(self.unsent.len()));
                }
                permit = events.reserve(), if !self.received.is_empty() => {
                    let (Ok(permit), Some(event)) = (permit, self.received.pop_front()) else {
                        return;
                    };
                    permit.send(event);
                }
                read = reader.read_buf(self.decoder.buffer()), if may_read => {
                    flow = match read {
                        Ok(1..) => self.decode(),
                        _ => ControlFlow::Break(()),
                    };
                }
                else => return,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Send(frame) => self.send(&frame),
            Command::AnswerPings(answers) => self.answers_pings = answers,
            Command::Read(reads) => self.reads = reads,
        }
    }

    fn send(&mut self, frame: &AnyFrame) {
        self.close_sent |= frame.kind() == FrameKind::Close;
        self.unsent.extend(encode(frame));
    }

    /// Takes what is complete out of the buffer.
    fn decode(&mut self) -> ControlFlow<()> {
        loop {
            match self.decoder.decode() {
                Ok(Some(received)) => self.receive(received),
                Ok(None) => return ControlFlow::Continue(()),
                Err(rule) => {
                    self.received.push_back(Event::Broken(rule));
                    return ControlFlow::Break(());
                }
            }
        }
    }

    fn receive(&mut self, received: Received) {
        match received {
            Received::Message(message) => self.received.push_back(Event::Message(message)),
            Received::Ping(payload) if self.answers_pings => self.send(&AnyFrame::pong(&payload)),
            Received::Ping(_) | Received::Pong => {}
            Received::Close(frame) => {
                if !self.close_sent {
                    self.send(&AnyFrame::close(frame.as_ref()));
                }
                self.received.push_back(Event::Close(frame));
            }
        }
    }
}
