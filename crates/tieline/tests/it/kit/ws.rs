//! A client of a library that is not ours.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, query: &str) -> Self {
        let url = format!("ws://{address}/?{query}");
        let (socket, _) = connect_async(url).await.unwrap();
        Self { socket }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        let message = Message::binary(bytes.to_vec());
        self.socket.send(message).await.unwrap();
    }

    /// The next message, pings and pongs included.
    pub(crate) async fn next(&mut self) -> Message {
        self.socket.next().await.unwrap().unwrap()
    }

    /// The next message but pings and pongs, which must be text.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not text: {other:?}"),
            }
        }
    }

    /// The code of the close frame, which must be next; `None` if it has none. Ends the handshake.
    pub(crate) async fn closed(mut self) -> Option<u16> {
        let code = loop {
            match self.next().await {
                Message::Close(frame) => break frame.map(|frame| frame.code.into()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a close: {other:?}"),
            }
        };
        // The answer is written by the reads that follow.
        assert!(self.socket.next().await.is_none());
        code
    }

    /// Closes, reads to the end of the handshake and of the stream, and returns the texts that came
    /// meanwhile.
    pub(crate) async fn close(mut self, code: u16) -> Vec<String> {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: "bye".into(),
        };
        self.socket.close(Some(frame)).await.unwrap();
        let mut texts = Vec::new();
        let mut echoed = None;
        while let Some(message) = self.socket.next().await {
            match message.unwrap() {
                Message::Text(text) => texts.push(text.to_string()),
                Message::Close(frame) => echoed = frame.map(|frame| u16::from(frame.code)),
                _ => {}
            }
        }
        assert_eq!(echoed, Some(code), "the server answers with the same code");
        texts
    }
}
