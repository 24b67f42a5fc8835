//! tokio-websockets as the client. It checks more strictly than tungstenite, and splits messages into
//! frames.

use futures_util::{SinkExt, StreamExt};
use tieline_websocket::{Action, CloseCode, CloseFrame, Message};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_websockets::{ClientBuilder, Config, Message as PeerMessage, WebSocketStream};

use crate::server::{CLOSE_COMMAND, serve};

type Client = WebSocketStream<DuplexStream>;

async fn connect(read_size: usize, frame_size: usize) -> (Client, JoinHandle<Vec<Action>>) {
    let (near, far) = tokio::io::duplex(1000);
    let close = CloseFrame::new(CloseCode::SERVICE_RESTART, "later");
    let server = tokio::spawn(serve(far, read_size, close));
    let (client, _) = ClientBuilder::new()
        .uri("ws://example.com/")
        .unwrap()
        .config(Config::default().frame_size(frame_size))
        .connect_on(near)
        .await
        .unwrap();
    (client, server)
}

#[tokio::test]
async fn messages_are_echoed_whatever_their_frames() {
    for (read_size, frame_size) in [(1, 4), (3, 10_000), (100, 100), (65_536, 1 << 20)] {
        let (mut client, server) = connect(read_size, frame_size).await;
        let mut sent = Vec::new();
        for length in [0, 1, 125, 126, 1000, 4000, 65_535, 65_536] {
            if length / frame_size >= 4096 {
                continue;
            }
            let text = "ü€".repeat(length / 5);
            sent.push(Message::Text(text.clone()));
            client.send(PeerMessage::text(text.clone())).await.unwrap();
            let echo = client.next().await.unwrap().unwrap();
            assert_eq!(echo.as_text(), Some(&text[..]));

            let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
            sent.push(Message::Binary(bytes.clone()));
            client
                .send(PeerMessage::binary(bytes.clone()))
                .await
                .unwrap();
            let echo = client.next().await.unwrap().unwrap();
            assert!(echo.is_binary());
            assert_eq!(&echo.as_payload()[..], bytes);
        }
        drop(client);
        let expected: Vec<_> = sent.into_iter().map(Action::Message).collect();
        assert_eq!(server.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn pings_are_answered() {
    let (mut client, server) = connect(2, 100).await;
    for length in [0, 1, 125] {
        client
            .send(PeerMessage::ping(vec![7; length]))
            .await
            .unwrap();
        let pong = client.next().await.unwrap().unwrap();
        assert!(pong.is_pong());
        assert_eq!(&pong.as_payload()[..], vec![7; length]);
        client
            .send(PeerMessage::pong(vec![7; length]))
            .await
            .unwrap();
    }
    drop(client);
    assert!(server.await.unwrap().is_empty());
}

#[tokio::test]
async fn clients_close_is_answered_with_its_code() {
    for code in [1000, 1001, 1002, 1010, 1012, 1014, 3000, 4999] {
        let (mut client, server) = connect(2, 100).await;
        let peer_code = tokio_websockets::CloseCode::try_from(code).unwrap();
        let frame = PeerMessage::close(Some(peer_code), "bye");
        client.send(frame).await.unwrap();
        let reply = client.next().await.unwrap().unwrap();
        assert_eq!(reply.as_close(), Some((peer_code, "")));
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
    let (mut client, server) = connect(2, 100).await;
    client.send(PeerMessage::text(CLOSE_COMMAND)).await.unwrap();
    let frame = client.next().await.unwrap().unwrap();
    let (code, reason) = frame.as_close().unwrap();
    assert_eq!((u16::from(code), reason), (1012, "later"));
    assert!(client.next().await.is_none());
    let actions = server.await.unwrap();
    let Some(Action::Closed { received }) = actions.last() else {
        panic!("not closed: {actions:?}");
    };
    let code = received.as_ref().map(|it| it.code);
    assert_eq!(code, Some(CloseCode::SERVICE_RESTART));
}
