//! A client that is let in for its farewell only.
//!
//! Owns the whole life of its WebSocket: two frames out, and the client's close in. Must not know the hub, nor why
//! the client is turned away. Invariants: no buffer is held while it waits for the client; what the client can make it
//! read is bounded.

use std::{future::poll_fn, io, task::Poll};

use tieline_websocket::{AnyFrame, Limits, Protocol, ProtocolState};
use tokio::{io::AsyncWriteExt, net::tcp::OwnedWriteHalf};

use super::{read_buffer::ReadBuffer, stream::Stream};
use crate::farewell::Farewell;

/// Bytes that are read from a client until it answers the close. It may have begun to send before it knows: a
/// message that is cut off resets the connection, and the close frame may be lost with it.
const MOST_READ: usize = 256 * 1024;

/// Bytes that are encrypted at a time: a record of TLS.
const RECORD: usize = 16 * 1024;

/// Sends the farewell, waits for the client's close, and ends the socket. Whoever calls it sets the deadline.
pub(crate) async fn say_farewell(
    farewell: Farewell,
    (mut stream, mut write_half, early): (Stream, Option<OwnedWriteHalf>, ReadBuffer),
) -> io::Result<()> {
    let mut protocol = Protocol::new(false);
    let message = farewell.message.map(AnyFrame::from);
    let close = protocol.close(Some(&farewell.close));
    let mut bytes = Vec::new();
    for frame in message.into_iter().chain(close) {
        let encoded = frame.encoded(None);
        bytes.extend_from_slice(encoded.header);
        bytes.extend_from_slice(encoded.payload);
    }
    send(&mut stream, write_half.as_mut(), bytes).await?;
    read_close(&mut stream, &mut protocol, early).await?;
    // The client reads our close frame, and then the end.
    poll_fn(|cx| stream.poll_shutdown(cx)).await
}

async fn send(
    stream: &mut Stream,
    write_half: Option<&mut OwnedWriteHalf>,
    bytes: Vec<u8>,
) -> io::Result<()> {
    if let Some(half) = write_half {
        return half.write_all(&bytes).await;
    }
    for record in bytes.chunks(RECORD) {
        if let Some(writer) = stream.writer() {
            writer.stage(record)?;
        }
        poll_fn(|cx| match stream.writer() {
            Some(writer) => writer.poll_send(cx, &mut 0),
            None => Poll::Ready(Ok(())),
        })
        .await?;
    }
    Ok(())
}

/// Reads until the client has closed, and discards what comes before.
async fn read_close(
    stream: &mut Stream,
    protocol: &mut Protocol,
    early: ReadBuffer,
) -> io::Result<()> {
    // In this state the protocol collects no message, whatever the limits.
    let limits = Limits::default();
    let (mut buffer, mut most) = (early, MOST_READ);
    loop {
        while !buffer.is_empty() && protocol.state() != ProtocolState::Closed {
            let received = protocol.receive(&limits, buffer.rest());
            buffer.advance(received.consumed);
            // It is closing: there is no need to answer pings.
            let _ = protocol.take_pong();
            most = most.saturating_sub(received.consumed);
        }
        if protocol.state() == ProtocolState::Closed {
            return Ok(());
        }
        if most == 0 {
            return Err(io::Error::other("it sends on and on"));
        }
        let read = poll_fn(|cx| buffer.read(|space| stream.poll_read(cx, space)));
        if read.await? == 0 {
            return Ok(());
        }
    }
}
