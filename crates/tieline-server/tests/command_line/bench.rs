//! `tieline bench` from the command line: invalid flags, started servers, exit codes.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use super::kit::{run, tieline};

const DEADLINE: Duration = Duration::from_secs(20);

/// The command that starts the baseline server on a free port, for `--start`.
fn floor() -> String {
    format!(
        "'{}' bench floor --listen 127.0.0.1:{{port}}",
        env!("CARGO_BIN_EXE_tieline")
    )
}

/// The error of an invalid command line.
fn refused(arguments: &[&str]) -> String {
    let (code, message) = run(&[&["bench"], arguments].concat());
    assert_eq!(code, Some(2), "{arguments:?}: {message}");
    message
}

#[test]
fn a_load_needs_a_server() {
    let message = refused(&["echo"]);
    assert!(
        message.contains("--url 'ws://") && message.contains("--start"),
        "{message}"
    );
    let message = refused(&["direct", "--start", "server {port}"]);
    assert!(
        message.contains("--url 'ws://127.0.0.1:{port}/ws?id={id}'"),
        "{message}"
    );
    let message = refused(&["echo", "--url", "http://127.0.0.1:1/x"]);
    assert!(
        message.contains("did you mean ws://127.0.0.1:1/x?"),
        "{message}"
    );
}

