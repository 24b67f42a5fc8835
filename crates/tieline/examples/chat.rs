//! A chat with rooms, behind an axum router.
//!
//! Connect to `ws://127.0.0.1:8081/ROOM?name=NAME`: what you send goes to everyone in the room.
//!
//! ```sh
//! cargo run -p tieline --features axum --example chat -- 127.0.0.1:8081
//! ```

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

/// What the chat keeps for each connection.
struct Guest {
    name: String,
    room: String,
}

impl Guest {
    fn tell_room(&self, connection: &Connection, text: &str) {
        let line = format!("{}: {text}", self.name);
        connection.hub().emit_group(&self.room, line);
    }
}

impl Handler for Chat {
    type State = Guest;

    async fn on_connect(&self, connection: &Connection, guest: &mut Guest) {
        guest.tell_room(connection, "hello");
    }

    async fn on_message(&self, connection: &Connection, guest: &mut Guest, message: Message) {
        if let Some(text) = message.as_text() {
            guest.tell_room(connection, text);
        }
    }

    async fn on_disconnect(&self, connection: &Connection, guest: &mut Guest, _: CloseReason) {
        guest.tell_room(connection, "goodbye");
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
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".into());
    let listener = Listener::bind(&address).await?;
    eprintln!("listening on ws://{}", listener.local_addr()?);

    let node = Node::new(Hub::new(Config::default())?, Chat);
    let router = Router::new()
        .route("/{room}", get(enter))
        .with_state(node.clone());
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    node.serve_service(listener, router, ctrl_c).await;
    Ok(())
}
