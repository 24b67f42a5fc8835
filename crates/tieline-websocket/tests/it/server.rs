//! A small driver around `Protocol` for tests: handshake, echo, close, over an in-memory pipe.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use tieline_websocket::{
    Action, AnyFrame, CloseFrame, Frame, Limits, Message, Protocol, handshake,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// The text message that makes the server close instead of echo.
pub(crate) const CLOSE_COMMAND: &str = "close me";

/// Serves one connection until it ends; yields every action.
pub(crate) async fn serve(
    mut stream: DuplexStream,
    read_size: usize,
    close: CloseFrame,
) -> Vec<Action> {
    let mut unread = accept(&mut stream).await;
    let limits = Limits::default();
    let mut protocol = Protocol::new(false);
    let mut actions = Vec::new();
    loop {
        let mut rest = &mut unread[..];
        while !rest.is_empty() {
            let received = protocol.receive(&limits, rest);
            rest = &mut rest[received.consumed..];
            let Some(action) = received.action else {
                continue;
            };
            actions.push(action.clone());
            let reply = match action {
                Action::Message(Message::Text(text)) if text == CLOSE_COMMAND => {
                    protocol.close(Some(&close))
                }
                Action::Message(message) => Some(Frame::from(message).into()),
                Action::Close { reply, .. } => Some(reply),
                Action::Fail { reply, .. } => reply,
                _ => None,
            };
            if let Some(reply) = reply {
                send(&mut stream, &reply).await;
            }
            if !matches!(actions.last(), Some(Action::Message(_))) {
                return actions;
            }
        }
        if let Some(pong) = protocol.take_pong() {
            send(&mut stream, &pong).await;
        }
        unread = vec![0; read_size];
        let read = stream.read(&mut unread).await.unwrap();
        if read == 0 {
            return actions;
        }
        unread.truncate(read);
    }
}

async fn send(stream: &mut DuplexStream, frame: &AnyFrame) {
    let encoded = frame.encoded(None);
    stream.write_all(encoded.header).await.unwrap();
    stream.write_all(encoded.payload).await.unwrap();
}

/// Responds to the upgrade request with the last subprotocol that it offers; yields the bytes read
/// after the request.
async fn accept(stream: &mut DuplexStream) -> Vec<u8> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") {
            break end;
        }
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
    };
    let unread = read.split_off(end + 4);
    let request = parse(std::str::from_utf8(&read).unwrap());
    let response = request.respond(request.subprotocols().last(), true);
    let mut out = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    for (name, value) in response.headers() {
        out.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    out.extend(b"\r\n");
    stream.write_all(&out).await.unwrap();
    unread
}

fn parse(request: &str) -> handshake::Request {
    let mut lines = request.split("\r\n").filter(|line| !line.is_empty());
    let mut words = lines.next().unwrap().split(' ');
    let method: Method = words.next().unwrap().parse().unwrap();
    assert_eq!(words.next_back(), Some("HTTP/1.1"));
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    handshake::Request::parse(&method, Version::HTTP_11, &headers).unwrap()
}
