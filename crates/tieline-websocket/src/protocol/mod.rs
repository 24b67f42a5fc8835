//! The state machine of one connection (RFC 6455, sections 5 to 7).
//!
//! Owns the incomplete input, the close handshake and the pong that is due. It must not know
//! sockets, clocks or queues; each call passes the limits by reference.
//!
//! Invariants: `receive` always makes progress and never panics; `partial` exists only between the
//! first byte of a frame and the end of its message; in state `Closed` nothing is held. [`partial`]
//! stores the input, [`plain`] decodes what nearly every message is, this module decides.

mod action;
mod partial;
mod plain;

#[cfg(test)]
mod tests;

pub use action::{Action, ProtocolState, Received};

use crate::chunk::Chunk;
use crate::close_frame::CloseFrame;
use crate::deflate;
use crate::error::ProtocolError;
use crate::frame::AnyFrame;
use crate::header::{self, Context, Header, Opcode};
use crate::limits::Limits;
use crate::mask::unmask;
use crate::message::Message;
use partial::{PartialInput, check_size};
use plain::PlainFrame;

/// The decoder and close handshake of one connection, at most 32 bytes while idle.
///
/// Call [`receive`](Protocol::receive) in a loop with the bytes read, and send the frame that
/// [`take_pong`](Protocol::take_pong) yields. Messages need no call to be sent; a close goes through
/// [`close`](Protocol::close).
///
/// ```
/// use tieline_websocket::{Action, CloseCode, CloseFrame, Limits, Protocol, ProtocolState};
///
/// let mut protocol = Protocol::new(false);
/// let close = CloseFrame::new(CloseCode::NORMAL, "");
/// let frame = protocol.close(Some(&close)).expect("the connection is open");
/// assert_eq!(frame.payload(), b"\x03\xe8");
/// assert_eq!(protocol.state(), ProtocolState::Closing);
///
/// // The client answers with an empty close frame, masked with zeros.
/// let received = protocol.receive(&Limits::default(), &mut [0x88, 0x80, 0, 0, 0, 0]);
/// assert_eq!(received.action, Some(Action::Closed { received: None }));
/// assert_eq!(protocol.state(), ProtocolState::Closed);
/// ```
#[derive(Debug)]
pub struct Protocol {
    partial: Option<Box<PartialInput>>,
    pong: Option<AnyFrame>,
    state: ProtocolState,
    inflate: bool,
    streaming: bool,
}

/// How many bytes one step processed, and its action.
type Step = (usize, Option<Action>);

impl Protocol {
    /// A connection after its handshake. `inflate` is whether permessage-deflate was negotiated;
    /// without it a compressed frame is an error.
    pub fn new(inflate: bool) -> Self {
        Protocol {
            partial: None,
            pong: None,
            state: ProtocolState::Open,
            inflate,
            streaming: false,
        }
    }

    /// A connection after its handshake, whose messages are not collected: [`receive`](Self::receive) yields
    /// [`Action::Chunk`] with the pieces of each message as they arrive, and never [`Action::Message`].
    ///
    /// Of a message, only up to three bytes of an unfinished character are held between calls. So [`Limits`] do
    /// not apply: a message may have any length and any number of fragments. permessage-deflate must not have been
    /// negotiated, because inflating in pieces would cost a window of 32 KiB per connection.
    ///
    /// ```
    /// use tieline_websocket::{Action, Limits, Protocol};
    ///
    /// // "Hello", cut after the third byte, masked with zeros.
    /// let mut protocol = Protocol::streaming();
    /// let mut input = [0x81, 0x85, 0, 0, 0, 0, b'H', b'e', b'l', b'l', b'o'];
    /// let (now, later) = input.split_at_mut(9);
    /// let chunks = [now, later].map(|part| {
    ///     let Some(Action::Chunk(chunk)) = protocol.receive(&Limits::default(), part).action else {
    ///         panic!("a chunk");
    ///     };
    ///     chunk
    /// });
    /// assert_eq!(chunks[0].as_text(), Some("Hel"));
    /// assert!(chunks[0].is_first() && !chunks[0].is_last());
    /// assert_eq!((chunks[1].as_text(), chunks[1].offset()), (Some("lo"), 3));
    /// assert!(chunks[1].is_last());
    /// ```
    pub fn streaming() -> Self {
        Protocol {
            streaming: true,
            ..Protocol::new(false)
        }
    }

