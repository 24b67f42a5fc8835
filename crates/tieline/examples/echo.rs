//! Sends every message back to its sender: the smallest complete program.
//!
//! Run it:
//!
//! ```sh
//! cargo run -p tieline --example echo
//! ```
//!
//! Try it in a second terminal. Each line that you type comes back:
//!
//! ```sh
//! npx wscat -c ws://127.0.0.1:8081
//! ```
//!
//! To listen on another address, append it: `-- 127.0.0.1:9000`. Ctrl+C closes all connections and
//! ends the program.
//!
//! Read next: `rooms.rs` for groups, and `docs/handler.md` for all callbacks.

use anyhow::Context;
use tieline::{Accept, Config, Connection, Handler, Hub, Listener, Message, Node};

struct Echo;

impl Handler for Echo {
    /// Data of each connection. This program needs none.
    type State = ();

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        connection.emit(message);
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".into());
    let listener = Listener::bind(&address).await.with_context(|| {
        format!("cannot listen on {address}; pass another address, such as 127.0.0.1:9000")
    })?;
    eprintln!("listening on ws://{}", listener.local_addr()?);

    let node = Node::new(Hub::new(Config::default())?, Echo);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    node.serve(listener, |_request| async { Ok(Accept::new(())) }, ctrl_c)
        .await;
    Ok(())
}
