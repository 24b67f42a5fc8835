//! How much clients may send.

use std::time::{Duration, Instant};

use super::Limited;

/// Where a rate of messages is set, one of bytes, and who shares them: the user of a second client that does.
const SCOPES: [(&str, &str, &str, Option<&str>); 4] = [
    (
        "client",
        "hub_defaults.max_message_rate_per_client",
        "hub_defaults.max_byte_rate_per_client",
        None,
    ),
    (
        "user",
        "hub_defaults.max_message_rate_per_user",
        "hub_defaults.max_byte_rate_per_user",
        Some("ada"),
    ),
    (
        "address",
        "limits.max_message_rate_per_address",
        "limits.max_byte_rate_per_address",
        Some("bob"),
    ),
    (
        "hub",
        "hub_defaults.max_message_rate",
        "hub_defaults.max_byte_rate",
        Some("bob"),
    ),
];

fn ping(id: u32) -> String {
    format!(r#"{{"type":"leaveGroup","group":"g","ackId":{id}}}"#)
}

#[test]
fn messages_beyond_a_rate_are_slowed_down() {
    for (scope, option, _, second) in SCOPES {
        let limited = Limited::serve(&[(option, "20"), ("limits.rate_burst", "100ms")]);
        let mut clients = vec![limited.client("ada")];
        clients.extend(second.map(|user| limited.client(user)));
        let begun = Instant::now();
        // 2 at once, and 10 at 20 a second, whoever sends them.
        let each = u32::try_from(12 / clients.len()).unwrap();
        for client in &mut clients {
            for id in 0..each {
                client.send(&ping(id));
            }
        }
        for client in &mut clients {
            for id in 0..each {
                let ack = format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#);
                assert_eq!(client.text(), ack);
            }
        }
        assert!(begun.elapsed() >= Duration::from_millis(490), "{scope}");
        limited.logged(&format!(
            r#"scope="{scope}" limit="messages" action="slowed_down""#
        ));
    }
}

#[test]
fn messages_beyond_a_rate_are_refused_with_a_failed_ack() {
    for (scope, option, _, second) in SCOPES {
        let limited = Limited::serve(&[
            (option, "1"),
            ("limits.rate_burst", "1m"),
            ("limits.rate_excess", "refuse"),
        ]);
        let mut client = limited.client("ada");
        let mut other = second.map(|user| limited.client(user));
        // 60, and one for each second that passes.
        let (mut sent, mut acked, begun) = (0, 0, Instant::now());
        let refusal = loop {
            client.send(&ping(sent));
            sent += 1;
            let answer = client.text();
            if !answer.contains("true") {
                break answer;
            }
            acked += 1;
        };
        assert!((60..=61 + begun.elapsed().as_secs()).contains(&acked));
        assert!(refusal.contains(r#""name":"TooManyRequests""#), "{refusal}");
        // Who shares the limit is refused too, an invocation with an answer of its own.
        let client = other.as_mut().unwrap_or(&mut client);
        // At once or, if a second has passed, one later.
        let invoke = r#"{"type":"invoke","invocationId":"7","target":"event","event":"e"}"#;
        let mut answers = (0..20).map(|_| {
            client.send(invoke);
            client.text()
        });
        let refused = answers.find(|answer| answer.contains("TooManyRequests"));
        let refused = refused.expect(scope);
        assert!(refused.contains(r#""type":"invokeResponse""#), "{refused}");
        limited.logged(&format!(
            r#"scope="{scope}" limit="messages" action="refused""#
        ));
    }
}

#[test]
fn whoever_sends_beyond_a_rate_is_closed_with_1008_if_that_is_the_policy() {
    for (scope, messages, bytes, second) in SCOPES {
        for (limit, option, rate) in [("messages", messages, "1"), ("bytes", bytes, "40KiB")] {
            let limited = Limited::serve(&[
                (option, rate),
                ("hub_defaults.rate_excess", "close"),
                ("limits.max_message", "64KiB"),
            ]);
            let mut client = limited.client("ada");
            let mut bystander = second.map(|user| limited.client(user));
            let text = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(30_000));
            for _ in 0..5 {
                client.send(&text);
            }
            assert_eq!(client.close_code(), 1008, "{scope}, {limit}");
            limited.logged(&format!(
                r#"scope="{scope}" limit="{limit}" action="closed""#
            ));
            // Who shares the limit and has sent nothing stays.
            if let Some(bystander) = &mut bystander {
                // Until there is something again for it.
                drop(limited.log.recv_timeout(Duration::from_millis(1100)));
                bystander.send(&ping(1));
                assert!(bystander.text().contains(r#""success":true"#));
            }
        }
    }
}

#[test]
fn bytes_beyond_a_rate_are_slowed_down() {
    for (scope, _, option, second) in SCOPES {
        let limited = Limited::serve(&[
            (option, "200000"),
            ("limits.rate_burst", "100ms"),
            ("limits.max_message", "64KiB"),
        ]);
        let mut clients = vec![limited.client("ada")];
        clients.extend(second.map(|user| limited.client(user)));
        let begun = Instant::now();
        let text = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(30_000));
        // 120 kB: 20 at once, and 100 within half a second.
        for n in 0..4 {
            let at = n % clients.len();
            clients[at].send(&text);
        }
        for n in 0..4 {
            let at = n % clients.len();
            assert_eq!(clients[at].text(), r#"{"type":"pong"}"#);
        }
        assert!(begun.elapsed() >= Duration::from_millis(440), "{scope}");
        limited.logged(&format!(
            r#"scope="{scope}" limit="bytes" action="slowed_down""#
        ));
    }
}
