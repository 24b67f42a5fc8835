//! Callbacks that fail.

use std::{error::Error, fmt, sync::Arc};

use parking_lot::Mutex;
use tieline::{
    Accept, CallbackError, Chunk, CloseCode, CloseFrame, CloseReason, Config, Connection,
    ConnectionError, Hub, Message, Node, TryHandler,
};
use tokio::sync::mpsc;

use super::close_frame;
use crate::kit::{Raw, raw::CLOSE, run, serve};

#[derive(Debug, PartialEq)]
struct Chosen(u16);

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chosen: {}", self.0)
    }
}

impl Error for Chosen {}

impl CallbackError for Chosen {
    fn close_frame(&self) -> CloseFrame {
        CloseFrame::new(CloseCode::new(self.0).unwrap(), "as chosen")
    }
}

/// What the callbacks saw.
#[derive(Debug)]
enum Seen {
    Message(Message),
    Error(ConnectionError),
    Disconnect(CloseReason),
}

/// Fails with the code that a client sends; sends an answer before.
struct Failing(mpsc::Sender<Seen>);

impl TryHandler for Failing {
    type State = ();
    type Error = Chosen;

    async fn on_message(
        &self,
        connection: &Connection,
        (): &mut (),
        message: Message,
    ) -> Result<(), Chosen> {
        self.0.try_send(Seen::Message(message.clone())).unwrap();
        connection.emit(message.clone());
        let code = message.as_text().unwrap().parse();
        code.map_or(Ok(()), |code| Err(Chosen(code)))
    }

    async fn on_chunk(&self, _: &Connection, (): &mut (), chunk: Chunk) -> Result<(), Chosen> {
        let code = chunk.as_text().unwrap().parse().unwrap();
        Err(Chosen(code))
    }

    async fn on_error(&self, connection: &Connection, (): &mut (), error: ConnectionError) {
        assert!(!connection.is_open(), "the close has begun");
        self.0.try_send(Seen::Error(error)).unwrap();
    }

    async fn on_disconnect(&self, _: &Connection, (): &mut (), reason: CloseReason) {
        self.0.try_send(Seen::Disconnect(reason)).unwrap();
    }
}

/// Fails with an error of any type before the first message.
#[derive(Default, Clone)]
struct FailsToConnect(Arc<Mutex<Option<ConnectionError>>>);

impl TryHandler for FailsToConnect {
    type State = ();
    type Error = Box<dyn Error + Send + Sync>;

    async fn on_connect(&self, _: &Connection, (): &mut ()) -> Result<(), Self::Error> {
        Err(std::io::Error::other("a secret"))?
    }

    async fn on_message(&self, _: &Connection, (): &mut (), _: Message) -> Result<(), Self::Error> {
        panic!("a message was handled");
    }

    async fn on_error(&self, _: &Connection, (): &mut (), error: ConnectionError) {
        self.0.lock().replace(error);
    }
}

/// Serves a handler, and returns a client.
async fn client_of(handler: impl TryHandler<State = ()>) -> Raw {
    client_as(handler, Accept::new).await
}

async fn client_as(handler: impl TryHandler<State = ()>, accept: fn(()) -> Accept<()>) -> Raw {
    let node = Node::new(Hub::new(Config::default()).unwrap(), handler);
    let address = serve(node, move |_| async move { Ok(accept(())) }).await;
    let (client, answer) = Raw::open(address, "/", "").await;
    assert_eq!(answer.status, 101);
    client
}

#[test]
fn an_error_of_a_callback_closes_with_the_code_that_it_chooses() {
    run(async {
        let (seen, mut events) = mpsc::channel(16);
        let mut client = client_of(Failing(seen)).await;
        for text in ["well", "4321", "not handled"] {
            client.send_text(text).await;
        }
        assert_eq!(client.text().await, "well");
        assert_eq!(client.text().await, "4321", "it still leaves");
        let close = client.frame().await.unwrap();
        assert_eq!(close.opcode, CLOSE);
        assert_eq!(close.payload[..2], 4321_u16.to_be_bytes());
        assert_eq!(&close.payload[2..], b"as chosen");
        client.send_close(4321).await;
        client.end().await;

        for text in ["well", "4321"] {
            let Some(Seen::Message(message)) = events.recv().await else {
                panic!("expected the message {text}");
            };
            assert_eq!(message.as_text(), Some(text));
        }
        let Some(Seen::Error(ConnectionError::Handler(error))) = events.recv().await else {
            panic!("expected the error");
        };
        assert_eq!(error.downcast_ref(), Some(&Chosen(4321)));
        let Some(Seen::Disconnect(reason)) = events.recv().await else {
            panic!("expected the end");
        };
        let frame = close_frame(4321, "as chosen");
        assert_eq!(reason, CloseReason::Application(frame));
    });
}

#[test]
fn an_error_about_a_piece_closes_with_the_code_that_it_chooses() {
    run(async {
        let (seen, mut events) = mpsc::channel(16);
        let streaming = |()| Accept::new(()).streaming();
        let mut client = client_as(Failing(seen), streaming).await;
        client.send_text("4321").await;
        assert_eq!(client.closed().await, 4321);
        let Some(Seen::Error(ConnectionError::Handler(error))) = events.recv().await else {
            panic!("expected the error");
        };
        assert_eq!(error.downcast_ref(), Some(&Chosen(4321)));
    });
}

#[test]
fn any_error_closes_with_1011_and_tells_the_client_nothing() {
    run(async {
        let handler = FailsToConnect::default();
        let mut client = client_of(handler.clone()).await;
        client.send_text("not handled").await;
        let close = client.frame().await.unwrap();
        assert_eq!((close.opcode, &close.payload[..]), (CLOSE, &[3, 243][..]));
        client.send_close(1011).await;
        client.end().await;
        let error = handler.0.lock().take().unwrap();
        assert_eq!(error.to_string(), "the handler failed: a secret");
    });
}
