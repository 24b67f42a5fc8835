//! The flags of a comparison.

use clap::Args;

use crate::{cli::parse, plan::Wire};

/// The flags of `compare`. Global, so that they may follow the scenario.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(in crate::cli) struct CompareArgs {
    /// Number of pairs of runs
    #[arg(long, global = true, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(in crate::cli) runs: u32,
    /// Minimum median ratio of messages per second; exit with 1 below it
    #[arg(long, global = true, value_name = "RATIO", value_parser = parse::ratio)]
    pub(in crate::cli) min_ratio: Option<f64>,
    /// Like --start, for the baseline
    #[arg(long = "base-start", global = true, value_name = "COMMAND")]
    pub(in crate::cli) base_commands: Vec<String>,
    /// Like --url, for the baseline [default: the baseline server]
    #[arg(long = "base-url", global = true, value_name = "URL")]
    pub(in crate::cli) base_urls: Vec<String>,
    /// Like --wire, for the baseline; its messages are then the default ones of that wire, and it gets neither
    /// headers nor tokens [default: the same as the server]
    #[arg(long, global = true, value_enum, value_name = "WIRE")]
    pub(in crate::cli) base_wire: Option<Wire>,
    /// Like --send, for the baseline [default: the same as the server]
    #[arg(long, global = true, value_name = "TEMPLATE")]
    pub(in crate::cli) base_send: Option<String>,
    /// Like --on-open, for the baseline [default: the same as the server]
    #[arg(long, global = true, value_name = "TEMPLATE")]
    pub(in crate::cli) base_on_open: Vec<String>,
}
