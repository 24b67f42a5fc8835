//! The flags of messages and requests: what is sent, when, and to whom.

use clap::Args;

use crate::{
    cli::parse::{self, Rate},
    plan::Wire,
};

const SEND: &str = "Message to send; {payload} is --size bytes long, {id} is the sender's id, {to} the \
    receiver's, {\u{1b}[0mn} the sender's number, {room} its room [default: echo {payload}, broadcast \
    B{payload}, direct and mixed T:{to}:{payload}, rooms G:{room}:{payload}; \
    with --wire json or pusher a message to the same group; rest {payload}]";

/// When a sender sends.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Load")]
pub(in crate::cli) struct PaceArgs {
    /// Messages in flight per sender; the next is sent when one has arrived [default: 1]
    #[arg(long, short = 'i', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) in_flight: Option<u32>,
    /// Messages per second in total, sent on schedule whether or not earlier ones have arrived; latency
    /// counts from the scheduled time. In compare also 'half': half of the maximum rate that the slower
    /// of the two reaches with 16 in flight
    #[arg(long, short = 'r', value_name = "PER_SECOND", conflicts_with = "in_flight",
        value_parser = parse::rate)]
    pub(in crate::cli) rate: Option<Rate>,
}

/// The broadcasts beside other messages.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Load")]
pub(in crate::cli) struct BroadcastArgs {
    /// Message to broadcast, with placeholders as in --send [default: B{payload}; with --wire json a
    /// message to the group all]
    #[arg(long = "broadcast", id = "broadcast", value_name = "TEMPLATE")]
    pub(in crate::cli) send: Option<String>,
    /// Broadcasts in flight; the next is sent when all have received one [default: 1]
    #[arg(long = "broadcast-in-flight", id = "broadcast_in_flight", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) in_flight: Option<u32>,
    /// Broadcasts per second, sent on schedule as with --rate
    #[arg(long = "broadcast-rate", id = "broadcast_rate", value_name = "PER_SECOND",
        conflicts_with = "broadcast_in_flight", value_parser = parse::per_second)]
    pub(in crate::cli) rate: Option<f64>,
}

/// The rooms.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(in crate::cli) struct RoomArgs {
    /// Members of a room
    #[arg(long, value_name = "N", default_value_t = Self::default().room)]
    pub(in crate::cli) room: usize,
    /// Members of a room that send; the others only receive [default: all]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) senders: Option<usize>,
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
pub(in crate::cli) struct MessageArgs {
    #[arg(long, help = SEND, value_name = "TEMPLATE")]
    pub(in crate::cli) send: Option<String>,
    /// Length of {payload} in bytes
    #[arg(long, short = 's', value_name = "BYTES", default_value_t = Self::default().size)]
    pub(in crate::cli) size: usize,
    /// Send binary messages
    #[arg(long)]
    pub(in crate::cli) binary: bool,
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

/// The requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(in crate::cli) struct RequestArgs {
    /// Content type of the body
    #[arg(long, value_name = "TYPE", default_value = "text/plain")]
    pub(in crate::cli) content_type: String,
    /// Status that every response must have
    #[arg(long, value_name = "STATUS", default_value_t = 202,
        value_parser = clap::value_parser!(u16).range(200..=599))]
    pub(in crate::cli) status: u16,
    /// WebSocket URL to which a client connects for each connection, {id} being the same: it receives what the
    /// requests send, and what it does not receive is a fault [default: nothing receives]
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) receiver_url: Option<String>,
    /// Like --wire of the other commands, for the receivers [default: bare]
    #[arg(long, value_enum, value_name = "WIRE", requires = "receiver_url")]
    pub(in crate::cli) receiver_wire: Option<Wire>,
}
