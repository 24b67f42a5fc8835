//! The flags, by what they are about.

use std::{fmt, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use super::parse::{self, Rate};
use crate::{registry::RegistryPlan, usage::Usage};

/// Ids that a registry is asked for where --connections does not say.
const CLAIMS: usize = 100_000;

/// What the connections do.
#[derive(Debug, Subcommand)]
pub(super) enum Load {
    /// Open connections that do nothing: what they cost
    Idle {
        #[command(flatten)]
        base: Base,
    },
    /// Each connection sends, and waits for the same to come back
    Echo {
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        pace: Pace,
        #[command(flatten)]
        messages: Messages,
    },
    /// The first connection sends, and all receive
    Broadcast {
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        pace: Pace,
        #[command(flatten)]
        messages: Messages,
    },
    /// Connections in pairs: the first of each sends to the second, by its id
    Direct {
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        pace: Pace,
        #[command(flatten)]
        messages: Messages,
    },
    /// Drop all connections at once, and open them again as fast as the server takes them
    ///
    /// With --registry no server is measured but the registry of a cluster: how many claims a second
    /// it sustains, which is how fast the clients of a node that died can come back elsewhere.
    Storm {
        #[command(flatten)]
        base: Base,
        /// How often
        #[arg(long, value_name = "N", default_value_t = 5,
            value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        #[command(flatten)]
        claims: Claims,
    },
    /// Close each connection as soon as it is open, and open the next
    Churn {
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        pace: Pace,
    },
}

// Clap takes the braces of a number for the end of a line, unless something stands between them: this
// is no style, and is not shown.
const URLS: &str = "Where connections go; {id} is the connection's id, and {\u{1b}[0mn} its number. \
    Repeated, connections take turns";
const SEND: &str = "The message; {payload} is --size bytes long, {id} is the sender's id, {to} the \
    receiver's, {\u{1b}[0mn} the sender's number [default: echo {payload}, broadcast B{payload}, \
    direct T:{to}:{payload}]";

/// What scripts need to know.
const EXIT: &str = "Exit code: 0 where something was measured; 1 where that failed, where nothing arrived \
    though the load expects it, or where every connection ended early; 2 where the command line cannot be meant";

/// What every load takes.
#[derive(Debug, Args)]
#[command(after_help = EXIT)]
pub(super) struct Base {
    #[command(flatten)]
    pub(super) server: Server,
    #[command(flatten)]
    pub(super) extent: Extent,
    #[command(flatten)]
    pub(super) output: Output,
}

/// What is measured.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct Server {
    #[arg(long = "url", help = URLS, value_name = "URL", value_parser = parse::url)]
    pub(super) urls: Vec<String>,
    /// Command that starts the server for the measurement; {port} is a free port, {port:NAME} one of
    /// several, in commands and URLs alike. Repeated, each starts when the one before listens on the
    /// ports that it named first
    #[arg(long = "start", value_name = "COMMAND")]
    pub(super) commands: Vec<String>,
    /// Processor that started servers run on
    #[arg(long = "server-cpu", value_name = "N")]
    pub(super) on_cpu: Option<usize>,
    /// Process of a running server whose memory and processor time are measured; may be repeated
    #[arg(long = "pid", value_name = "PID")]
    pub(super) pids: Vec<u32>,
    /// What each connection sends once when it is open, with places as in --url; may be repeated
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) hello: Vec<String>,
    /// Subprotocol to ask for
    #[arg(long, value_name = "NAME")]
    pub(super) subprotocol: Option<String>,
    /// Header of the handshake, as 'Name: value'; may be repeated
    #[arg(long = "header", value_name = "HEADER", value_parser = parse::header)]
    pub(super) headers: Vec<String>,
    /// Take any certificate
    #[arg(long)]
    pub(super) insecure: bool,
}

