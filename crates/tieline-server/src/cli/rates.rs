//! The flags that limit how much a client may send.
//!
//! Must not check them: the library does.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tieline::{Excess, Inbound};

#[derive(Debug, Args)]
#[command(next_help_heading = "Rates")]
pub(super) struct Rates {
    /// Maximum number of messages per second from a client [default: no maximum]
    #[arg(long, value_name = "N", env = "TIELINE_MAX_MESSAGE_RATE")]
    max_message_rate: Option<u32>,
    /// Maximum number of bytes per second from a client [default: no maximum]
    #[arg(long, value_name = "BYTES", env = "TIELINE_MAX_BYTE_RATE")]
    max_byte_rate: Option<u32>,
    /// Seconds whose messages and bytes may come at once
    #[arg(long, value_name = "SECONDS", default_value_t = Inbound::default().burst.as_secs(),
        env = "TIELINE_RATE_BURST")]
    rate_burst: u64,
    /// What happens if a client sends more
    #[arg(
        long,
        value_name = "POLICY",
        value_enum,
        default_value = "slow-down",
        env = "TIELINE_RATE_EXCESS"
    )]
    rate_excess: ExcessPolicy,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExcessPolicy {
    /// The client is not read from until it is within the rate again
    SlowDown,
    /// The client is disconnected with code 1008
    Close,
}

impl Rates {
    pub(super) fn inbound(&self) -> Inbound {
        Inbound {
            messages: self.max_message_rate,
            bytes: self.max_byte_rate,
            burst: Duration::from_secs(self.rate_burst),
            excess: match self.rate_excess {
                ExcessPolicy::SlowDown => Excess::SlowDown,
                ExcessPolicy::Close => Excess::Close,
            },
        }
    }
}
