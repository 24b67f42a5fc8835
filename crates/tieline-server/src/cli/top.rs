//! `tieline top`: how the nodes of a cluster are doing, in a terminal.
//!
//! Owns the table. Must not know how the numbers are found out. Invariant: what is no terminal gets one table, and no
//! control characters.

use std::{fmt::Write, io::IsTerminal, time::Duration};

use clap::Args;
use serde_json::Value;

use super::{
    admin_client::{AdminClient, AdminFlags, block_on, plain},
    print::print,
};

/// Goes to the upper left corner.
const HOME: &str = "\x1b[H";
/// Clears the rest of a line, and the rest of the screen.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR_SCREEN: &str = "\x1b[2J";

const NODES: &str = "/api/nodes";

/// Rates are those since the last answer: for one table, the nodes are asked twice.
const RATE_TIME: Duration = Duration::from_secs(1);

const HEADS: [&str; 12] = [
    "NODE", "VERSION", "UP", "PHASE", "CONNS", "USERS", "GROUPS", "IN/S", "OUT/S", "OUTBOX",
    "QUEUE", "LINKS",
];

/// Columns whose texts stand at their left.
const TEXTS: usize = 4;

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Print one table and end; so does it if the output is no terminal
    #[arg(long)]
    once: bool,
    /// Time between two tables, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    #[command(flatten)]
    admin: AdminFlags,
}

impl Top {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let client = AdminClient::new(&self.admin)?;
        if self.once || !std::io::stdout().is_terminal() {
            let answer = block_on(async {
                client.get(NODES).await?;
                tokio::time::sleep(RATE_TIME).await;
                client.get(NODES).await
            })?;
            return print(table(&answer).as_bytes());
        }
        block_on(async {
            print(CLEAR_SCREEN.as_bytes())?;
            loop {
                let text = match client.get(NODES).await {
                    Ok(answer) => table(&answer),
                    // The node may be back soon.
                    Err(error) => format!("{error:#}\n"),
                };
                let text = text.replace('\n', &format!("{CLEAR_LINE}\n"));
                print(format!("{HOME}{text}{CLEAR_BELOW}").as_bytes())?;
                tokio::time::sleep(Duration::from_secs(self.interval)).await;
            }
        })
    }
}

fn table(answer: &Value) -> String {
    let nodes = answer["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let missed = answer["missed"].as_array().map_or(&[][..], Vec::as_slice);
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(nodes.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..HEADS.len())
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let mut text = summary(nodes);
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| {
            if column < TEXTS {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for node in nodes.iter().filter(|node| node["registry"] == "down") {
        let node = plain(node["address"].as_str().unwrap_or_default());
        let _ = writeln!(text, "the registry does not answer {node}");
    }
    for node in missed {
        let node = plain(node.as_str().unwrap_or_default());
        let _ = writeln!(text, "{node} did not answer");
    }
    text
}

fn summary(nodes: &[Value]) -> String {
    let sum = |name: &str| -> f64 { nodes.iter().filter_map(|node| node[name].as_f64()).sum() };
    format!(
        "{} nodes, {} connections, {:.1} messages/s in, {:.1} out\n\n",
        nodes.len(),
        sum("connections"),
        sum("messages_in_per_second"),
        sum("messages_out_per_second"),
    )
}

fn row(node: &Value) -> [String; HEADS.len()] {
    let text = |name: &str| plain(node[name].as_str().unwrap_or_default());
    let number = |name: &str| node[name].as_u64().unwrap_or_default();
    let rate = |name: &str| format!("{:.1}", node[name].as_f64().unwrap_or_default());
    let links = node["links"].as_array().map_or(&[][..], Vec::as_slice);
    let up = links.iter().filter(|link| link["state"] == "up").count();
    [
        text("address"),
        text("version"),
        duration(node["uptime"].as_f64().unwrap_or_default()),
        text("phase"),
        number("connections").to_string(),
        number("users").to_string(),
        number("groups").to_string(),
        rate("messages_in_per_second"),
        rate("messages_out_per_second"),
        bytes(number("outbox_bytes")),
        number("queue_depth").to_string(),
        format!("{up}/{}", links.len()),
    ]
}

/// In its two largest units.
fn duration(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

fn bytes(count: u64) -> String {
    match count {
        ..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_node_and_names_those_that_are_missed() {
        let answer = json!({
            "nodes": [{
                "address": "10.0.0.1:9300\u{202e}", "version": "0.1.0", "uptime": 90061.5, "phase": "serving",
                "connections": 12, "users": 3, "groups": 4, "messages_in_per_second": 1.5,
                "messages_out_per_second": 20.0, "outbox_bytes": 2048, "queue_depth": 0,
                "links": [{"state": "up"}, {"state": "down"}], "registry": "down",
            }],
            "missed": ["10.0.0.2:9300"],
        });
        let expected = "1 nodes, 12 connections, 1.5 messages/s in, 20.0 out\n\n\
            NODE                   VERSION  UP    PHASE    CONNS  USERS  GROUPS  IN/S  OUT/S  OUTBOX  QUEUE  LINKS\n\
            10.0.0.1:9300\\u{202e}  0.1.0    1d1h  serving     12      3       4   1.5   20.0   2 KiB      0    1/2\n\
            the registry does not answer 10.0.0.1:9300\\u{202e}\n\
            10.0.0.2:9300 did not answer\n";
        assert_eq!(table(&answer), expected);
    }
}
