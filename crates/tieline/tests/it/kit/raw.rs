//! A client made of bytes: it sends what no library would, and answers nothing by itself.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;

/// The answer to an upgrade request.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// A frame from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawFrame {
    pub(crate) fin: bool,
    pub(crate) compressed: bool,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Raw<S = TcpStream> {
    pub(crate) stream: S,
    /// Which accepted socket this is, by the header that the kit's server sends.
    pub(crate) serial: usize,
    buffer: Vec<u8>,
    /// How much of the buffer was taken.
    start: usize,
}

impl Raw {
    /// Connects and asks for an upgrade with further header lines.
    pub(crate) async fn open(
        address: SocketAddr,
        target: &str,
        headers: &str,
    ) -> (Self, HttpResponse) {
        let mut raw = Self::over(TcpStream::connect(address).await.unwrap());
        let answer = raw.upgrade(target, headers).await;
        (raw, answer)
    }

    /// Connects with a small receive window.
    pub(crate) async fn narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::over(socket.connect(address).await.unwrap())
    }

    /// The reading half with what was read already, and the writing half.
    pub(crate) fn split(self) -> (Raw<OwnedReadHalf>, OwnedWriteHalf) {
        let (read, write) = self.stream.into_split();
        let reader = Raw {
            stream: read,
            serial: self.serial,
            buffer: self.buffer,
            start: self.start,
        };
        (reader, write)
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            serial: usize::MAX,
            buffer: Vec::new(),
            start: 0,
        }
    }

    pub(crate) async fn upgrade(&mut self, target: &str, headers: &str) -> HttpResponse {
        self.write(request(target, headers).as_bytes()).await;
        self.answer().await
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.write(&frame(opcode, payload)).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes()).await;
    }

    /// Sends a close with a code.
    pub(crate) async fn send_close(&mut self, code: u16) {
        self.send(CLOSE, &code.to_be_bytes()).await;
    }
}

impl<S: AsyncRead + Unpin> Raw<S> {
    /// Reads an HTTP answer. The body is what `Content-Length` says.
    pub(crate) async fn answer(&mut self) -> HttpResponse {
        let end = loop {
            let unread = &self.buffer[self.start..];
            if let Some(at) = unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill().await, "no answer, but the end");
        };
        let head = String::from_utf8(self.take(end).await.unwrap()).unwrap();
        let mut answer = HttpResponse {
            status: head[9..12].parse().unwrap(),
            head,
            body: String::new(),
        };
        if let Some(length) = answer.header("content-length") {
            let body = self.take(length.parse().unwrap()).await.unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        answer
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<RawFrame> {
        let head = self.take(2).await?;
        assert_eq!(head[1] & 0x80, 0, "a server's frame must not be masked");
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.array().await?)),
            127 => u64::from_be_bytes(self.array().await?),
            short => short.into(),
        };
        Some(RawFrame {
            fin: head[0] & FIN != 0,
            compressed: head[0] & RSV1 != 0,
            opcode: head[0] & 0x0f,
            payload: self.take(length.try_into().unwrap()).await?,
        })
    }

    /// The next frame, which must be a text; pings are passed over.
    pub(crate) async fn text(&mut self) -> String {
        let frame = self.data().await;
        assert_eq!(frame.opcode, TEXT, "not text: {frame:?}");
        String::from_utf8(frame.payload).unwrap()
    }

    /// The next frame that is no ping.
    pub(crate) async fn data(&mut self) -> RawFrame {
        loop {
            let frame = self.frame().await.unwrap();
            if frame.opcode != PING {
                return frame;
            }
        }
    }

    /// The code of the close frame, which must be next; pings are passed over.
    pub(crate) async fn closed(&mut self) -> u16 {
        let frame = self.data().await;
        assert_eq!(frame.opcode, CLOSE, "not a close: {frame:?}");
        u16::from_be_bytes([frame.payload[0], frame.payload[1]])
    }

    /// Everything up to the close frame, as texts, and its code.
    pub(crate) async fn texts_until_closed(&mut self) -> (Vec<String>, u16) {
        let mut texts = Vec::new();
        loop {
            let frame = self.data().await;
            match frame.opcode {
                TEXT => texts.push(String::from_utf8(frame.payload).unwrap()),
                CLOSE => {
                    return (
                        texts,
                        u16::from_be_bytes([frame.payload[0], frame.payload[1]]),
                    );
                }
                _ => panic!("neither text nor close: {frame:?}"),
            }
        }
    }

    /// Waits for the end of the stream; nothing may come before it.
    pub(crate) async fn end(&mut self) {
        assert_eq!(self.frame().await, None);
    }

    async fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        Some(self.take(N).await?.try_into().unwrap())
    }

    async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() - self.start < count {
            if !self.fill().await {
                return None;
            }
        }
        let taken = self.buffer[self.start..self.start + count].to_vec();
        self.start += count;
        Some(taken)
    }

    /// Reads more; false at the end of the stream, orderly or not.
    async fn fill(&mut self) -> bool {
        self.buffer.drain(..std::mem::take(&mut self.start));
        self.buffer.reserve(16 * 1024);
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..))
    }
}

impl HttpResponse {
    /// The value of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// An upgrade request with further header lines.
pub(crate) fn request(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: node.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// A complete, masked frame.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame_with(FIN | opcode, payload)
}

/// A masked frame whose first byte is given.
pub(crate) fn frame_with(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    let length = payload.len() as u64;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => bytes.push(MASKED | length),
        (_, Ok(length)) => {
            bytes.push(MASKED | 0x7e);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | 0x7f);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}
