//! Connections whose messages come in pieces.

use std::{net::SocketAddr, time::Duration};

use tieline::{
    Accept, Chunk, CloseReason, Config, Connection, ConnectionError, Deflate, Excess,
    ExcessVerdict, Handler, Hub, Inbound, Message, Node, ProtocolError,
};
use tokio::{io::AsyncWriteExt, sync::mpsc, time::sleep};

use super::close_frame;
use crate::kit::{
    Raw,
    raw::{BINARY, CONTINUATION, PING, PONG, TEXT, frame, frame_with},
    run, run_threads, serve,
};

/// A chunk is what one read has brought, and a character that it completes.
const LONGEST_CHUNK: usize = 64 * 1024 + 3;

#[derive(Debug, PartialEq)]
enum Seen {
    Chunk(Chunk),
    Error(ConnectionError),
    Disconnect(CloseReason),
}

/// Passes on what it is called with, and waits until there is room for it. Answers pieces of text with what they are.
struct Recorder {
    seen: mpsc::Sender<Seen>,
    /// How long a piece "hold" is handled.
    hold: Duration,
}

impl Handler for Recorder {
    type State = ();

    async fn on_chunk(&self, connection: &Connection, (): &mut (), chunk: Chunk) {
        if chunk.as_text() == Some("hold") {
            sleep(self.hold).await;
        }
        if let Some(text) = chunk.as_text() {
            let end = if chunk.is_last() { "." } else { "" };
            connection.emit(format!("{}:{text}{end}", chunk.offset()));
            if text == "close" {
                connection.close(close_frame(4000, "enough"));
            }
        }
        self.seen.send(Seen::Chunk(chunk)).await.unwrap();
    }

    async fn on_message(&self, _: &Connection, (): &mut (), message: Message) {
        panic!("a whole message: {message:?}");
    }

    async fn on_excess(&self, _: &Connection, (): &mut (), _: &Message) -> ExcessVerdict {
        panic!("nobody is asked about pieces");
    }

    async fn on_error(&self, _: &Connection, (): &mut (), error: ConnectionError) {
        self.seen.send(Seen::Error(error)).await.unwrap();
    }

    async fn on_disconnect(&self, _: &Connection, (): &mut (), reason: CloseReason) {
        self.seen.send(Seen::Disconnect(reason)).await.unwrap();
    }
}

/// A node whose connections stream.
async fn serve_streaming<H: Handler<State = ()>>(config: Config, handler: H) -> SocketAddr {
    let node = Node::new(Hub::new(config).unwrap(), handler);
    serve(node, |_| async { Ok(Accept::new(()).streaming()) }).await
}

/// A client, and what the handler of its node sees: it waits while that many calls were not taken.
async fn recorded(config: Config, room: usize) -> (Raw, mpsc::Receiver<Seen>) {
    let hold = config.message_timeout * 3 / 2;
    let (seen, events) = mpsc::channel(room);
    let address = serve_streaming(config, Recorder { seen, hold }).await;
    (client(address).await, events)
}

async fn client(address: SocketAddr) -> Raw {
    let (client, answer) = Raw::open(address, "/", "").await;
    assert_eq!(answer.status, 101);
    client
}

async fn next_chunk(events: &mut mpsc::Receiver<Seen>) -> Chunk {
    match events.recv().await {
        Some(Seen::Chunk(chunk)) => chunk,
        other => panic!("not a chunk: {other:?}"),
    }
}

/// The next message, put together.
async fn collect(events: &mut mpsc::Receiver<Seen>) -> Message {
    let mut bytes = Vec::new();
    loop {
        let chunk = next_chunk(events).await;
        assert!(chunk.len() <= LONGEST_CHUNK, "{} bytes", chunk.len());
        assert_eq!(chunk.offset(), bytes.len() as u64);
        assert_eq!(chunk.is_first(), bytes.is_empty());
        let (is_text, is_last) = (chunk.is_text(), chunk.is_last());
        bytes.extend(chunk.into_bytes());
        match (is_last, is_text) {
            (true, true) => return Message::Text(String::from_utf8(bytes).unwrap()),
            (true, false) => return Message::Binary(bytes),
            (false, _) => {}
        }
    }
}

/// What a client writes to send `payload` in fragments of this length.
fn fragmented(opcode: u8, payload: &[u8], length: usize) -> Vec<u8> {
    let mut fragments = payload.chunks(length).enumerate();
    let mut bytes: Vec<u8> = fragments
        .by_ref()
        .flat_map(|(n, part)| frame_with(if n == 0 { opcode } else { CONTINUATION }, part))
        .collect();
    bytes.extend(frame(CONTINUATION, b""));
    bytes
}

