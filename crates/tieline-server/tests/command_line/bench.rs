//! `tieline bench` as somebody meets it who measures: what cannot be meant is told in one go.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use super::kit::{run, tieline};

const DEADLINE: Duration = Duration::from_secs(20);

/// What is said about a command line that cannot be meant.
fn refused(arguments: &[&str]) -> String {
    let (code, said) = run(&[&["bench"], arguments].concat());
    assert_eq!(code, Some(2), "{arguments:?}: {said}");
    said
}

#[test]
fn a_load_needs_a_server() {
    let said = refused(&["echo"]);
    assert!(
        said.contains("--url 'ws://") && said.contains("--start"),
        "{said}"
    );
    let said = refused(&["direct", "--start", "server {port}"]);
    assert!(
        said.contains("--url 'ws://127.0.0.1:{port}/ws?id={id}'"),
        "{said}"
    );
    let said = refused(&["echo", "--url", "http://127.0.0.1:1/x"]);
    assert!(said.contains("did you mean ws://127.0.0.1:1/x?"), "{said}");
}

#[test]
fn flags_that_contradict_each_other_are_named() {
    let url = ["--url", "ws://127.0.0.1:1/"];
    let with = |command, flags: &[&'static str]| refused(&[&[command], &url[..], flags].concat());
    let said = with("echo", &["--rate", "100", "--in-flight", "2"]);
    assert!(
        said.contains("--rate") && said.contains("--in-flight"),
        "{said}"
    );
    let said = with("direct", &["--connections", "11"]);
    assert!(said.contains("--connections 12"), "{said}");
    let said = with("echo", &["--rate", "half"]);
    assert!(said.contains("compare"), "{said}");
    let said = with("echo", &["--least", "0.5"]);
    assert!(said.contains("--least"), "{said}");
    let said = with("echo", &["--server-cpu", "0"]);
    assert!(said.contains("--start"), "{said}");
    let said = with("storm", &["--registry", "redis://h:1"]);
    assert!(said.contains("--url"), "{said}");
    let said = with("compare", &[]);
    assert!(said.contains("Usage"), "{said}");
    let said = with("echo", &["--json", "no-such-folder/x.json"]);
    assert!(said.contains("no-such-folder"), "{said}");
    let said = with("echo", &["--json", "/dev/null/x"]);
    assert!(said.contains("/dev/null/x"), "{said}");
    let said = with("storm", &["--nodes", "3"]);
    assert!(said.contains("--registry"), "{said}");
    let said = with("echo", &["--pid", "4294967295"]);
    assert!(said.contains("--pid 4294967295"), "{said}");
    let said = with("idle", &["--processes", "300"]);
    assert!(said.contains("descriptor limit"), "{said}");
    let said = with("echo", &["--rate", "1e9"]);
    assert!(said.contains("100 million"), "{said}");
    let said = with("echo", &["--duration", "5"]);
    assert!(said.contains("500ms"), "{said}");
    assert!(refused(&["ecko"]).contains("'echo'"));
}

#[test]
fn the_help_names_places_and_exit_codes() {
    let output = tieline(&["bench", "echo", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("{n} its number"), "{help}");
    assert!(help.contains("Exit code: 0"), "{help}");
}

#[test]
fn a_base_needs_an_address() {
    let base = ["--base-start", "server {port}"];
    let said = refused(&[&["compare", "echo", "--url", "ws://h/"], &base[..]].concat());
    assert!(said.contains("--base-url"), "{said}");
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
fn a_command_that_is_not_there_is_named() {
    let url = ["--url", "ws://127.0.0.1:{port}/"];
    let start = ["--start", "no-such-program {port}"];
    let (code, said) = run(&[&["bench", "echo"], &url[..], &start].concat());
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot run no-such-program"), "{said}");
}

#[test]
fn a_server_that_ends_early_has_the_last_word() {
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
    let (code, said) = run(&arguments);
    assert_eq!(code, Some(1));
    assert!(said.contains("ended") && said.contains("in use"), "{said}");
}

#[test]
fn a_registry_that_is_none_is_not_quoted() {
    let said = run(&["bench", "storm", "--registry", "mysql://:hunter2@h"]).1;
    assert!(
        said.contains("redis://") && !said.contains("hunter2"),
        "{said}"
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
fn a_comparison_tells_its_ratios_and_judges_them() {
    let server = format!(
        "'{}' bench floor --listen 127.0.0.1:{{port}}",
        env!("CARGO_BIN_EXE_tieline")
    );
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
    let compare = |least| {
        let command = ["bench", "compare", "echo", "--json", "-", "--least", least];
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
    assert!(String::from_utf8(hard.stderr).unwrap().contains("--least"));
    serde_json::from_slice::<serde_json::Value>(&hard.stdout).expect("the figures are told anyhow");
}

#[test]
fn a_load_without_arrivals_fails_and_shows_its_table() {
    let server = format!(
        "'{}' bench floor --listen 127.0.0.1:{{port}}",
        env!("CARGO_BIN_EXE_tieline")
    );
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
    let (table, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(
        table.contains("did not arrive") && !table.contains("hunter2"),
        "{table}"
    );
    assert!(said.contains("nothing arrived"), "{said}");
}

#[test]
fn what_a_started_server_started_ends_with_it() {
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
    TcpStream::connect(address).expect_err("nobody listens any more");
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
        // Before that it is still on its way to be the server.
        let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        (name == "sleep\n").then_some(child)
    });
    load.0.kill().unwrap();
    until(|| is_gone(&server).then_some(()));
}

/// Ends with this value.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ended, though nobody may have asked how yet.
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
    panic!("it did not happen");
}