    /// Decodes `input` up to the next action. Unmasks it in place.
    ///
    /// Call it in a loop, each time with the bytes after `consumed`, until the input is empty;
    /// `consumed` is zero only if the input is empty. Input may be split anywhere. Pings and pongs
    /// yield no action, but a ping ends the call, so that a caller that takes the pong after each
    /// call answers every ping.
    ///
    /// In [`ProtocolState::Closing`], messages are checked for their framing only and discarded; in
    /// [`ProtocolState::Closed`], all input is discarded unchecked.
    pub fn receive(&mut self, limits: &Limits, input: &mut [u8]) -> Received {
        let length = input.len();
        if self.partial.is_none()
            && self.state == ProtocolState::Open
            && !self.streaming
            && let Some(frame) = PlainFrame::find(input, limits.message)
        {
            let consumed = frame.size;
            return match frame.decode() {
                Ok(message) => Received {
                    consumed,
                    action: Some(Action::Message(message)),
                },
                Err(error) => self.fail(error, length),
            };
        }
        self.receive_any(limits, input)
    }

    /// Begins the close handshake (RFC 6455, section 7.1.2): yields the close frame to send, or
    /// `None` if a close was sent or received before.
    ///
    /// Drops an incomplete message. Then wait for [`Action::Closed`], with a deadline.
    pub fn close(&mut self, frame: Option<&CloseFrame>) -> Option<AnyFrame> {
        if self.state != ProtocolState::Open {
            return None;
        }
        self.state = ProtocolState::Closing;
        if let Some(partial) = &mut self.partial {
            partial.discard();
        }
        Some(AnyFrame::close(frame))
    }

    /// The pong to send, if a ping has arrived since the last call.
    ///
    /// At most one is pending: a newer ping replaces the payload of an unanswered one (RFC 6455,
    /// section 5.5.3), so a flood of pings costs one small frame. A ping is answered in
    /// [`ProtocolState::Closing`] too (section 5.5.2), but not after the client's close frame.
    #[inline]
    pub fn take_pong(&mut self) -> Option<AnyFrame> {
        self.pong.take()
    }

    /// Whether a frame or a fragmented message is incomplete, so that a deadline should run.
    #[inline]
    pub fn in_message(&self) -> bool {
        self.partial.is_some()
    }

    /// The state of the close handshake.
    #[inline]
    pub fn state(&self) -> ProtocolState {
        self.state
    }

    /// [`Protocol::receive`] without its fast path. Apart from it, because inlined it would take the
    /// registers from it.
    #[inline(never)]
    fn receive_any(&mut self, limits: &Limits, input: &mut [u8]) -> Received {
        let mut consumed = 0;
        while consumed < input.len() && self.state != ProtocolState::Closed {
            match self.step(limits, &mut input[consumed..]) {
                Ok((advanced, None)) if self.pong.is_none() => consumed += advanced,
                // Nothing counts after the client's close frame.
                Ok((_, action)) if self.state == ProtocolState::Closed => {
                    consumed = input.len();
                    return Received { consumed, action };
                }
                Ok((advanced, action)) => {
                    consumed += advanced;
                    return Received { consumed, action };
                }
                Err(error) => return self.fail(error, input.len()),
            }
        }
        Received {
            consumed: input.len(),
            action: None,
        }
    }

