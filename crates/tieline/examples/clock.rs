//! Answers every message with the time.
//!
//! Run it:
//!
//! ```sh
//! cargo run -p tieline --example clock
//! ```
//!
//! Try it in a second terminal:
//!
//! ```sh
//! npx wscat -c ws://127.0.0.1:8081
//! ```
//!
//! To listen on another address, append it: `-- 127.0.0.1:9000`.
//!
//! Read next: `rooms.rs` for groups, and `docs/getting-started.md`.

use std::time::SystemTime;

use tieline::{Accept, Config, Connection, Handler, Hub, Listener, Message, Node};

struct Clock;

impl Handler for Clock {
    type State = ();

    async fn on_message(&self, connection: &Connection, (): &mut (), _: Message) {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        connection.emit(format!("{} seconds since 1970", now.as_secs()));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".into());
    let listener = Listener::bind(&address).await?;
    eprintln!("listening on ws://{}", listener.local_addr()?);

    let node = Node::new(Hub::new(Config::default())?, Clock);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    node.serve(listener, |_| async { Ok(Accept::new(())) }, ctrl_c)
        .await;
    Ok(())
}
