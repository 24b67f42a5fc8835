//! `tieline trace`: what happens to one client, on all nodes, a line for each event.
//!
//! Owns the text of an event. Must not know how events are found out. Invariant: nothing that a client has chosen
//! reaches a terminal as more than text.

use std::time::{Duration, SystemTime};

use anyhow::bail;
use clap::{ArgGroup, Args};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{
    admin_client::{AdminClient, AdminFlags, block_on, plain},
    print::print,
};
use crate::app::follow::CONNECTION_HAS_ENDED;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whom").required(true)))]
pub(crate) struct Trace {
    /// Follow all connections of this user, also those to come
    #[arg(long, value_name = "NAME", group = "whom")]
    user: Option<String>,
    /// Follow the connection with this id, until it ends
    #[arg(long, value_name = "ID", group = "whom")]
    connection: Option<String>,
    /// Only in this hub; if absent, in all
    #[arg(long, value_name = "HUB")]
    hub: Option<String>,
    /// End after this time, such as 30s or 5m; if absent, with Ctrl+C or after an hour
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Print each event as JSON, as the admin API has it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: AdminFlags,
}

impl Trace {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let client = AdminClient::new(&self.admin)?;
        let until = self.time.map(|time| Instant::now() + time);
        block_on(self.follow(&client, until))
    }

    async fn follow(&self, client: &AdminClient, until: Option<Instant>) -> anyhow::Result<()> {
        let mut lines = client.stream(&self.path()).await?;
        loop {
            let line = match until {
                Some(until) => match timeout_at(until, lines.next()).await {
                    Ok(line) => line,
                    Err(_) => return Ok(()),
                },
                None => lines.next().await,
            };
            let Some(line) = line? else {
                bail!("the node has ended the answer; follow again");
            };
            if self.json {
                print(format!("{line}\n").as_bytes())?;
            }
            let event: Value = serde_json::from_str(&line)?;
            if event["what"] == "ended" {
                let message = text(&event["message"]);
                // To have followed a connection to its end is what was wanted.
                if message == CONNECTION_HAS_ENDED {
                    return Ok(());
                }
                bail!("{message}");
            }
            if !self.json {
                print(format!("{}\n", line_of(&event)).as_bytes())?;
            }
        }
    }

    fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let given = [
            ("user", &self.user),
            ("id", &self.connection),
            ("hub", &self.hub),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        format!("/api/follow?{}", query.finish())
    }
}

/// Time, node, connection, and what has happened.
fn line_of(event: &Value) -> String {
    let at = Duration::from_millis(event["at"].as_u64().unwrap_or_default());
    let at = humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + at).to_string();
    // Only the time of day, in UTC.
    let at = at.get(11..23).unwrap_or_default();
    let node = text(&event["node"]);
    let connection = match event["id"].as_str() {
        Some(id) => format!("  {}/{}", text(&event["hub"]), plain(id)),
        None => String::new(),
    };
    format!("{at}  {node}{connection}  {}", what_of(event))
}

fn what_of(event: &Value) -> String {
    let message = || text(&event["message"]);
    let user = || match event["user"].as_str() {
        Some(user) => format!(" as {}", plain(user)),
        None => String::new(),
    };
    let from = || match event["address"].as_str() {
        Some(address) => format!(" from {}", plain(address)),
        None => String::new(),
    };
    match event["what"].as_str().unwrap_or_default() {
        "following" => match event["connections"].as_u64() {
            Some(1) => "followed from now on: 1 connection".to_owned(),
            count => format!(
                "followed from now on: {} connections",
                count.unwrap_or_default()
            ),
        },
        "present" => format!("is connected{}{}", user(), from()),
        "connected" => format!("connected{}{}", user(), from()),
        "received" => format!("-> {}", frame_of(event)),
        "sent" => format!("<- {}", frame_of(event)),
        "joined" => format!("joined {}", text(&event["group"])),
        "left" => format!("left {}", text(&event["group"])),
        "refused" => format!("refused: {}: {}", text(&event["error"]), message()),
        "slowed_down" => slowed_down(event),
        "not_reached" => format!("did not reach node {}: {}", text(&event["peer"]), message()),
        "handled" => {
            let (name, ms) = (text(&event["event"]), &event["ms"]);
            if event["ok"] == true {
                format!("event {name} handled in {ms} ms")
            } else {
                format!("event {name} not handled after {ms} ms: {}", message())
            }
        }
        "closed" => text(&event["reason"]),
        "not_followed" => "is not followed: too many connections of this user are".to_owned(),
        "missed" => format!("{} events are missing here", event["count"]),
        "node_missed" => message(),
        other => plain(other),
    }
}