    fn step(&mut self, limits: &Limits, input: &mut [u8]) -> Result<Step, ProtocolError> {
        if self.partial.as_ref().is_some_and(|it| it.in_frame()) {
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

    /// The next header and how many bytes of `input` belong to it; `None` if all do and it is still
    /// incomplete.
    fn header(&mut self, input: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        let context = Context {
            fragmented: self.partial.as_ref().is_some_and(|it| it.in_message()),
            inflate: self.inflate,
        };
        if let Some(partial) = &mut self.partial
            && partial.in_header()
        {
            return partial.complete_header(input, context);
        }
        let header = header::parse(input, context)?;
        if header.is_none() {
            self.partial.get_or_insert_default().keep_header(input);
        }
        Ok(header)
    }

    /// A frame that is complete in the input. Only a fragment needs to be stored; a message in a
    /// single frame is copied once, into the message itself.
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
        if self.state != ProtocolState::Open {
            return Ok(None);
        }
        if self.streaming {
            unmask(payload, header.mask);
            let message = Message::decode(header.opcode == Opcode::Text, payload)?;
            return Ok(Some(chunk(Chunk::new(message, 0, true))));
        }
        check_size(limits, header.compressed, 0, header.length)?;
        unmask(payload, header.mask);
        Ok(Some(Action::Message(whole_message(
            limits, &header, payload,
        )?)))
    }

    fn begin_frame(&mut self, limits: &Limits, header: Header) -> Result<(), ProtocolError> {
        let collects = self.state == ProtocolState::Open && !self.streaming;
        let limits = collects.then_some(limits);
        let partial = self.partial.get_or_insert_default();
        partial.begin_frame(header, limits)
    }

    fn continue_frame(&mut self, limits: &Limits, input: &mut [u8]) -> Result<Step, ProtocolError> {
        let keep = self.state == ProtocolState::Open;
        let partial = self.partial.get_or_insert_default();
        let (taken, done) = partial.feed(input, keep)?;
        match done {
            Some(frame) if frame.opcode.is_control() => {
                let payload = partial.take_control();
                self.release();
                Ok((taken, self.control(frame.opcode, &payload)?))
            }
            Some(frame) if frame.fin => {
                let message = partial.take_message().filter(|_| keep);
                self.release();
                let action = match message {
                    Some(message) if self.streaming => Some(chunk(message.last_chunk()?)),
                    Some(message) => Some(Action::Message(message.finish(limits)?)),
                    None => None,
                };
                Ok((taken, action))
            }
            _ if self.streaming && keep => Ok((taken, partial.take_chunk().map(chunk))),
            _ => Ok((taken, None)),
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<Option<Action>, ProtocolError> {
        match opcode {
            Opcode::Close => self.on_close(payload).map(Some),
            Opcode::Ping => {
                self.pong = Some(AnyFrame::pong(payload));
                Ok(None)
            }
            // A pong needs no answer, solicited or not (section 5.5.3).
            _ => Ok(None),
        }
    }

    fn on_close(&mut self, payload: &[u8]) -> Result<Action, ProtocolError> {
        let received = CloseFrame::decode(payload)?;
        let action = if self.state == ProtocolState::Closing {
            Action::Closed { received }
        } else {
            // Section 5.5.1 asks to echo the code, not the reason.
            let echo = received.as_ref().map(|it| CloseFrame::new(it.code, ""));
            let reply = AnyFrame::close(echo.as_ref());
            Action::Close { received, reply }
        };
        self.end();
        Ok(action)
    }

    /// Ends the connection; what is left of the input does not count.
    fn fail(&mut self, error: ProtocolError, consumed: usize) -> Received {
        let reply = (self.state == ProtocolState::Open).then(|| {
            let close = CloseFrame::new(error.close_code(), error.to_string());
            AnyFrame::close(Some(&close))
        });
        self.end();
        Received {
            consumed,
            action: Some(Action::Fail { error, reply }),
        }
    }

    /// Frees the buffers if nothing is incomplete.
    fn release(&mut self) {
        self.partial.take_if(|it| it.is_idle());
    }

    /// Drops a pong that is due too: it would follow the close frame.
    fn end(&mut self) {
        self.state = ProtocolState::Closed;
        self.partial = None;
        self.pong = None;
    }
}

fn chunk(chunk: Chunk) -> Action {
    Action::Chunk(Box::new(chunk))
}

/// The message of a single frame with this unmasked payload.
fn whole_message(
    limits: &Limits,
    header: &Header,
    payload: &[u8],
) -> Result<Message, ProtocolError> {
    let text = header.opcode == Opcode::Text;
    if header.compressed {
        return deflate::inflate(payload, limits.message, text);
    }
    Message::decode(text, payload)
}
