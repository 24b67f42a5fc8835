//! The state machine of one connection (RFC 6455, sections 5 to 7).
//!
//! Owns what is unfinished: a header, a frame, a message, the close handshake and the pong that is
//! due. It must not know sockets, clocks or queues; limits come in by reference with each call.
//!
//! Invariants: `receive` always makes progress and never panics; `unfinished` exists only between
//! the first byte of a frame and the end of its message; once the phase is `Closed` nothing is
//! held. [`partial`] holds what has arrived, this module decides.

mod action;
mod partial;

#[cfg(test)]
mod tests;

pub use action::{Action, Phase, Received};

use crate::close_frame::CloseFrame;
use crate::frame::Frame;
use crate::header::{self, Context, Header, Opcode};
use crate::mask::unmask;
use crate::{Limits, Message, ProtocolError, deflate};
use partial::{Unfinished, check_size};

/// The decoder and close handshake of one connection, at most 32 bytes while idle.
///
/// The driver loops over [`receive`](Protocol::receive) with what it read, then sends what
/// [`take_pong`](Protocol::take_pong) yields. What it sends otherwise is its own affair, except
/// for closes, which go through [`close`](Protocol::close).
#[derive(Debug)]
pub struct Protocol {
    unfinished: Option<Box<Unfinished>>,
    pong: Option<Frame>,
    phase: Phase,
    inflate: bool,
}

/// How far one step came, and what it led to.
type Step = (usize, Option<Action>);

impl Protocol {
    /// A connection whose handshake is done. `inflate` says whether permessage-deflate was
    /// negotiated; without it a compressed frame is an error.
    pub fn new(inflate: bool) -> Self {
        Protocol {
            unfinished: None,
            pong: None,
            phase: Phase::Open,
            inflate,
        }
    }

    /// Takes the next thing out of `input`, which is unmasked in place.
    ///
    /// Call it in a loop, each time with what lies behind `consumed`, until the input is empty;
    /// `consumed` is zero only if the input is empty. Input may be split anywhere. Pings and pongs
    /// lead to no action, but a ping ends the call, so that a driver which takes the pong after
    /// each call answers every ping.
    ///
    /// While [`Phase::Closing`], messages are discarded as they arrive, only their framing is
    /// checked; once [`Phase::Closed`], everything is discarded unseen.
    pub fn receive(&mut self, limits: &Limits, input: &mut [u8]) -> Received {
        let mut consumed = 0;
        while consumed < input.len() && self.phase != Phase::Closed {
            match self.step(limits, &mut input[consumed..]) {
                Ok((advanced, None)) if self.pong.is_none() => consumed += advanced,
                Ok((advanced, action)) => {
                    consumed += advanced;
                    return Received { consumed, action };
                }
                Err(error) => {
                    return Received {
                        consumed: input.len(),
                        action: Some(self.fail(error)),
                    };
                }
            }
        }
        Received {
            consumed: input.len(),
            action: None,
        }
    }

