//! The flags, grouped by topic.
//!
//! Only their syntax, and help texts as doc comments. Must not open files or start anything.

use std::{fmt, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use super::parse::{self, Rate};
use crate::{affinity::CpuList, registry::RegistryPlan, usage::Usage};

/// The default of --connections for a registry.
const CLAIMS: usize = 100_000;

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
        common: CommonArgs,
        #[command(flatten)]
        pace: PaceArgs,
        #[command(flatten)]
        messages: MessageArgs,
    },
    /// One connection sends, and all connections receive
    Broadcast {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        pace: PaceArgs,
        #[command(flatten)]
        messages: MessageArgs,
    },
    /// In pairs, the first connection sends to the second by its id
    Direct {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        pace: PaceArgs,
        #[command(flatten)]
        messages: MessageArgs,
    },
    /// Messages in pairs as in direct, while broadcasts run
    ///
    /// The first connection broadcasts to all. From the third on, the first of each pair sends to the
    /// second. The two latencies are reported separately; --in-flight and --rate are of the messages in
    /// pairs.
    Mixed {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        broadcast: BroadcastArgs,
        #[command(flatten)]
        pace: PaceArgs,
        #[command(flatten)]
        messages: MessageArgs,
    },
    /// Every connection sends to its room, and all members of the room receive
    ///
    /// A sender sends the next message when its own copy has arrived. Latency is that of all copies.
    Rooms {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        rooms: RoomArgs,
        #[command(flatten)]
        pace: PaceArgs,
        #[command(flatten)]
        messages: MessageArgs,
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
}

// Clap's `{n}` is a line break. The escape sequence in between prevents that; it sets no style and is
// not shown.
const URLS: &str = "URL to connect to; {id} is the id of the connection, {\u{1b}[0mn} its number, and {room} \
    its room. May be repeated: connections use the URLs in turn";
const SEND: &str = "Message to send; {payload} is --size bytes long, {id} is the sender's id, {to} the \
    receiver's, {\u{1b}[0mn} the sender's number, {room} its room [default: echo {payload}, broadcast \
    B{payload}, direct and mixed T:{to}:{payload}, rooms G:{room}:{payload}]";

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
    pub(super) load: LoadArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// The server under test.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArgs {
    #[arg(long = "url", help = URLS, value_name = "URL", value_parser = parse::url)]
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
    /// Message that each connection sends once when it opens, with placeholders as in --url; may be
    /// repeated [default: none; rooms without --send J:{room}]
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) on_open: Vec<String>,
    /// Subprotocol to request
    #[arg(long, value_name = "NAME")]
    pub(super) subprotocol: Option<String>,
    /// Header to add to the handshake, as 'Name: value'; may be repeated
    #[arg(long = "header", value_name = "HEADER", value_parser = parse::header)]
    pub(super) headers: Vec<String>,
    /// Do not verify TLS certificates
    #[arg(long)]
    pub(super) insecure: bool,
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

/// When a sender sends.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct PaceArgs {
    /// Messages in flight per sender; the next is sent when one has arrived [default: 1]
    #[arg(long, short = 'i', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) in_flight: Option<u32>,
    /// Messages per second in total, sent on schedule whether or not earlier ones have arrived; latency
    /// counts from the scheduled time. In compare also 'half': half of the maximum rate that the slower
    /// of the two reaches with 16 in flight
    #[arg(long, short = 'r', value_name = "PER_SECOND", conflicts_with = "in_flight",
        value_parser = parse::rate)]
    pub(super) rate: Option<Rate>,
}

/// The broadcasts beside other messages.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct BroadcastArgs {
    /// Message to broadcast, with placeholders as in --send [default: B{payload}]
    #[arg(long = "broadcast", id = "broadcast", value_name = "TEMPLATE")]
    pub(super) send: Option<String>,
    /// Broadcasts in flight; the next is sent when all have received one [default: 1]
    #[arg(long = "broadcast-in-flight", id = "broadcast_in_flight", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) in_flight: Option<u32>,
    /// Broadcasts per second, sent on schedule as with --rate
    #[arg(long = "broadcast-rate", id = "broadcast_rate", value_name = "PER_SECOND",
        conflicts_with = "broadcast_in_flight", value_parser = parse::per_second)]
    pub(super) rate: Option<f64>,
}

/// The rooms.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct RoomArgs {
    /// Members of a room
    #[arg(long, value_name = "N", default_value_t = Self::default().room)]
    pub(super) room: usize,
    /// Members of a room that send; the others only receive [default: all]
    #[arg(long, value_name = "N")]
    pub(super) senders: Option<usize>,
}

impl Default for RoomArgs {
    fn default() -> Self {
        Self {
            room: 10,
            senders: None,
        }
    }
}

/// The message.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct MessageArgs {
    #[arg(long, help = SEND, value_name = "TEMPLATE")]
    pub(super) send: Option<String>,
    /// Length of {payload} in bytes
    #[arg(long, short = 's', value_name = "BYTES", default_value_t = Self::default().size)]
    pub(super) size: usize,
    /// Send binary messages
    #[arg(long)]
    pub(super) binary: bool,
}

impl Default for MessageArgs {
    fn default() -> Self {
        Self {
            send: None,
            size: 64,
            binary: false,
        }
    }
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

/// The registry under test.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry")]
pub(super) struct RegistryArgs {
    /// Measure this registry instead of a server, for example redis://HOST:6379 or etcd://HOST:2379
    #[arg(long = "registry", id = "registry", value_name = "URL",
        conflicts_with_all = ["urls", "commands", "pids"])]
    url: Option<Secret>,
    /// Prefix of the entries to write and remove; never use the prefix of a live cluster [default:
    /// tieline-bench]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    prefix: Option<String>,
    /// Number of nodes to spread the claims over [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: Option<u16>,
}

/// The flags of `compare`. Global, so that they may follow the scenario.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct CompareArgs {
    /// Number of pairs of runs
    #[arg(long, global = true, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) runs: u32,
    /// Minimum median ratio of messages per second; exit with 1 below it
    #[arg(long, global = true, value_name = "RATIO", value_parser = parse::ratio)]
    pub(super) min_ratio: Option<f64>,
    /// Like --start, for the baseline
    #[arg(long = "base-start", global = true, value_name = "COMMAND")]
    pub(super) base_commands: Vec<String>,
    /// Like --url, for the baseline [default: the baseline server]
    #[arg(long = "base-url", global = true, value_name = "URL", value_parser = parse::url)]
    pub(super) base_urls: Vec<String>,
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
        let Some(Secret(url)) = &registry.url else {
            // Clap accepts these flags beside --url, which conflicts with --registry.
            if registry.nodes.is_some() || registry.prefix.is_some() {
                let why = "--nodes and --prefix need --registry";
                return Err(Usage(why.into()));
            }
            return Ok(None);
        };
        let nodes = registry.nodes.unwrap_or(1);
        let prefix = registry.prefix.as_deref().unwrap_or("tieline-bench");
        let connections = common.load.connections.unwrap_or(CLAIMS);
        if connections < usize::from(nodes) {
            return Err(Usage("--connections must be at least --nodes".into()));
        }
        let plan = RegistryPlan {
            url: url.clone(),
            prefix: prefix.to_owned(),
            nodes,
            claims: connections,
            duration: common.load.duration,
        };
        Ok(Some((plan, &common.output)))
    }
}

/// A URL that may contain a password, and is not shown in debug output.
#[derive(Clone)]
struct Secret(String);

impl From<String> for Secret {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
