//! The flags, grouped by topic.
//!
//! Only their syntax, and help texts as doc comments. Must not open files or start anything.

mod compare;
mod registry;
mod traffic;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use self::registry::RegistryArgs;
pub(super) use self::{
    compare::CompareArgs,
    traffic::{BroadcastArgs, MessageArgs, PaceArgs, RequestArgs, RoomArgs},
};
use super::parse;
use crate::{affinity::CpuList, plan::Wire, registry::RegistryPlan, usage::Usage};

/// The scenarios.
#[derive(Debug, Subcommand)]
pub(super) enum LoadCommand {
    /// Open connections that send nothing, to measure their cost
    Idle {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Every connection sends a message and waits for its echo
    Echo {
        #[command(flatten)]
        sends: SendArgs,
    },
    /// One connection sends, and all connections receive
    Broadcast {
        #[command(flatten)]
        sends: SendArgs,
    },
    /// In pairs, the first connection sends to the second by its id
    Direct {
        #[command(flatten)]
        sends: SendArgs,
    },
    /// Messages in pairs as in direct, while broadcasts run
    ///
    /// The first connection broadcasts to all. From the third on, the first of each pair sends to the
    /// second. The two latencies are reported separately; --in-flight and --rate are of the messages in
    /// pairs.
    Mixed {
        #[command(flatten)]
        broadcast: BroadcastArgs,
        #[command(flatten)]
        sends: SendArgs,
    },
    /// Every connection sends to its room, and all members of the room receive
    ///
    /// A sender sends the next message when its own copy has arrived. Latency is that of all copies.
    Rooms {
        #[command(flatten)]
        rooms: RoomArgs,
        #[command(flatten)]
        sends: SendArgs,
    },
    /// Drop all connections at once, and reopen them as fast as the server accepts them
    ///
    /// With --registry, measure the registry of a cluster instead of a server: its claims per second,
    /// which bound how fast the clients of a dead node can reconnect to others.
    Storm {
        #[command(flatten)]
        common: CommonArgs,
        /// Number of rounds
        #[arg(long, value_name = "N", default_value_t = 5,
            value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Close each connection as soon as it is open, and open another
    Churn {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        pace: PaceArgs,
    },
    /// Every connection sends requests over HTTP/1.1, and waits for the responses
    ///
    /// A connection stays open and has --in-flight requests without a response. With 1, which is what the pools of
    /// SDKs do, as many requests are in flight as there are connections; with more, they are pipelined.
    Rest {
        #[command(flatten)]
        common: RestArgs,
        #[command(flatten)]
        request: RequestArgs,
        #[command(flatten)]
        pace: PaceArgs,
        #[command(flatten)]
        messages: MessageArgs,
    },
}

// Clap's `{n}` is a line break. The escape sequence in between prevents that; it sets no style and is
// not shown.
const URLS: &str = "URL to connect to; {id} is the id of the connection, {\u{1b}[0mn} its number, and {room} \
    its room. May be repeated: connections use the URLs in turn";
/// For scripts.
const EXIT: &str = "Exit code: 0 on success; 1 if the measurement failed, if nothing arrived although the load \
    expects it, or if every connection ended early; 2 if the command line is invalid";

/// The flags of every scenario.
#[derive(Debug, Args)]
#[command(after_help = EXIT)]
pub(super) struct CommonArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) socket: SocketArgs,
    #[command(flatten)]
    pub(super) load: LoadArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// The flags of every scenario whose connections send messages.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(flatten)]
    pub(super) pace: PaceArgs,
    #[command(flatten)]
    pub(super) messages: MessageArgs,
}