/// How much, for how long, and on what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Extent {
    /// Connections in all [default: 100; idle and storm 1000; storm --registry 100000]
    #[arg(long, short = 'c', value_name = "N")]
    pub(super) connections: Option<usize>,
    /// Handshakes under way at once
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(super) dialing: usize,
    /// Time that does not count yet
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse::duration)]
    pub(super) warm_up: Duration,
    /// Time that counts
    #[arg(long, short = 'd', value_name = "TIME", default_value = "5s",
        value_parser = parse::duration)]
    pub(super) duration: Duration,
    /// Processes that share the connections [default: as many as the descriptor limit needs]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) processes: usize,
    /// Processor that the load runs on [default: any]
    #[arg(long, value_name = "N")]
    pub(super) cpu: Option<usize>,
}

/// When the next one is due.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Pace {
    /// Messages under way for each sender: the next leaves when one has arrived [default: 1]
    #[arg(long, short = 'i', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) in_flight: Option<u32>,
    /// Messages a second in all, sent on time whether others have arrived or not, with latency from
    /// the time at which each was due; in compare also half: half of the highest rate that the slower
    /// of both reaches with 16 in flight
    #[arg(long, short = 'r', value_name = "PER_SECOND", conflicts_with = "in_flight",
        value_parser = parse::rate)]
    pub(super) rate: Option<Rate>,
}

/// What is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Messages {
    #[arg(long, help = SEND, value_name = "TEMPLATE")]
    pub(super) send: Option<String>,
    /// Length of {payload}, in bytes
    #[arg(long, short = 's', value_name = "BYTES", default_value_t = Self::default().size)]
    pub(super) size: usize,
    /// Send binary messages
    #[arg(long)]
    pub(super) binary: bool,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            send: None,
            size: 64,
            binary: false,
        }
    }
}

/// Where results go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Write the results as JSON; - is standard output, in place of the table
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write a page with a chart, which needs no other file
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Show no progress
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// A registry in place of a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry")]
pub(super) struct Claims {
    /// Measure this registry instead of a server, as redis://HOST:6379 or etcd://HOST:2379
    #[arg(long, value_name = "URL", conflicts_with_all = ["urls", "commands", "pids"])]
    registry: Option<Secret>,
    /// Name under which it writes, and removes, entries; never that of a cluster in use [default:
    /// tieline-bench]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    prefix: Option<String>,
    /// Nodes that claim at once; the claims are spread over them [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: Option<u16>,
}

/// What compare takes besides; may stand before or after the load's own.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct Comparing {
    /// Pairs of runs
    #[arg(long, global = true, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) runs: u32,
    /// Exit with 1 where the median ratio of messages per second is below this
    #[arg(long, global = true, value_name = "RATIO", value_parser = parse::ratio)]
    pub(super) least: Option<f64>,
    /// As --start, for the base
    #[arg(long = "base-start", global = true, value_name = "COMMAND")]
    pub(super) base_commands: Vec<String>,
    /// As --url, for the base [default: the bare server]
    #[arg(long = "base-url", global = true, value_name = "URL", value_parser = parse::url)]
    pub(super) base_urls: Vec<String>,
}

impl Load {
    /// The registry that is to be measured in place of a server, if one is.
    pub(super) fn registry(&self) -> Result<Option<(RegistryPlan, &Output)>, Usage> {
        let Self::Storm { base, claims, .. } = self else {
            return Ok(None);
        };
        let Some(Secret(url)) = &claims.registry else {
            // Clap lets this pass where there is a --url, which --registry conflicts with.
            if claims.nodes.is_some() || claims.prefix.is_some() {
                let why = "--nodes and --prefix are about a registry: say which by --registry";
                return Err(Usage(why.into()));
            }
            return Ok(None);
        };
        let nodes = claims.nodes.unwrap_or(1);
        let prefix = claims.prefix.as_deref().unwrap_or("tieline-bench");
        let connections = base.extent.connections.unwrap_or(CLAIMS);
        if connections < usize::from(nodes) {
            return Err(Usage(
                "--connections must be one for each of --nodes at least".into(),
            ));
        }
        let plan = RegistryPlan {
            url: url.clone(),
            prefix: prefix.to_owned(),
            nodes,
            claims: connections,
            duration: base.extent.duration,
        };
        Ok(Some((plan, &base.output)))
    }
}

/// A URL that may hold a password.
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