#[test]
fn messages_of_any_length_and_number_of_fragments_come_in_pieces() {
    run_threads(2, async {
        let config = Config {
            message_size: 10_000,
            fragments: 4,
            ..Config::default()
        };
        let (client, mut events) = recorded(config, 16).await;
        let text = "aü€😀".repeat(50_000);
        let binary: Vec<u8> = (0..=250).cycle().take(2_000_000).collect();
        let bytes = [
            // Not a multiple of the pattern: characters are cut everywhere.
            fragmented(TEXT, text.as_bytes(), 997),
            frame(BINARY, &binary),
            frame(TEXT, b""),
            fragmented(BINARY, &binary, 70_000),
            frame(TEXT, b"end"),
        ];
        let (_reader, mut writer) = client.split();
        let writing = tokio::spawn(async move { writer.write_all(&bytes.concat()).await });
        assert!(collect(&mut events).await == Message::Text(text));
        assert!(collect(&mut events).await == Message::Binary(binary.clone()));
        assert_eq!(collect(&mut events).await, Message::Text(String::new()));
        assert!(collect(&mut events).await == Message::Binary(binary));
        assert_eq!(collect(&mut events).await, Message::Text("end".into()));
        writing.await.unwrap().unwrap();
    });
}

#[test]
fn a_piece_comes_before_the_message_is_complete_and_pings_between_are_answered() {
    run(async {
        let (mut client, mut events) = recorded(Config::default(), 16).await;
        // Half a frame, with half a character at its end.
        let (first, rest) = ("gr\u{fc}n".as_bytes(), b" und blau");
        client.write(&frame_with(TEXT, first)[..6 + 3]).await;
        assert_eq!(client.text().await, "0:gr");
        client.write(&frame_with(TEXT, first)[6 + 3..]).await;
        assert_eq!(client.text().await, "2:\u{fc}n");
        client.send(PING, b"between").await;
        let pong = client.data().await;
        assert_eq!((pong.opcode, &pong.payload[..]), (PONG, &b"between"[..]));
        client.send(CONTINUATION, rest).await;
        assert_eq!(client.text().await, "5: und blau.");
        assert_eq!(
            collect(&mut events).await,
            Message::Text("gr\u{fc}n und blau".into())
        );
    });
}

#[test]
fn nothing_is_read_while_a_piece_is_handled() {
    const FRAGMENTS: usize = 1000;
    const LENGTH: usize = 64 * 1024;
    run_threads(2, async {
        let (client, mut events) = recorded(Config::default(), 1).await;
        let (_reader, mut writer) = client.split();
        let (written, progress) = tokio::sync::watch::channel(0_usize);
        let writing = tokio::spawn(async move {
            writer.write_all(&frame_with(BINARY, b"")).await.unwrap();
            let fragment = frame_with(CONTINUATION, &vec![b'x'; LENGTH]);
            for n in 1..=FRAGMENTS {
                writer.write_all(&fragment).await.unwrap();
                written.send_replace(n * LENGTH);
            }
            writer.write_all(&frame(CONTINUATION, b"")).await.unwrap();
            writer
        });
        // Nobody takes pieces, so that the buffers of the kernel fill.
        let mut before = usize::MAX;
        while *progress.borrow() != before {
            before = *progress.borrow();
            sleep(Duration::from_millis(300)).await;
        }
        assert!(!writing.is_finished(), "everything was read");
        let mut taken = 0;
        loop {
            let chunk = next_chunk(&mut events).await;
            assert!(chunk.len() <= LONGEST_CHUNK);
            taken += chunk.len();
            if chunk.is_last() {
                break;
            }
        }
        assert_eq!(taken, FRAGMENTS * LENGTH);
        writing.await.unwrap();
    });
}

#[test]
fn the_time_of_a_message_runs_between_its_pieces_while_none_is_handled() {
    run(async {
        let timeout = Duration::from_secs(2);
        let config = Config {
            message_timeout: timeout,
            ..Config::default()
        };
        let (mut client, mut events) = recorded(config, 16).await;
        client.write(&frame_with(TEXT, b"hold")).await;
        // It is handled for longer than the timeout.
        assert_eq!(client.text().await, "0:hold");
        for n in 1..4_u8 {
            sleep(timeout / 3).await;
            client.write(&frame_with(CONTINUATION, &[b'0' + n])).await;
            assert_eq!(client.text().await, format!("{}:{n}", n + 3));
        }
        // Fragments without bytes are no pieces.
        client.write(&frame_with(CONTINUATION, b"")).await;
        for text in ["hold", "1", "2", "3"] {
            assert_eq!(next_chunk(&mut events).await.as_text(), Some(text));
        }
        assert_eq!(client.closed().await, 1008);
        client.send_close(1008).await;
        let end = Seen::Disconnect(CloseReason::Unfinished);
        assert_eq!(events.recv().await, Some(end), "no last piece");
    });
}

