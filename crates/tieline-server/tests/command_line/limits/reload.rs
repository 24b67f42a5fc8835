//! Limits that change while the server runs.

use std::sync::mpsc::sync_channel;

use super::{Limited, eventually_admitted};
use crate::kit::{Server, tieline};

#[test]
fn a_reload_applies_limits_to_whoever_connects_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("[hub.chat]\nmax_connections_per_user = 1\n");
    let (sender, log) = sync_channel(1000);
    let file = path.to_str().unwrap();
    let command = tieline(&["serve", "--listen", "127.0.0.1:0", "--config", file]);
    let server = Server::start(command, move |line| drop(sender.try_send(line)));
    let limited = Limited { server, log };
    let _first = limited.admitted("chat", "ada");
    limited.refused("chat", "ada");

    write(
        "[hub.chat]\nmax_connections_per_user = 2\nmax_message_rate_per_client = 1\nrate_excess = \"close\"\n",
    );
    limited.server.signal("HUP");
    limited.logged("configuration reloaded");
    // The first one counts, although it is older than the limit.
    let _second = eventually_admitted(&limited, "chat", "ada");
    limited.refused("chat", "ada");
    let mut client = limited.client("bob");
    for _ in 0..5 {
        client.send(r#"{"type":"ping"}"#);
    }
    assert_eq!(client.close_code(), 1008);
}
