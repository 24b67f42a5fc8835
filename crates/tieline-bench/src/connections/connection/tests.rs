use std::{io::Write, net::TcpListener};

use proptest::prelude::*;

use super::*;

const OPENED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A connection, and the server's end of it.
fn pair() -> (Connection, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_nonblocking(true).unwrap();
    let stream = Stream::Plain(mio::net::TcpStream::from_std(client));
    (Connection::new(stream, String::new(), 0), server)
}

/// Reads all that has been sent.
fn read_all(
    connection: &mut Connection,
    received: &mut Vec<Vec<u8>>,
    expected: usize,
) -> Result<(), String> {
    let mut input = vec![0; 20 * 1024];
    let mut bytes = 0;
    while bytes < expected {
        let Some(read) = connection.receive(&mut input).map_err(|e| e.to_string())? else {
            continue;
        };
        bytes += read.bytes;
        connection.process(&mut input, read.bytes, |message| {
            received.push(message.to_vec());
        })?;
    }
    Ok(())
}

/// A message as one frame, or as several with a ping between.
fn encode(message: &[u8], pieces: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let size = message.len().div_ceil(pieces).max(1);
    let count = message.chunks(size).len().max(1);
    for index in 0..count {
        let begin = out.len();
        let piece = message.chunks(size).nth(index).unwrap_or_default();
        let opcode = if index == 0 {
            frame::TEXT
        } else {
            frame::CONTINUATION
        };
        frame::header(&mut out, opcode, piece.len(), false);
        if index + 1 < count {
            out[begin] &= 0x7f;
        }
        out.extend_from_slice(piece);
        frame::header(&mut out, frame::PING, 1, false);
        out.push(b'p');
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same_messages(
        messages in prop::collection::vec((0..40_000_usize, 1..4_usize), 1..6),
        cuts in prop::collection::vec(1..9000_usize, 0..12),
    ) {
        let (mut connection, mut server) = pair();
        let messages: Vec<_> = messages
            .iter()
            .map(|(length, pieces)| (vec![b'm'; *length], *pieces))
            .collect();
        let mut bytes = OPENED.to_vec();
        for (message, pieces) in &messages {
            bytes.extend(encode(message, *pieces));
        }
        let mut received = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            // The kernel buffers more than a piece, so that one thread can be both ends.
            for piece in now.chunks(16 * 1024) {
                server.write_all(piece).unwrap();
                read_all(&mut connection, &mut received, piece.len()).unwrap();
            }
            rest = later;
        }
        prop_assert!(connection.open);
        let messages: Vec<_> = messages.into_iter().map(|(message, _)| message).collect();
        prop_assert_eq!(received, messages);
    }

    #[test]
    fn any_bytes_are_handled(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let (mut connection, mut server) = pair();
        server.write_all(OPENED).unwrap();
        read_all(&mut connection, &mut Vec::new(), OPENED.len()).unwrap();
        server.write_all(&bytes).unwrap();
        // Either result is fine, as long as nothing panics.
        let _ = read_all(&mut connection, &mut Vec::new(), bytes.len());
    }
}
