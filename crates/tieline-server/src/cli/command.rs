//! The commands.
//!
//! Owns the list of commands and their descriptions. Must not know their flags, which are in a module
//! for each command.

use clap::{Parser, Subcommand};

use super::{
    completions::Completions, config::ConfigCommand, demo::Demo, drain::Drain, health::Health,
    man::Man, serve::Serve, token::Token, top::Top, trace::Trace,
};

/// Serve WebSockets from one node or a cluster
///
/// Reach clients by id, user or group, or all at once, from any node. Clients connect with a Web PubSub
/// SDK or any WebSocket library.
#[derive(Debug, Parser)]
#[command(name = "tieline", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try Tieline: start two connected nodes, each with a chat page
    ///
    /// Open the printed addresses and send a message from one page to the other: it crosses the link
    /// between the nodes. With --registry, the nodes join a cluster, which other demos can join too.
    Demo(Box<Demo>),
    /// Run a node
    ///
    /// Clients connect to ws://ADDRESS/client/hubs/HUB, with a token if there is a key (--key-file), and
    /// with ?user=NAME otherwise. With --registry, the node joins a cluster, and messages reach clients on
    /// all of its nodes.
    ///
    /// GET /healthz returns 200 while the process runs. GET /readyz returns 200 while load balancers
    /// should send new clients to the node, and 503 otherwise.
    ///
    /// SIGTERM or Ctrl+C drains the node: it stops accepting clients, and closes the connections with
    /// code 1012 over --drain-window. A second signal stops the node immediately.
    ///
    /// SIGHUP reads the configuration again, and applies what can change while the node runs.
    Serve(Box<Serve>),
    /// Check, print or explain the configuration of `tieline serve`
    ///
    /// The configuration is one TOML file (--config, TIELINE_CONFIG), under environment variables, under
    /// flags. None of them is needed.
    Config(ConfigCommand),
    /// Print a new access key
    ///
    /// It is 48 random bytes as 64 letters, digits, - and _. Keep it in a file for --key-file, and in the
    /// connection string of your backend: Endpoint=http://ADDRESS;AccessKey=KEY;Version=1.0;
    Key,
    /// Print a token for a client, and the URL to connect to with it
    ///
    /// The first line is the token, the second one the URL. The key is that of the server.
    Token(Box<Token>),
    /// Measure this or any other WebSocket server
    ///
    /// Measure a running server with --url, or start one for the measurement with --start. Results are
    /// a table, JSON, or a page with a chart.
    Bench(Box<tieline_bench::cli::BenchCommand>),
    /// Ask a node of this machine whether it is ready
    ///
    /// For the health checks of containers, which have no other program to ask with. Asks GET /readyz at the
    /// address of the configuration, and prints the answer. The exit code is 0 if the node is ready, and 1
    /// otherwise.
    Health(Health),
    /// Show how the nodes of a cluster are doing
    ///
    /// One table, refreshed: connections, messages per second, what waits, links. Asks the admin port of one node,
    /// which asks the others. Without a terminal, or with --once, prints one table.
    Top(Top),
    /// Follow one client: what it sends and gets, on all nodes
    ///
    /// A line for each event, until Ctrl+C: who connects, frames in both directions with their kind, group and size,
    /// joins, refusals, what became of events, and why a connection closed. Payloads only if the node has
    /// --admin-show-payloads. Times are UTC. Asks the admin port of one node, which asks the others.
    Trace(Trace),
    /// Begin the drain of a node, as SIGTERM does
    ///
    /// The node stops accepting clients, closes the connections over its drain window, and ends. Asks the admin port
    /// of one node; with --node, that one passes it on.
    Drain(Drain),
    /// Print the completions for a shell
    ///
    /// The Debian package installs them. For bash: tieline completions bash >
    /// ~/.local/share/bash-completion/completions/tieline
    Completions(Completions),
    /// Write the manual pages into a folder
    ///
    /// A page for each command, in the format of man. The Debian package installs them.
    Man(Man),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