    /// The application closes (RFC 6455, section 7.1.2): yields the close frame to send, or `None`
    /// if a close was sent or received before.
    ///
    /// What has arrived of an unfinished message is dropped. The driver waits for
    /// [`Action::Closed`], with a deadline of its own.
    pub fn close(&mut self, frame: Option<&CloseFrame>) -> Option<Frame> {
        if self.phase != Phase::Open {
            return None;
        }
        self.phase = Phase::Closing;
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.discard();
        }
        Some(Frame::close(frame))
    }

    /// The pong that is due, if a ping came since the last call.
    ///
    /// At most one is pending: a newer ping replaces the payload of an unanswered one (RFC 6455,
    /// section 5.5.3), so a flood of pings costs one small frame. A ping is answered while
    /// closing too (section 5.5.2), but not once the peer's close is in.
    pub fn take_pong(&mut self) -> Option<Frame> {
        self.pong.take()
    }

    /// Whether a frame or a fragmented message is unfinished, so that a deadline should run.
    pub fn in_message(&self) -> bool {
        self.unfinished.is_some()
    }

    /// How far the close handshake has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    fn step(&mut self, limits: &Limits, input: &mut [u8]) -> Result<Step, ProtocolError> {
        if self.unfinished.as_ref().is_some_and(|it| it.in_frame()) {
            return self.continue_frame(limits, input);
        }
        let Some((header, size)) = self.header(input)? else {
            return Ok((input.len(), None));
        };
        let rest = &mut input[size..];
        match usize::try_from(header.length) {
            Ok(length) if length <= rest.len() => {
                let action = self.whole_frame(limits, header, &mut rest[..length])?;
                Ok((size + length, action))
            }
            _ => {
                self.begin_frame(limits, header)?;
                Ok((size, None))
            }
        }
    }

    /// The next header and how many bytes of `input` belong to it; `None` if all do and it is
    /// still not complete.
    fn header(&mut self, input: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        let context = Context {
            fragmented: self.unfinished.as_ref().is_some_and(|it| it.in_message()),
            inflate: self.inflate,
        };
        if let Some(unfinished) = &mut self.unfinished
            && unfinished.in_header()
        {
            return unfinished.complete_header(input, context);
        }
        let header = header::parse(input, context)?;
        if header.is_none() {
            self.unfinished.get_or_insert_default().keep_header(input);
        }
        Ok(header)
    }

    /// A frame that lies in the input as a whole. Only a part of a fragmented message needs to be
    /// kept; a message in a single frame is copied once, into the message itself.
    fn whole_frame(
        &mut self,
        limits: &Limits,
        header: Header,
        payload: &mut [u8],
    ) -> Result<Option<Action>, ProtocolError> {
        let single = header.fin && header.opcode != Opcode::Continuation;
        if !header.opcode.is_control() && !single {
            self.begin_frame(limits, header)?;
            return Ok(self.continue_frame(limits, payload)?.1);
        }
        self.release();
        if header.opcode.is_control() {
            unmask(payload, header.mask);
            return self.control(header.opcode, payload);
        }
        if self.phase != Phase::Open {
            return Ok(None);
        }
        check_size(limits, header.compressed, 0, header.length)?;
        unmask(payload, header.mask);
        Ok(Some(Action::Message(whole_message(
            limits, &header, payload,
        )?)))
    }

    fn begin_frame(&mut self, limits: &Limits, header: Header) -> Result<(), ProtocolError> {
        let limits = (self.phase == Phase::Open).then_some(limits);
        let unfinished = self.unfinished.get_or_insert_default();
        unfinished.begin_frame(header, limits)
    }

    fn continue_frame(&mut self, limits: &Limits, input: &mut [u8]) -> Result<Step, ProtocolError> {
        let keep = self.phase == Phase::Open;
        let unfinished = self.unfinished.get_or_insert_default();
        let (taken, done) = unfinished.feed(input, keep)?;
        match done {
            Some(frame) if frame.opcode.is_control() => {
                let payload = unfinished.take_control();
                self.release();
                Ok((taken, self.control(frame.opcode, &payload)?))
            }
            Some(frame) if frame.fin => {
                let message = unfinished.take_message().filter(|_| keep);
                self.release();
                let message = message.map(|it| it.finish(limits)).transpose()?;
                Ok((taken, message.map(Action::Message)))
            }
            _ => Ok((taken, None)),
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<Option<Action>, ProtocolError> {
        match opcode {
            Opcode::Close => self.peer_closes(payload).map(Some),
            Opcode::Ping => {
                self.pong = Some(Frame::pong(payload));
                Ok(None)
            }
            // A pong is a sign of life at most, asked for or not (section 5.5.3).
            _ => Ok(None),
        }
    }

    fn peer_closes(&mut self, payload: &[u8]) -> Result<Action, ProtocolError> {
        let received = CloseFrame::decode(payload)?;
        let action = if self.phase == Phase::Closing {
            Action::Closed { received }
        } else {
            // The code is echoed (section 5.5.1), the reason need not be.
            let echo = received.as_ref().map(|it| CloseFrame::new(it.code, ""));
            let reply = Frame::close(echo.as_ref());
            Action::Close { received, reply }
        };
        self.end();
        Ok(action)
    }

    fn fail(&mut self, error: ProtocolError) -> Action {
        let reply = (self.phase == Phase::Open).then(|| {
            let close = CloseFrame::new(error.close_code(), error.to_string());
            Frame::close(Some(&close))
        });
        self.end();
        Action::Fail { error, reply }
    }

    /// Frees the buffers if nothing is unfinished.
    fn release(&mut self) {
        self.unfinished.take_if(|it| it.is_idle());
    }

    /// Nothing is sent or received any more; a pong that is due would follow the close frame.
    fn end(&mut self) {
        self.phase = Phase::Closed;
        self.unfinished = None;
        self.pong = None;
    }
}

/// The message in an unmasked payload that came in one frame.
fn whole_message(
    limits: &Limits,
    header: &Header,
    payload: &[u8],
) -> Result<Message, ProtocolError> {
    let text = header.opcode == Opcode::Text;
    if header.compressed {
        return deflate::inflate(payload, limits.message, text);
    }
    if !text {
        return Ok(Message::Binary(payload.to_vec()));
    }
    let text = simdutf8::basic::from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)?;
    Ok(Message::Text(text.to_owned()))
}
