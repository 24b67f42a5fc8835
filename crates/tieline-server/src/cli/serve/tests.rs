//! Flags and settings agree.

use clap::Parser;
use std::time::Duration;
use tieline::{Config, Excess, Inbound, SlowConsumer};

use super::*;
use crate::{
    cli::command::{Cli, Command},
    config::source::Environment,
};

fn serve(flags: &str) -> Serve {
    let arguments = ["tieline", "serve"]
        .into_iter()
        .chain(flags.split_whitespace());
    let Command::Serve(serve) = Cli::parse_from(arguments).command else {
        panic!("serve is not serve");
    };
    *serve
}

/// The configuration, valid or not.
fn config(flags: &str) -> Config {
    let (settings, _) = serve(flags).layers().load(&Environment::new()).unwrap();
    settings.limits.config(&settings.times)
}

#[test]
fn without_flags_the_library_decides() {
    let config = serve("").check().unwrap().serve.config;
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

const EVERY_LIMIT: &str = "--max-message 1 --max-fragments 2 --message-timeout 3 --max-header 4 \
     --max-header-fields 5 \
     --handshake-timeout 6 --decision-timeout 7 --http-idle-timeout 8 --max-handshakes 9 \
     --max-handshakes-per-address 10 --max-outbox 11 --max-outbox-frames 12 --slow-consumer drop-oldest \
     --max-broadcast-queue 14 --max-broadcast-queue-frames 15 --ping-interval 16 --ping-timeout 17 \
     --close-timeout 18 --drain-window 19 --drain-timeout 20 --max-connections 21 --max-groups 22 \
     --compress --shards 23 --max-outbox-memory 24 --max-message-rate 25 --max-byte-rate 26 --rate-burst 27 \
     --rate-excess close";

/// All fields are named, so that a new one cannot be forgotten here.
#[test]
fn every_limit_has_a_flag() {
    let Config {
        message_size,
        fragments,
        message_timeout,
        header_size,
        header_fields,
        handshake_timeout,
        decision_timeout,
        http_idle_timeout,
        max_handshakes,
        max_handshakes_per_address,
        outbox_bytes,
        outbox_frames,
        max_outbox_memory,
        slow_consumer,
        broadcast_queue_bytes,
        broadcast_queue_frames,
        ping_interval,
        ping_timeout,
        close_timeout,
        drain_window,
        drain_timeout,
        max_connections,
        groups_per_connection,
        max_requests: _, // the server's handler answers none
        duplicate: _,    // ids are random, so no two clients have the same
        origins: _,      // an option of hubs
        inbound,
        compression,
        shards,
    } = config(EVERY_LIMIT);
    let counts = [
        message_size,
        fragments as usize,
        header_size,
        header_fields,
        max_handshakes.unwrap(),
        max_handshakes_per_address.unwrap(),
        outbox_bytes,
        outbox_frames,
        broadcast_queue_bytes,
        broadcast_queue_frames,
        max_connections.unwrap(),
        groups_per_connection,
        shards.unwrap(),
        max_outbox_memory.unwrap(),
    ];
    assert_eq!(counts, [1, 2, 4, 5, 9, 10, 11, 12, 14, 15, 21, 22, 23, 24]);
    let times = [
        message_timeout,
        handshake_timeout,
        decision_timeout,
        http_idle_timeout,
        ping_interval,
        ping_timeout,
        close_timeout,
        drain_window,
        drain_timeout,
    ];
    let seconds = times.map(|time| time.as_secs());
    assert_eq!(seconds, [3, 6, 7, 8, 16, 17, 18, 19, 20]);
    assert_eq!(slow_consumer, SlowConsumer::DropOldest);
    assert!(compression.is_some());
    let expected = Inbound {
        messages: Some(25),
        bytes: Some(26),
        burst: Duration::from_secs(27),
        excess: Excess::Close,
    };
    assert_eq!(inbound, expected);
}

#[test]
fn errors_of_the_library_name_flags() {
    for (flags, error) in [
        (
            "--max-outbox 9 --max-message 9",
            "--max-outbox is too small for --max-message: ",
        ),
        (
            "--max-handshakes-per-address 0",
            "--max-handshakes-per-address must be above zero",
        ),
        (
            "--http-idle-timeout 0",
            "--http-idle-timeout must be above zero",
        ),
        (
            "--max-outbox-memory 9",
            "--max-outbox-memory is too small for --max-outbox: ",
        ),
        ("--max-header 1", "--max-header is too small for 8 KiB: "),
        (
            "--max-message-rate 0",
            "--max-message-rate must be above zero",
        ),
        (
            "--max-byte-rate 1000",
            "--max-byte-rate is too small for --max-message to arrive within --message-timeout: ",
        ),
        (
            "--drain-window 60",
            "--drain-timeout is too small for --drain-window + --close-timeout: ",
        ),
        (
            "--registry redis://h --lease 1ms",
            "--lease must be between 300ms and one day",
        ),
        (
            "--registry redis://h --max-peer-handshakes 0",
            "--max-peer-handshakes must be at least 1",
        ),
    ] {
        let text = serve(flags).check().err().unwrap().to_string();
        assert!(text.starts_with(error), "{text}");
    }
}
