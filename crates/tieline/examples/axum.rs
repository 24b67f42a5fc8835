//! An axum application: the WebSocket is one route among others, and all share one state.
//!
//! Run it:
//!
//! ```sh
//! cargo run -p tieline --features axum --example axum
//! ```
//!
//! Open <http://127.0.0.1:8081/> in two tabs and write a note in one of them. Add a note over HTTP, and
//! read them all:
//!
//! ```sh
//! curl -d 'from curl' http://127.0.0.1:8081/notes
//! curl http://127.0.0.1:8081/notes
//! ```
//!
//! To listen on another address, append it: `-- 127.0.0.1:9000`.
//!
//! Read next: `docs/axum.md` for `axum::serve` and middleware, and `chat.rs` for a route with a path.

use std::collections::VecDeque;

use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    response::{Html, IntoResponse},
    routing::get,
};
use parking_lot::Mutex;
use tieline::{Accept, Config, Connection, Handler, Hub, Listener, Message, Node, Upgrade};

/// How many notes are kept.
const LIMIT: usize = 20;
const GROUP: &str = "readers";
const PAGE: &str = r#"<!doctype html><title>Notes</title><ul></ul><input autofocus placeholder="A note">
<script>
  const socket = new WebSocket(`ws://${location.host}/ws`), input = document.querySelector("input");
  socket.onmessage = ({ data }) => (document.querySelector("ul").appendChild(document.createElement("li")).textContent = data);
  input.onchange = () => { socket.send(input.value); input.value = ""; };
</script>"#;

/// The application: what its routes and its connections share.
#[derive(Default)]
struct Board {
    notes: Mutex<VecDeque<String>>,
}

impl Board {
    /// Keeps a note and sends it to all readers; returns how many.
    async fn add(&self, hub: &Hub, note: String) -> u64 {
        let receipt = {
            // Under the same lock as in `on_connect`, so that each reader gets each note once.
            let mut notes = self.notes.lock();
            notes.truncate(LIMIT - 1);
            notes.push_front(note.clone());
            hub.emit_group(GROUP, note)
        };
        receipt.await.delivered
    }
}

impl Handler for Board {
    type State = ();

    async fn on_connect(&self, connection: &Connection, (): &mut ()) {
        let notes = self.notes.lock();
        for note in notes.iter().rev() {
            connection.emit(note.as_str());
        }
        // Fails only if the connection has ended already.
        connection.join(GROUP).ok();
    }

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        if let Some(note) = message.as_text() {
            self.add(connection.hub(), note.into()).await;
        }
    }
}

async fn list(State(node): State<Node<Board>>) -> Json<VecDeque<String>> {
    Json(node.handler().notes.lock().clone())
}

async fn add(State(node): State<Node<Board>>, body: String) -> String {
    let readers = node.handler().add(node.hub(), body).await;
    format!("delivered to {readers} clients\n")
}

async fn connect(State(node): State<Node<Board>>, upgrade: Upgrade) -> impl IntoResponse {
    upgrade.accept(&node, Accept::new(())).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".into());
    let listener = Listener::bind(&address).await.with_context(|| {
        format!("cannot listen on {address}; pass another address, such as 127.0.0.1:9000")
    })?;
    eprintln!("listening on http://{}/", listener.local_addr()?);

    let node = Node::new(Hub::new(Config::default())?, Board::default());
    let router = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/notes", get(list).post(add))
        .route("/ws", get(connect))
        .with_state(node.clone());
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    node.serve_service(listener, router, ctrl_c).await;
    Ok(())
}