#[test]
fn flags_that_contradict_each_other_are_named() {
    let url = ["--url", "ws://127.0.0.1:1/"];
    let with = |command, flags: &[&'static str]| refused(&[&[command], &url[..], flags].concat());
    let message = with("echo", &["--rate", "100", "--in-flight", "2"]);
    assert!(
        message.contains("--rate") && message.contains("--in-flight"),
        "{message}"
    );
    let message = with("direct", &["--connections", "11"]);
    assert!(message.contains("--connections 12"), "{message}");
    let message = with("echo", &["--rate", "half"]);
    assert!(message.contains("compare"), "{message}");
    let message = with("echo", &["--min-ratio", "0.5"]);
    assert!(message.contains("--min-ratio"), "{message}");
    let message = with("echo", &["--server-cpu", "0"]);
    assert!(message.contains("--start"), "{message}");
    let message = with("storm", &["--registry", "redis://h:1"]);
    assert!(message.contains("--url"), "{message}");
    let message = with("compare", &[]);
    assert!(message.contains("Usage"), "{message}");
    let message = with("echo", &["--json", "no-such-folder/x.json"]);
    assert!(message.contains("no-such-folder"), "{message}");
    let message = with("echo", &["--json", "/dev/null/x"]);
    assert!(message.contains("/dev/null/x"), "{message}");
    let message = with("storm", &["--nodes", "3"]);
    assert!(message.contains("--registry"), "{message}");
    let message = with("echo", &["--pid", "4294967295"]);
    assert!(message.contains("--pid 4294967295"), "{message}");
    let message = with("idle", &["--processes", "300"]);
    assert!(message.contains("descriptor limit"), "{message}");
    let message = with("mixed", &["--connections", "2"]);
    assert!(message.contains("at least 4"), "{message}");
    let message = with("rooms", &["--room", "2", "--senders", "3"]);
    assert!(message.contains("at most 2"), "{message}");
    let message = with("echo", &["--cpu", "3-1"]);
    assert!(message.contains("0-3"), "{message}");
    let message = with("echo", &["--rate", "1e9"]);
    assert!(message.contains("100 million"), "{message}");
    let message = with("echo", &["--duration", "5"]);
    assert!(message.contains("500ms"), "{message}");
    assert!(refused(&["ecko"]).contains("'echo'"));
}

#[test]
fn the_help_lists_placeholders_and_exit_codes() {
    let output = tieline(&["bench", "echo", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("{n} its number"), "{help}");
    assert!(help.contains("Exit code: 0"), "{help}");
}

#[test]
fn a_started_baseline_needs_a_url() {
    let base = ["--base-start", "server {port}"];
    let message = refused(&[&["compare", "echo", "--url", "ws://h/"], &base[..]].concat());
    assert!(message.contains("--base-url"), "{message}");
}

#[test]
fn a_command_needs_a_port() {
    let start = |command| {
        refused(&[
            "echo",
            "--url",
            "ws://127.0.0.1:{port}/",
            "--start",
            command,
        ])
    };
    assert!(start("server --listen 1").contains("{port}"));
    assert!(start("server '{port}").contains("not closed"));
}

#[test]
fn a_missing_command_is_named() {
    let url = ["--url", "ws://127.0.0.1:{port}/"];
    let start = ["--start", "no-such-program {port}"];
    let (code, message) = run(&[&["bench", "echo"], &url[..], &start].concat());
    assert_eq!(code, Some(1));
    assert!(message.contains("cannot run no-such-program"), "{message}");
}

#[test]
fn the_output_of_a_server_that_exits_early_is_shown() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let tieline = env!("CARGO_BIN_EXE_tieline");
    let demo = format!("'{tieline}' demo --listen {address} --second 127.0.0.1:{{port}}");
    let arguments = [
        "bench",
        "echo",
        "--url",
        "ws://127.0.0.1:{port}/",
        "--start",
        &demo,
    ];
    let (code, message) = run(&arguments);
    assert_eq!(code, Some(1));
    assert!(
        message.contains("ended") && message.contains("in use"),
        "{message}"
    );
}

#[test]
fn the_password_of_an_invalid_registry_url_is_hidden() {
    let message = run(&["bench", "storm", "--registry", "mysql://:hunter2@h"]).1;
    assert!(
        message.contains("redis://") && !message.contains("hunter2"),
        "{message}"
    );
    let closed = run(&[
        "bench",
        "storm",
        "--registry",
        "redis://:hunter2@127.0.0.1:1",
    ]);
    assert_eq!(closed.0, Some(1));
    assert!(!closed.1.contains("hunter2"), "{}", closed.1);
}

#[test]
fn a_comparison_shows_its_ratios_and_checks_them() {
    let server = floor();
    let short = [
        "--runs",
        "1",
        "--warm-up",
        "100ms",
        "--duration",
        "300ms",
        "-c",
        "4",
    ];
    let target = ["--start", &server, "--url", "ws://127.0.0.1:{port}/echo"];
    let compare = |ratio| {
        let command = [
            "bench",
            "compare",
            "echo",
            "--json",
            "-",
            "--min-ratio",
            ratio,
        ];
        tieline(&[&command[..], &short, &target].concat())
            .output()
            .unwrap()
    };
    let easy = compare("0.000001");
    let found: serde_json::Value = serde_json::from_slice(&easy.stdout).unwrap();
    assert_eq!(easy.status.code(), Some(0), "{found:#}");
    assert_eq!(
        (&found["kind"], &found["base_is_floor"]),
        (&"comparison".into(), &true.into())
    );
    assert_eq!(found["pairs"][0]["faulty"], false, "{found:#}");
    assert!(found["ratios"]["per_second"]["median"].as_f64().unwrap() > 0.0);
    let hard = compare("1000000");
    assert_eq!(hard.status.code(), Some(1));
    assert!(
        String::from_utf8(hard.stderr)
            .unwrap()
            .contains("--min-ratio")
    );
    serde_json::from_slice::<serde_json::Value>(&hard.stdout)
        .expect("the results are printed all the same");
}

#[test]
fn rooms_and_mixed_loads_need_no_templates() {
    let server = floor();
    let target = [
        "--start",
        &server,
        "--url",
        "ws://127.0.0.1:{port}/ws?id={id}",
    ];
    let short = [
        "-c",
        "8",
        "--warm-up",
        "100ms",
        "-d",
        "300ms",
        "--json",
        "-",
    ];
    let own = |scenario| match scenario {
        "rooms" => ["--room", "4"],
        _ => ["--broadcast-rate", "100"],
    };
    for scenario in ["rooms", "mixed"] {
        let load = [
            &["bench", "compare", scenario, "--runs", "1"],
            &own(scenario)[..],
        ]
        .concat();
        let pinned = ["--cpu", "0", "--server-cpu", "0-0"];
        let output = tieline(&[&load[..], &short, &target, &pinned].concat())
            .output()
            .unwrap();
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{found:#}");
        let (pair, ratios) = (&found["pairs"][0], &found["ratios"]);
        assert_eq!(pair["faulty"], false, "{found:#}");
        assert!(ratios["per_cpu_second"]["median"].as_f64().unwrap() > 0.0);
        let broadcast = &ratios["broadcast_p50"]["median"];
        assert_eq!(broadcast.is_null(), scenario == "rooms", "{found:#}");
        assert!(
            pair["server"]["arrived"].as_u64() > pair["server"]["sent"].as_u64().map(|n| n / 2)
        );
    }
}

#[test]
fn a_load_without_arrivals_fails_and_shows_its_table() {
    let server = floor();
    let target = [
        "--start",
        &server,
        "--url",
        "ws://127.0.0.1:{port}/echo?token=hunter2",
    ];
    let load = [
        "bench",
        "echo",
        "-c",
        "2",
        "-d",
        "200ms",
        "--send",
        "T:nobody:{payload}",
    ];
    let output = tieline(&[&load[..], &target].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (table, message) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(
        table.contains("did not arrive") && !table.contains("hunter2"),
        "{table}"
    );
    assert!(message.contains("nothing arrived"), "{message}");
}

#[test]
fn children_of_a_started_server_end_with_it() {
    let server = format!(
        "sh -c '{} bench floor --listen 127.0.0.1:{{port}}; true'",
        env!("CARGO_BIN_EXE_tieline")
    );
    let target = ["--start", &server, "--url", "ws://127.0.0.1:{port}/echo"];
    let load = ["bench", "echo", "-c", "2", "-d", "200ms", "--json", "-"];
    let output = tieline(&[&load[..], &target].concat()).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let url = found["urls"][0].as_str().unwrap();
    let address = url
        .strip_prefix("ws://")
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    TcpStream::connect(address).expect_err("the server has ended");
}

#[cfg(target_os = "linux")]
#[test]
fn a_started_server_ends_with_the_load_that_was_killed() {
    let start = ["--start", "sleep 1{port}"];
    let url = ["--url", "ws://127.0.0.1:{port}/"];
    let load = tieline(&[&["bench", "echo"], &start[..], &url].concat()).spawn();
    let mut load = Killed(load.unwrap());
    let children = format!("/proc/{0}/task/{0}/children", load.0.id());
    let server = until(|| {
        let child = fs::read_to_string(&children).ok()?.trim().to_owned();
        // Before that it has not executed the server yet.
        let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        (name == "sleep\n").then_some(child)
    });
    load.0.kill().unwrap();
    until(|| is_gone(&server).then_some(()));
}

/// Kills the process on drop.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Exited, or a zombie.
fn is_gone(process: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(process).join("stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

fn until<T>(mut event: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    while begin.elapsed() < DEADLINE {
        if let Some(found) = event() {
            return found;
        }
        std::thread::yield_now();
    }
    panic!("timed out");
}
