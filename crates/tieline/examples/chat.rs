//! A chat whose rooms are paths, behind an axum router.
//!
//! Run it:
//!
//! ```sh
//! cargo run -p tieline --features axum --example chat
//! ```
//!
//! Try it with two clients, each in its own terminal. What one sends goes to everyone in the room:
//!
//! ```sh
//! npx wscat -c 'ws://127.0.0.1:8081/lobby?name=ada'
//! npx wscat -c 'ws://127.0.0.1:8081/lobby?name=grace'
//! ```
//!
//! To listen on another address, append it: `-- 127.0.0.1:9000`.
//!
//! Read next: `axum.rs` for more routes and shared state, and `docs/axum.md`.

use anyhow::Context;
use axum::{
    Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::get,
};
use tieline::{
    Accept, CloseReason, Config, Connection, Handler, Hub, Listener, Message, Node, Refusal,
    StatusCode, Upgrade,
};

struct Chat;

/// The state of a connection.
struct Guest {
    name: String,
    room: String,
}

impl Guest {
    fn send_to_room(&self, connection: &Connection, text: &str) {
        let line = format!("{}: {text}", self.name);
        connection.hub().emit_group(&self.room, line);
    }
}

impl Handler for Chat {
    type State = Guest;

    async fn on_connect(&self, connection: &Connection, guest: &mut Guest) {
        guest.send_to_room(connection, "hello");
    }

    async fn on_message(&self, connection: &Connection, guest: &mut Guest, message: Message) {
        if let Some(text) = message.as_text() {
            guest.send_to_room(connection, text);
        }
    }

    async fn on_disconnect(&self, connection: &Connection, guest: &mut Guest, _: CloseReason) {
        guest.send_to_room(connection, "goodbye");
    }
}

async fn enter(
    State(node): State<Node<Chat>>,
    Path(room): Path<String>,
    upgrade: Upgrade,
) -> Result<impl IntoResponse, Refusal> {
    let Some(name) = upgrade.request().query("name") else {
        let body = "say who you are: /room?name=you\n";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, body));
    };
    let accept = Accept::new(Guest {
        name: name.clone(),
        room: room.clone(),
    });
    Ok(upgrade.accept(&node, accept.user(name).group(room)).await)
}

fn router(node: Node<Chat>) -> Router {
    Router::new().route("/{room}", get(enter)).with_state(node)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".into());
    let listener = Listener::bind(&address).await.with_context(|| {
        format!("cannot listen on {address}; pass another address, such as 127.0.0.1:9000")
    })?;
    eprintln!(
        "listening on ws://{}/ROOM?name=NAME",
        listener.local_addr()?
    );

    let node = Node::new(Hub::new(Config::default())?, Chat);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    node.serve_service(listener, router(node.clone()), ctrl_c)
        .await;
    Ok(())
}

// In a package of your own, `tieline` with the feature `testing` is a dev-dependency, and `cfg(test)` is enough.
#[cfg(all(test, feature = "testing"))]
mod tests {
    use tieline::testing::{TestClient, TestRequest};

    use super::*;

    fn chat() -> Router {
        let hub = Hub::new(Config::default()).expect("the default is valid");
        router(Node::new(hub, Chat))
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_hears_who_comes_speaks_and_goes() {
        let chat = chat();
        let mut ada = TestClient::connect(&chat, "/lobby?name=ada").await;
        ada.expect_text("ada: hello").await;
        let mut grace = TestClient::connect(&chat, "/lobby?name=grace").await;
        ada.expect_text("grace: hello").await;
        grace.expect_text("grace: hello").await;

        grace.send("is anybody here?").await;
        ada.expect_text("grace: is anybody here?").await;
        grace.close().await;
        ada.expect_text("grace: goodbye").await;
    }

    #[tokio::test(start_paused = true)]
    async fn rooms_hear_nothing_of_each_other() {
        let chat = chat();
        let mut ada = TestClient::connect(&chat, "/lobby?name=ada").await;
        ada.expect_text("ada: hello").await;
        let grace = TestClient::connect(&chat, "/kitchen?name=grace").await;
        grace.send("only here").await;
        ada.expect_nothing().await;
    }

    #[tokio::test]
    async fn guests_say_who_they_are() {
        let refusal = TestRequest::new("/lobby").expect_refusal(&chat()).await;
        assert_eq!(refusal.status(), 400);
        assert_eq!(refusal.body(), "say who you are: /room?name=you\n");
    }
}
