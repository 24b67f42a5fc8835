//! Each face of the library, and a router in front of it.

use axum::{
    Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::get,
};
use tieline::{
    Accept, CallbackError, CloseCode, CloseFrame, Config, Connection, Hub, Message, Node, Upgrade,
    testing::{TestClient, TestRequest},
};

use super::{Echo, echo};

#[tokio::test(start_paused = true)]
async fn an_axum_router_is_a_service() {
    let enter = async |State(node): State<Node<Echo>>, Path(room): Path<String>, up: Upgrade| {
        up.accept(&node, Accept::new(()).group(room))
            .await
            .into_response()
    };
    let (node, _) = echo(Config::default());
    let router = Router::new()
        .route("/rooms/{room}", get(enter))
        .with_state(node.clone());
    let mut client = TestClient::connect(&router, "/rooms/kitchen").await;
    assert_eq!(node.hub().group_len("kitchen"), 1);
    client.send("hello").await;
    client.expect_text("hello").await;
    let nowhere = TestRequest::new("/elsewhere").expect_refusal(&router).await;
    assert_eq!(nowhere.status(), 404);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_served_in_its_task() {
    let node = Node::new(Hub::new(Config::default()).unwrap(), ());
    let enter = async |State(node): State<Node<()>>, upgrade: Upgrade| {
        let serve = async |mut socket: tieline::Socket| {
            while let Some(Ok(message)) = socket.recv().await {
                socket.send(message).await.unwrap();
            }
        };
        let response = upgrade.on_socket(&node, Accept::new(()), serve);
        response.await.into_response()
    };
    let router = Router::new().route("/", get(enter)).with_state(node);
    let mut client = TestClient::connect(&router, "/").await;
    client.send("hello").await;
    client.expect_text("hello").await;
    client.close().await;
}

#[derive(Debug, thiserror::Error)]
#[error("not a number")]
struct NotANumber;

impl CallbackError for NotANumber {
    fn close_frame(&self) -> CloseFrame {
        CloseFrame::new(CloseCode::UNSUPPORTED_DATA, self.to_string())
    }
}

struct Doubling;

impl tieline::TryHandler for Doubling {
    type State = ();
    type Error = NotANumber;

    async fn on_message(
        &self,
        connection: &Connection,
        (): &mut (),
        message: Message,
    ) -> Result<(), NotANumber> {
        let number: u32 = message
            .as_text()
            .unwrap_or_default()
            .parse()
            .map_err(|_| NotANumber)?;
        connection.emit((2 * number).to_string());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_callback_closes() {
    let node = Node::new(Hub::new(Config::default()).unwrap(), Doubling);
    let service = node.service(super::in_lobby);
    let mut client = TestClient::connect(&service, "/").await;
    client.send("21").await;
    client.expect_text("42").await;
    client.send("many").await;
    let close = client.expect_close().await;
    assert_eq!(
        close,
        CloseFrame::new(CloseCode::UNSUPPORTED_DATA, "not a number")
    );
}
