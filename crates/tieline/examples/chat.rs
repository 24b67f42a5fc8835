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
    let router = Router::new()
        .route("/{room}", get(enter))
        .with_state(node.clone());
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    node.serve_service(listener, router, ctrl_c).await;
    Ok(())
}