/// The same as for every scenario, without what WebSockets say.
#[derive(Debug, Args)]
#[command(after_help = EXIT)]
pub(super) struct RestArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The server under test.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArgs {
    #[arg(long = "url", help = URLS, value_name = "URL")]
    pub(super) urls: Vec<String>,
    /// Command that starts the server; {port} is a free port, {port:NAME} one of several, in commands
    /// and URLs alike. May be repeated: commands start in order; each waits until the previous
    /// one is listening
    #[arg(long = "start", value_name = "COMMAND")]
    pub(super) commands: Vec<String>,
    /// CPUs to run started servers on, such as 0 or 0,2 or 0-3 [default: any]
    #[arg(long = "server-cpu", value_name = "LIST")]
    pub(super) on_cpu: Option<CpuList>,
    /// Process id of a running server, to measure its memory and CPU time; may be repeated
    #[arg(long = "pid", value_name = "PID")]
    pub(super) pids: Vec<u32>,
    /// Header to add to the handshake or the requests, as 'Name: value'; may be repeated
    #[arg(long = "header", value_name = "HEADER", value_parser = parse::header)]
    pub(super) headers: Vec<String>,
    /// Do not verify TLS certificates
    #[arg(long)]
    pub(super) insecure: bool,
    /// File whose first line is an access key, to sign a token for each connection: for a WebSocket in the
    /// query, with the user {id} and the roles to join groups and to send to them; for requests in the header
    /// Authorization. In the Pusher wire, the secret of the app, which signs subscriptions and requests
    /// [default: no tokens]
    #[arg(long, value_name = "FILE")]
    pub(super) token_key: Option<PathBuf>,
}

/// What the WebSockets of a load say.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct SocketArgs {
    /// Message format: bare sends messages as the templates have them; json speaks
    /// json.webpubsub.azure.v1; pusher speaks the protocol of Pusher Channels [default: bare]
    #[arg(long, value_enum, value_name = "WIRE")]
    pub(super) wire: Option<Wire>,
    /// Message that each connection sends once when it opens, with placeholders as in --url; may be
    /// repeated; with --wire pusher a channel to subscribe to [default: what joins the groups of the scenario,
    /// unless --send is given]
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) on_open: Vec<String>,
    /// Subprotocol to request [default: that of --wire]
    #[arg(long, value_name = "NAME")]
    pub(super) subprotocol: Option<String>,
}

/// The size and the length of the load.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadArgs {
    /// Number of connections [default: 100; rooms 800; idle and storm 1000; storm --registry
    /// 100000]
    #[arg(long, short = 'c', value_name = "N")]
    pub(super) connections: Option<usize>,
    /// Maximum number of concurrent handshakes
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(super) dialing: usize,
    /// Warm-up time
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse::duration)]
    pub(super) warm_up: Duration,
    /// Measurement time
    #[arg(long, short = 'd', value_name = "TIME", default_value = "5s",
        value_parser = parse::duration)]
    pub(super) duration: Duration,
    /// Number of processes to spread the connections over [default: as few as the descriptor limit
    /// allows]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) processes: usize,
    /// CPUs to run the load on, such as 0 or 0,2 or 0-3 [default: any]. A process uses one at a time, so
    /// more of them need --processes
    #[arg(long, value_name = "LIST")]
    pub(super) cpu: Option<CpuList>,
}

/// The output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Write the results as JSON; - writes to standard output, in place of the table
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write a self-contained HTML page with charts
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Hide progress
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl RestArgs {
    /// The flags of every scenario, with a wire for the receivers.
    pub(super) fn with_wire(self, wire: Option<Wire>) -> CommonArgs {
        CommonArgs {
            server: self.server,
            socket: SocketArgs {
                wire,
                ..SocketArgs::default()
            },
            load: self.load,
            output: self.output,
        }
    }
}

impl LoadCommand {
    /// The registry to measure instead of a server, if one is given.
    pub(super) fn registry(&self) -> Result<Option<(RegistryPlan, &OutputArgs)>, Usage> {
        let Self::Storm {
            common, registry, ..
        } = self
        else {
            return Ok(None);
        };
        let plan = registry.plan(common.load.connections, common.load.duration)?;
        Ok(plan.map(|plan| (plan, &common.output)))
    }
}
