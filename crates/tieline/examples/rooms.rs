//! Groups: clients join rooms, leave them, and talk to everyone else in a room.
//!
//! Run it:
//!
//! ```sh
//! cargo run -p tieline --example rooms
//! ```
//!
//! Try it with two clients, each in its own terminal:
//!
//! ```sh
//! npx wscat -c 'ws://127.0.0.1:8081/?name=ada'
//! npx wscat -c 'ws://127.0.0.1:8081/?name=grace'
//! ```
//!
//! Type `join lobby` in both, then `say lobby hello` in one of them. `leave lobby` ends it.
//!
//! To listen on another address, append it: `-- 127.0.0.1:9000`.
//!
//! Read next: `auth.rs` to check who connects, `cluster.rs` for rooms that span nodes, and
//! `docs/sending.md` for receipts, order and slow clients.

use anyhow::Context;
use tieline::{
    Accept, CloseReason, Config, Connection, Handler, Hub, Listener, Message, Node, Refusal,
    StatusCode, UpgradeRequest,
};

const USAGE: &str = "commands: join ROOM, leave ROOM, say ROOM TEXT";

struct Rooms;

impl Handler for Rooms {
    /// The client's name.
    type State = String;

    async fn on_connect(&self, connection: &Connection, name: &mut String) {
        connection.emit(format!("welcome, {name}; {USAGE}"));
    }

    async fn on_message(&self, connection: &Connection, name: &mut String, message: Message) {
        let line = message.as_text().unwrap_or_default().trim();
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let answer = match command {
            "join" => join(connection, name, rest),
            "leave" if connection.leave(rest) => {
                send_to_others(connection, rest, format!("{name} left {rest}"));
                format!("you left {rest}")
            }
            "leave" => format!("you are not in {rest}"),
            "say" => return say(connection, name, rest),
            _ => USAGE.into(),
        };
        connection.emit(answer);
    }

    async fn on_disconnect(&self, connection: &Connection, name: &mut String, _: CloseReason) {
        // The connection has left its groups by now, but still knows which they were.
        for room in connection.groups() {
            send_to_others(connection, &room, format!("{name} left {room}"));
        }
    }
}

fn join(connection: &Connection, name: &str, room: &str) -> String {
    match connection.join(room) {
        Ok(true) => {
            send_to_others(connection, room, format!("{name} joined {room}"));
            format!("you joined {room}")
        }
        Ok(false) => format!("you are already in {room}"),
        Err(error) => format!("cannot join: {error}"),
    }
}

fn say(connection: &Connection, name: &str, rest: &str) {
    let (room, text) = rest.split_once(' ').unwrap_or((rest, ""));
    if connection.groups().iter().any(|group| **group == *room) {
        send_to_others(connection, room, format!("[{room}] {name}: {text}"));
    } else {
        connection.emit(format!("you are not in {room}; join it first"));
    }
}

fn send_to_others(connection: &Connection, room: &str, text: String) {
    let hub = connection.hub();
    hub.except([connection.id()]).emit_group(room, text);
}

async fn authorize(request: UpgradeRequest) -> Result<Accept<String>, Refusal> {
    request.query("name").map(Accept::new).ok_or_else(|| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "missing name; connect to /?name=NAME\n",
        )
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".into());
    let listener = Listener::bind(&address).await.with_context(|| {
        format!("cannot listen on {address}; pass another address, such as 127.0.0.1:9000")
    })?;
    eprintln!("listening on ws://{}/?name=NAME", listener.local_addr()?);

    let node = Node::new(Hub::new(Config::default())?, Rooms);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    node.serve(listener, authorize, ctrl_c).await;
    Ok(())
}
