//! What an idle connection costs.

use tieline::Config;

use crate::kit::{Raw, Server, child, run_threads};

const CONNECTIONS: usize = 2000;

/// Generous: a debug build, the test's log and the client's socket included.
const BYTES_EACH: usize = 6 * 1024;

#[test]
fn an_idle_connection_keeps_no_buffer() {
    if child::is_child() {
        return run_threads(2, measure());
    }
    crate::kit::run(async {
        let mut child = child::start("idle::an_idle_connection_keeps_no_buffer");
        let each: usize = child.line().await.parse().unwrap();
        assert!(each <= BYTES_EACH, "{each} bytes for each idle connection");
    });
}

/// Prints what a connection costs after it has sent and received 60 KB, in pieces too.
async fn measure() {
    let server = Server::start(Config::default()).await;
    // What is allocated once does not belong to a connection.
    let mut warm = Vec::new();
    for i in 0..50 {
        warm.push(exchange(&server, &format!("warm{i}")).await);
    }
    let before = resident();
    let mut idle = Vec::new();
    for i in 0..CONNECTIONS {
        idle.push(exchange(&server, &format!("c{i}")).await);
    }
    let after = resident();
    assert_eq!(server.hub.len(), CONNECTIONS + 50);
    child::say(&(after.saturating_sub(before) / CONNECTIONS).to_string());
}

async fn exchange(server: &Server, id: &str) -> std::net::TcpStream {
    let mut raw: Raw = server.raw(&format!("id={id}&forget=1")).await;
    let text = "x".repeat(60_000);
    raw.send_text(&text).await;
    assert_eq!(raw.text().await, text);
    raw.stream.into_std().unwrap()
}

/// Resident memory of this process in bytes, by `/proc/self/status`.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: usize = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}