#[test]
fn text_that_is_not_valid_fails_where_it_is_wrong() {
    run(async {
        let (mut client, mut events) = recorded(Config::default(), 16).await;
        client
            .write(&frame_with(TEXT, "gut\u{fc}".as_bytes()))
            .await;
        client.write(&frame_with(CONTINUATION, b"\xc3(")).await;
        assert_eq!(client.text().await, "0:gut\u{fc}");
        assert_eq!(client.closed().await, 1007);
        assert_eq!(next_chunk(&mut events).await.as_text(), Some("gut\u{fc}"));
        let error = ProtocolError::InvalidUtf8;
        let seen = Seen::Error(ConnectionError::Protocol(error.clone()));
        assert_eq!(events.recv().await, Some(seen));
        client.send_close(1007).await;
        let end = Seen::Disconnect(CloseReason::Protocol(error));
        assert_eq!(events.recv().await, Some(end));
    });
}

#[test]
fn no_piece_comes_after_a_close() {
    run(async {
        let (mut client, mut events) = recorded(Config::default(), 16).await;
        client.write(&frame_with(TEXT, b"close")).await;
        client.write(&frame(CONTINUATION, b"not handled")).await;
        assert_eq!(client.text().await, "0:close");
        assert_eq!(client.closed().await, 4000);
        client.send_text("nor this").await;
        client.send_close(4000).await;
        assert_eq!(next_chunk(&mut events).await.as_text(), Some("close"));
        let reason = CloseReason::Application(close_frame(4000, "enough"));
        assert_eq!(events.recv().await, Some(Seen::Disconnect(reason)));
    });
}

#[test]
fn a_client_that_leaves_within_a_message_leaves_it_without_a_last_piece() {
    run(async {
        let (mut client, mut events) = recorded(Config::default(), 16).await;
        client.write(&frame_with(BINARY, b"half")).await;
        drop(client);
        assert_eq!(next_chunk(&mut events).await.as_bytes(), b"half");
        let Some(Seen::Disconnect(CloseReason::Lost(_))) = events.recv().await else {
            panic!("the end was not reported");
        };
    });
}

#[test]
fn compression_is_not_agreed_upon() {
    run(async {
        let config = Config {
            compression: Some(Deflate::default()),
            ..Config::default()
        };
        let (seen, mut events) = mpsc::channel(1);
        let hold = Duration::ZERO;
        let address = serve_streaming(config, Recorder { seen, hold }).await;
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let (mut client, answer) = Raw::open(address, "/", offer).await;
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        client.send_text("plain").await;
        assert_eq!(collect(&mut events).await, Message::Text("plain".into()));
    });
}

#[test]
fn too_much_slows_down_where_the_handler_would_be_asked() {
    run(async {
        let config = Config {
            inbound: Inbound {
                messages: Some(2),
                excess: Excess::Ask,
                ..Inbound::default()
            },
            ..Config::default()
        };
        let (mut client, mut events) = recorded(config, 16).await;
        let begun = tokio::time::Instant::now();
        // Pieces before the last are no messages.
        let message = [frame_with(TEXT, b"a"), frame(CONTINUATION, b"b")].concat();
        client.write(&message.repeat(4)).await;
        for _ in 0..4 {
            assert_eq!(collect(&mut events).await, Message::Text("ab".into()));
        }
        let elapsed = begun.elapsed();
        assert!(elapsed >= Duration::from_millis(900), "after {elapsed:?}");
    });
}

/// Has no `on_chunk`.
struct Whole;

impl Handler for Whole {
    type State = ();

    async fn on_message(&self, _: &Connection, (): &mut (), message: Message) {
        panic!("a whole message: {message:?}");
    }
}

#[test]
fn a_handler_without_the_callback_closes_with_1011() {
    run(async {
        let mut client = client(serve_streaming(Config::default(), Whole).await).await;
        client.send_text("long").await;
        assert_eq!(client.closed().await, 1011);
    });
}
