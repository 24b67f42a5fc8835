//! The body of a backend's request.
//!
//! Owns how long it may be, and how long it may take. Must not know what it is for, nor how a wire says that it
//! was refused. Invariant: no more of it is in memory than it may have.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use http_body_util::BodyExt;
use tieline::Bytes;
use tokio::time::timeout;

/// How long a body may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// How much of a longer body is read all the same, so that its sender gets to the response: one that is still
/// sending when the connection ends may see only that. A body that announces more is not read.
const MAX_READ: usize = 8 << 20;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It has more bytes than it may.
    TooLong,
    /// It has not arrived within [`DEADLINE`].
    Late,
    /// It has ended before its end.
    Broken,
}

/// The whole body, of at most so many bytes.
pub(crate) async fn read(body: Body, max_length: usize) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > MAX_READ as u64 {
        return Err(BodyError::TooLong);
    }
    let collected = timeout(DEADLINE, collect(body, max_length)).await;
    collected.map_err(|_| BodyError::Late)?
}

async fn collect(mut body: Body, max_length: usize) -> Result<Bytes, BodyError> {
    // Most bodies come in one piece, which is not copied.
    let (mut first, mut rest, mut length) = (Bytes::new(), Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue;
        };
        length += data.len();
        if length > MAX_READ {
            break;
        } else if length > max_length {
            (first, rest) = (Bytes::new(), Vec::new());
        } else if length == data.len() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    match length {
        length if length > max_length => Err(BodyError::TooLong),
        _ if rest.is_empty() => Ok(first),
        _ => Ok([&*first, &*rest].concat().into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use futures_util::{StreamExt, stream};
    use tokio::time::Instant;

    use super::*;

    fn body(pieces: &[&'static str]) -> Body {
        let pieces = pieces.iter().map(|piece| Ok::<_, Infallible>(*piece));
        Body::from_stream(stream::iter(pieces.collect::<Vec<_>>()))
    }

    #[tokio::test]
    async fn a_body_is_put_together_up_to_its_length_and_no_further() {
        for pieces in [&[][..], &["abcd"], &["ab", "cd"], &["", "a", "", "bcd", ""]] {
            let whole = pieces.concat();
            assert_eq!(read(body(pieces), 4).await, Ok(whole.into()));
        }
        for pieces in [&["abcde"][..], &["ab", "cd", "e"], &["abcde", "f"]] {
            let refused = read(body(pieces), 4).await;
            assert_eq!(refused, Err(BodyError::TooLong));
        }
    }

    #[tokio::test]
    async fn a_longer_body_is_read_on_so_that_its_sender_reads_the_response() {
        const PIECE: &[u8] = &[0; 1 << 20];
        for (pieces, expected) in [(8, 8), (20, 9)] {
            let read_pieces = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&read_pieces);
            let body = stream::iter(0..pieces).map(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(PIECE)
            });
            let too_long = read(Body::from_stream(body), 4).await;
            assert_eq!(too_long, Err(BodyError::TooLong));
            assert_eq!(read_pieces.load(Ordering::Relaxed), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_has_a_deadline() {
        let start = Instant::now();
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"x"))]);
        let body = Body::from_stream(first.chain(stream::pending()));
        assert_eq!(read(body, 4).await, Err(BodyError::Late));
        assert_eq!(start.elapsed(), DEADLINE);
    }
}
