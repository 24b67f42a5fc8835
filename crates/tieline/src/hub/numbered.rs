//! Giving a connection numbered messages.
//!
//! Owns which number a message gets. Must not know how a number looks. Invariants: a number is taken by what
//! goes into the outbox or to the socket, in that order, and by nothing else; everything is rendered and
//! compressed before the send side is locked.

use std::cell::RefCell;

use tieline_websocket::{AnyFrame, Frame};

use super::{
    dialect::Rendered,
    frame_batch::{FrameBatch, MAX_BYTES, Reading},
    inner::ConnectionInner,
    send_side::{SendGuard, wake_observers},
};

thread_local! {
    /// Bytes of a batch for one receiver; at most 128 KiB are kept.
    static JOINED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl ConnectionInner {
    /// Appends a frame to the outbox, with the next number if it is a numbered one; behind the message that is sent
    /// in pieces, if there is one.
    pub(super) fn push(&self, send_side: &mut SendGuard<'_>, rendered: Rendered) {
        let frame = self.take_number(send_side, rendered);
        if send_side.extras.is_simple() {
            send_side.outbox.push(frame, &self.context.rules);
        } else {
            self.push_beside(send_side, frame);
        }
    }

    /// As [`Self::push`], if somebody waits for the end of a message, or for frames to observe. Apart, so that others
    /// do not pay for it.
    #[inline(never)]
    fn push_beside(&self, send_side: &mut SendGuard<'_>, frame: AnyFrame) {
        let rules = &self.context.rules;
        send_side.observe_sent(&frame);
        match send_side.extras.outgoing() {
            None => send_side.outbox.push(frame, rules),
            Some(outgoing) => outgoing.hold(frame, rules),
        }
        wake_observers(send_side);
    }

    /// The frame for this client, with the next number if it is a numbered one.
    #[inline]
    pub(super) fn take_number(
        &self,
        send_side: &mut SendGuard<'_>,
        rendered: Rendered,
    ) -> AnyFrame {
        if rendered.is_numbered {
            return self.take_next_number(send_side, &rendered.frame);
        }
        rendered.frame.into()
    }

    /// Apart, so that the rest is small enough to be inlined.
    #[inline(never)]
    fn take_next_number(&self, send_side: &mut SendGuard<'_>, rest: &Frame) -> AnyFrame {
        let number = send_side.extras.next_number();
        send_side.extras.take_numbers(1);
        self.numbered(number, rest)
    }

    fn numbered(&self, number: u64, rest: &Frame) -> AnyFrame {
        let Reading {
            dialects,
            dialect,
            deflate,
        } = self.reading();
        match dialects.opening(dialect) {
            Some(opening) => {
                let prefix = opening.prefix(number, rest);
                AnyFrame::prefixed(prefix.bytes(), rest, deflate)
            }
            None => rest.clone().into(),
        }
    }

    /// Writes a batch straight to the socket if that keeps the order. Returns how many bytes left, and whether
    /// that was everything; only then the numbers are taken.
    pub(super) fn write_numbered<T>(
        &self,
        send_side: &mut SendGuard<'_>,
        batch: &FrameBatch<T>,
        reading: Reading<'_>,
    ) -> (usize, bool) {
        let Some(opening) = reading.dialects.opening(reading.dialect) else {
            return (0, false);
        };
        if !self.can_write_now(send_side) {
            return (0, false);
        }
        let first = send_side.extras.next_number();
        JOINED.with_borrow_mut(|joined| {
            joined.clear();
            let mut number = first;
            for (frame, is_numbered) in batch.views(reading) {
                let deflate = reading.deflate;
                if is_numbered {
                    let prefix = opening.prefix(number, frame);
                    AnyFrame::append_prefixed(prefix.bytes(), frame, deflate, joined);
                    number += 1;
                } else {
                    let encoded = frame.encoded(deflate);
                    joined.extend_from_slice(encoded.header);
                    joined.extend_from_slice(encoded.payload);
                }
                if joined.len() > 2 * MAX_BYTES {
                    *joined = Vec::new();
                    return (0, false);
                }
            }
            let written = self.write_joined(send_side, joined);
            let is_whole = written > 0 && written == joined.len();
            if is_whole {
                send_side.extras.take_numbers(number - first);
            }
            (written, is_whole)
        })
    }
}
