//! tokio-tungstenite as the client.

use futures_util::{SinkExt, StreamExt};
use tieline_websocket::{Action, CloseCode, CloseFrame, Message};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame as PeerCloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message as PeerMessage};

use crate::server::{CLOSE_COMMAND, serve};

const READ_SIZES: [usize; 4] = [1, 3, 100, 65_536];

type Client = WebSocketStream<DuplexStream>;

async fn connect(read_size: usize) -> (Client, JoinHandle<Vec<Action>>) {
    let (near, far) = tokio::io::duplex(1000);
    let close = CloseFrame::new(CloseCode::GOING_AWAY, "later");
    let server = tokio::spawn(serve(far, read_size, close));
    let (client, _) = tokio_tungstenite::client_async("ws://example.com/", near)
        .await
        .unwrap();
    (client, server)
}

#[tokio::test]
async fn handshake_is_accepted_with_the_subprotocol() {
    let (near, far) = tokio::io::duplex(1000);
    let close = CloseFrame::new(CloseCode::NORMAL, "");
    let server = tokio::spawn(serve(far, 100, close));
    let mut request = "ws://example.com/".into_client_request().unwrap();
    let offered = "chat, tieline".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offered);
    let (client, response) = tokio_tungstenite::client_async(request, near)
        .await
        .unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "tieline");
    drop(client);
    assert!(server.await.unwrap().is_empty());
}

#[tokio::test]
async fn messages_of_all_lengths_are_echoed() {
    for read_size in READ_SIZES {
        let (mut client, server) = connect(read_size).await;
        let mut sent = 0;
        for length in [0, 1, 125, 126, 5000, 65_535, 65_536] {
            let text = PeerMessage::text("ü".repeat(length / 2));
            let binary = PeerMessage::binary(vec![0xab; length]);
            for message in [text, binary] {
                client.send(message.clone()).await.unwrap();
                assert_eq!(client.next().await.unwrap().unwrap(), message);
                sent += 1;
            }
        }
        drop(client);
        assert_eq!(server.await.unwrap().len(), sent);
    }
}

#[tokio::test]
async fn fragments_with_a_ping_between_are_echoed_as_one() {
    for read_size in READ_SIZES {
        let (mut client, server) = connect(read_size).await;
        let fragment = |data: &'static [u8], kind, fin| {
            let frame = Frame::message(Bytes::from_static(data), OpCode::Data(kind), fin);
            PeerMessage::Frame(frame)
        };
        let parts = [
            fragment(b"Hel", Data::Text, false),
            PeerMessage::Ping(Bytes::from_static(b"?")),
            fragment(b"", Data::Continue, false),
            fragment(b"lo", Data::Continue, true),
        ];
        for part in parts {
            client.send(part).await.unwrap();
        }
        let mut received = Vec::new();
        while received.len() < 2 {
            received.push(client.next().await.unwrap().unwrap());
        }
        // The order of pong and echo depends on how the reads split the input.
        assert!(received.contains(&PeerMessage::Pong(Bytes::from_static(b"?"))));
        assert!(received.contains(&PeerMessage::text("Hello")));
        drop(client);
        let expected = [Action::Message(Message::Text("Hello".into()))];
        assert_eq!(server.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn clients_close_is_answered_with_its_code() {
    // 1014 is missing: tungstenite does not know it.
    for code in [1000, 1001, 1003, 1007, 1009, 1011, 1013, 3000, 4999] {
        let (mut client, server) = connect(7).await;
        let frame = PeerCloseFrame {
            code: code.into(),
            reason: "bye".into(),
        };
        client.close(Some(frame)).await.unwrap();
        let Some(Ok(PeerMessage::Close(Some(reply)))) = client.next().await else {
            panic!("no close frame");
        };
        assert_eq!(u16::from(reply.code), code);
        assert!(client.next().await.is_none());
        let [Action::Close { received, .. }] = &server.await.unwrap()[..] else {
            panic!("not closed by the peer");
        };
        let expected = CloseFrame::new(CloseCode::new(code).unwrap(), "bye");
        assert_eq!(*received, Some(expected));
    }
}

#[tokio::test]
async fn servers_close_is_answered_by_the_client() {
    let (mut client, server) = connect(7).await;
    client.send(PeerMessage::text(CLOSE_COMMAND)).await.unwrap();
    let Some(Ok(PeerMessage::Close(Some(frame)))) = client.next().await else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(frame.code), 1001);
    assert_eq!(frame.reason.as_str(), "later");
    assert!(client.next().await.is_none());
    let actions = server.await.unwrap();
    let Some(Action::Closed { received }) = actions.last() else {
        panic!("not closed: {actions:?}");
    };
    assert_eq!(
        received.as_ref().map(|it| it.code),
        Some(CloseCode::GOING_AWAY)
    );
}