/// By which limit, how often and for how long a client was slowed down.
fn slowed_down(event: &Value) -> String {
    let ms = event["ms"].as_u64().unwrap_or_default();
    let seconds = Duration::from_millis(ms).as_secs_f64();
    let (limit, scope) = (text(&event["limit"]), text(&event["scope"]));
    let times = match event["times"].as_u64() {
        Some(1) => "once".to_owned(),
        times => format!("{} times", times.unwrap_or_default()),
    };
    format!("slowed down by the limit on {limit} of the {scope}: {times}, {seconds:.1} s")
}

/// What a frame is, in the words of its wire if it has some.
fn frame_of(event: &Value) -> String {
    let (kind, frame) = (event["type"].as_str(), text(&event["frame"]));
    let mut words = vec![match kind {
        Some(kind) if frame == "fragment" => format!("fragment of {}", plain(kind)),
        Some(kind) => plain(kind),
        None => frame,
    }];
    for name in ["from", "group", "event"] {
        if let Some(value) = event[name].as_str() {
            words.push(format!("{name}={}", plain(value)));
        }
    }
    if let Some(id) = event["ack_id"].as_u64() {
        words.push(format!("ack={id}"));
    }
    match event["success"].as_bool() {
        Some(true) => words.push("ok".to_owned()),
        Some(false) => words.push(
            format!("failed {}", text(&event["error"]))
                .trim_end()
                .to_owned(),
        ),
        None => {}
    }
    words.push(format!("{} B", event["bytes"]));
    for name in ["text", "base64"] {
        if let Some(payload) = event[name].as_str() {
            words.push(format!("{payload:?}"));
        }
    }
    words.join(" ")
}

fn text(value: &Value) -> String {
    plain(value.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let line = |mut event: Value| {
            event["at"] = json!(1_764_237_600_123_u64);
            event["node"] = json!("10.0.0.1:9300");
            let line = line_of(&event);
            let rest = line.strip_prefix("10:00:00.123  10.0.0.1:9300  ");
            rest.unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        let cases = [
            (
                json!({"what": "following", "connections": 1}),
                "followed from now on: 1 connection",
            ),
            (
                json!({"what": "connected", "hub": "chat", "id": "c", "user": "a\u{1b}[2Jda", "address": "127.0.0.1:1"}),
                "chat/c  connected as a\\u{1b}[2Jda from 127.0.0.1:1",
            ),
            (
                json!({"what": "received", "hub": "chat", "id": "c", "frame": "text", "type": "sendToGroup",
                    "group": "g", "ack_id": 3, "bytes": 41}),
                "chat/c  -> sendToGroup group=g ack=3 41 B",
            ),
            (
                json!({"what": "sent", "hub": "chat", "id": "c", "frame": "text", "type": "ack", "ack_id": 3,
                    "success": false, "error": "Forbidden", "bytes": 80, "text": "{\n"}),
                "chat/c  <- ack ack=3 failed Forbidden 80 B \"{\\n\"",
            ),
            (
                json!({"what": "sent", "hub": "chat", "id": "c", "frame": "ping", "bytes": 0}),
                "chat/c  <- ping 0 B",
            ),
            (
                json!({"what": "handled", "hub": "chat", "id": "c", "event": "e", "ok": true, "ms": 7}),
                "chat/c  event e handled in 7 ms",
            ),
            (
                json!({"what": "sent", "hub": "chat", "id": "c", "frame": "fragment", "type": "e", "bytes": 7}),
                "chat/c  <- fragment of e 7 B",
            ),
            (
                json!({"what": "slowed_down", "hub": "chat", "id": "c", "scope": "client", "limit": "messages",
                    "times": 12, "ms": 640}),
                "chat/c  slowed down by the limit on messages of the client: 12 times, 0.6 s",
            ),
            (
                json!({"what": "closed", "hub": "chat", "id": "c", "code": 4000, "reason": "closed by the application (4000)"}),
                "chat/c  closed by the application (4000)",
            ),
            (
                json!({"what": "missed", "count": 5}),
                "5 events are missing here",
            ),
        ];
        for (event, expected) in cases {
            assert_eq!(line(event), expected);
        }
    }
}
