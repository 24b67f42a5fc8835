//! What load and fault tests drive.
//!
//! At `/ws?id=<client id>` a text message is a command: `E…` comes back verbatim, `B…` goes verbatim to
//! all, `T:<id>:<payload>` to a client (the sender is told `!<delivery>` if that fails),
//! `G:<group>:<payload>` to a group, `J:<group>` and `L:<group>` join and leave. At `/echo` every
//! message comes back verbatim. SIGTERM drains.
//!
//! ```sh
//! cargo run --release -p tieline --features tls --example yardstick -- --listen 127.0.0.1:9201
//! ```

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use tieline::{
    Accept, ClientId, Config, Connection, Deflate, Duplicate, Handler, Hub, Listener, Message,
    Node, Origins, Refusal, SlowConsumer, StatusCode, Tls, UpgradeRequest,
};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A WebSocket server for load and fault tests.
#[derive(Debug, Parser)]
struct Options {
    /// Address to listen on; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:9201")]
    listen: String,
    /// Threads; 1 runs everything on one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Longest message, in bytes.
    #[arg(long, default_value_t = Config::default().message_size)]
    message_limit: usize,
    /// Most fragments of a message.
    #[arg(long, default_value_t = Config::default().fragments)]
    fragments: u32,
    /// Bytes that may wait for a client.
    #[arg(long, default_value_t = Config::default().outbox_bytes)]
    outbox_bytes: usize,
    /// Frames that may wait for a client.
    #[arg(long, default_value_t = Config::default().outbox_frames)]
    outbox_frames: usize,
    /// What happens to a client that reads too slowly.
    #[arg(long, value_enum, default_value = "disconnect")]
    slow_consumer: Policy,
    /// Refuse an id that is connected already, instead of replacing the older connection.
    #[arg(long)]
    reject_duplicates: bool,
    /// Compress for clients that offer it.
    #[arg(long)]
    deflate: bool,
    /// Silence before a ping, in milliseconds.
    #[arg(long, default_value_t = 25_000)]
    ping_interval: u64,
    /// Silence after a ping, in milliseconds.
    #[arg(long, default_value_t = 20_000)]
    ping_timeout: u64,
    /// How long a close waits, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    close_timeout: u64,
    /// The time over which a drain spreads its closes, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    drain_window: u64,
    /// Most connections.
    #[arg(long)]
    max_connections: Option<usize>,
    /// Certificate chain (PEM); with --key, serve TLS.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// Private key (PEM).
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    Disconnect,
    DropNewest,
    DropOldest,
}

impl Options {
    fn config(&self) -> Config {
        let drain_window = Duration::from_millis(self.drain_window);
        let close_timeout = Duration::from_millis(self.close_timeout);
        Config {
            message_size: self.message_limit,
            fragments: self.fragments,
            outbox_bytes: self.outbox_bytes.max(self.message_limit + 1),
            broadcast_queue_bytes: Config::default()
                .broadcast_queue_bytes
                .max(self.message_limit + 1),
            outbox_frames: self.outbox_frames,
            slow_consumer: match self.slow_consumer {
                Policy::Disconnect => SlowConsumer::Disconnect,
                Policy::DropNewest => SlowConsumer::DropNewest,
                Policy::DropOldest => SlowConsumer::DropOldest,
            },
            duplicate: if self.reject_duplicates {
                Duplicate::Reject
            } else {
                Duplicate::Replace
            },
            compression: self.deflate.then(Deflate::default),
            ping_interval: Duration::from_millis(self.ping_interval),
            ping_timeout: Duration::from_millis(self.ping_timeout),
            close_timeout,
            drain_window,
            drain_timeout: drain_window + 2 * close_timeout,
            max_connections: self.max_connections,
            shards: Some(self.threads.into()),
            origins: Origins::SameHost,
            ..Config::default()
        }
    }
}

/// What the messages of a connection are.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Commands,
    Echo,
}

struct Yardstick;

impl Handler for Yardstick {
    type State = Mode;

    async fn on_message(&self, connection: &Connection, mode: &mut Mode, message: Message) {
        match (mode, &message) {
            (Mode::Echo, _) => drop(connection.emit(message)),
            (Mode::Commands, Message::Text(text)) => command(connection, text, &message),
            (Mode::Commands, Message::Binary(_)) => {}
        }
    }
}

fn command(connection: &Connection, text: &str, message: &Message) {
    let hub = connection.hub();
    let (letter, rest) = text.split_at_checked(1).unwrap_or(("", ""));
    let argument = rest.strip_prefix(':').unwrap_or_default();
    match letter {
        "E" => drop(connection.emit(message.clone())),
        "B" => drop(hub.broadcast(message.clone())),
        "T" => direct(connection, argument),
        "G" => {
            let (group, payload) = argument.split_once(':').unwrap_or_default();
            drop(hub.emit_group(group, payload));
        }
        "J" => drop(connection.join(argument)),
        "L" => drop(connection.leave(argument)),
        _ => {}
    }
}

/// Reading goes on while the receipt is out.
fn direct(connection: &Connection, argument: &str) {
    let (id, payload) = argument.split_once(':').unwrap_or_default();
    let mut receipt = connection.hub().emit(id, payload);
    match receipt.try_outcome() {
        Some(delivery) if delivery.is_delivered() => {}
        Some(delivery) => drop(connection.emit(format!("!{delivery}"))),
        None => {
            let sender = connection.clone();
            tokio::spawn(async move {
                let delivery = receipt.await;
                if !delivery.is_delivered() {
                    sender.emit(format!("!{delivery}"));
                }
            });
        }
    }
}

async fn authorize(request: UpgradeRequest) -> Result<Accept<Mode>, Refusal> {
    let accept = match request.path() {
        "/ws" => Accept::new(Mode::Commands),
        "/echo" => Accept::new(Mode::Echo),
        _ => {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "try /ws?id=you or /echo\n",
            ));
        }
    };
    let Some(id) = request.query("id") else {
        return Ok(accept);
    };
    let id = ClientId::new(id)
        .map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, format!("id: {e}\n")))?;
    Ok(accept.id(id))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let node = Node::new(Hub::new(options.config())?, Yardstick);
    let listener = Listener::bind(&options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    eprintln!("listening on {}", listener.local_addr()?);
    let listener = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => {
            listener.tls(Tls::from_pem(&std::fs::read(cert)?, &std::fs::read(key)?)?)
        }
        _ => listener,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    node.serve(listener, authorize, shutdown).await;
    Ok(())
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let mut builder = match options.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(options.threads.into())
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))
}
