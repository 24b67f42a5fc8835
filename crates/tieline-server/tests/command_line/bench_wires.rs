//! `tieline bench` in the JSON wire, in that of Pusher Channels and over HTTP, with servers that it starts.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use serde_json::Value;

use super::kit::{run, tieline};

const SHORT: &[&str] = &["--warm-up", "100ms", "-d", "300ms", "--json", "-"];
const CLIENT: &str = "ws://127.0.0.1:{port}/client/hubs/chat?user={id}";
const USER: &str = "http://127.0.0.1:{port}/api/hubs/chat/users/{id}/:send";

/// The command of this program with a free port, for `--start`.
fn start(arguments: &str) -> String {
    let tieline = env!("CARGO_BIN_EXE_tieline");
    format!("'{tieline}' {arguments} --listen 127.0.0.1:{{port}}")
}

/// The results of a load that succeeds.
fn measured(arguments: &[&str]) -> Value {
    let output = tieline(&[&["bench"], arguments, SHORT].concat());
    let output = { output }.output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {why}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The error of an invalid command line.
fn refused(arguments: &[&str]) -> String {
    let (code, message) = run(&[&["bench"], arguments].concat());
    assert_eq!(code, Some(2), "{arguments:?}: {message}");
    message
}

/// A file with an access key.
struct Key(PathBuf);

impl Key {
    const TEXT: &str = "hunter2-hunter2-hunter2-hunter2-hunter2";

    fn new(name: &str) -> Self {
        let file = format!("tieline-bench-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(file);
        fs::write(&path, Self::TEXT).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn every_scenario_runs_in_the_json_wire() {
    let server = start("serve");
    let target = ["--wire", "json", "--start", &server, "--url", CLIENT];
    for scenario in [
        "idle",
        "echo",
        "broadcast",
        "direct",
        "rooms",
        "mixed",
        "storm",
        "churn",
    ] {
        let own: &[&str] = match scenario {
            "rooms" => &["--room", "4"],
            "storm" => &["--rounds", "2"],
            _ => &[],
        };
        let load = [&[scenario, "-c", "8"], &target[..], own].concat();
        let found = measured(&load);
        assert_eq!(
            found["faults"]["examples"],
            serde_json::json!([]),
            "{found:#}"
        );
        assert_eq!(found["opening"]["connections"], 8);
        assert_eq!(found["wire"], "json");
        let arrived = found["arrived"].as_u64().unwrap();
        assert_eq!(arrived > 0, scenario != "idle", "{found:#}");
    }
}

#[test]
fn a_server_with_a_key_admits_clients_with_a_token() {
    let key = Key::new("clients");
    let server = start(&format!("serve --key-file '{}'", key.path()));
    let url = "ws://127.0.0.1:{port}/client/hubs/chat";
    let target = ["--wire", "json", "--start", &server, "--url", url];
    let load = [&["rooms", "-c", "8", "--room", "4"], &target[..]].concat();
    let found = measured(&[&load[..], &["--token-key", key.path()]].concat());
    assert_eq!(
        found["faults"]["examples"],
        serde_json::json!([]),
        "{found:#}"
    );
    assert!(!found.to_string().contains(Key::TEXT));
    let (code, message) = run(&[&["bench"], &load[..]].concat());
    assert_eq!(code, Some(1));
    assert!(
        message.contains("401") && !message.contains(Key::TEXT),
        "{message}"
    );
}

#[test]
fn binary_data_is_recognized_in_base64() {
    let server = start("serve");
    let target = ["--wire", "json", "--start", &server, "--url", CLIENT];
    let load = [
        "rooms", "-c", "8", "--room", "4", "--binary", "--size", "100",
    ];
    let found = measured(&[&load[..], &target].concat());
    assert_eq!(
        found["faults"]["examples"],
        serde_json::json!([]),
        "{found:#}"
    );
    assert!(found["arrived"].as_u64() > Some(0));
}

#[test]
fn a_server_in_json_is_compared_with_a_baseline_in_the_bare_wire() {
    let (server, floor) = (start("serve"), start("bench floor"));
    let target = ["--wire", "json", "--start", &server, "--url", CLIENT];
    let other = [
        "--base-start",
        &floor,
        "--base-url",
        "ws://127.0.0.1:{port}/ws?id={id}",
    ];
    let group = [
        "--base-wire",
        "bare",
        "--base-on-open",
        "J:all",
        "--base-send",
        "G:all:{payload}",
    ];
    let other = [&other[..], &group].concat();
    for base in [&[][..], &other] {
        let load = ["compare", "broadcast", "--runs", "1", "-c", "8"];
        let found = measured(&[&load[..], &target, base].concat());
        let pair = &found["pairs"][0];
        assert_eq!(pair["faulty"], false, "{found:#}");
        assert_eq!(
            (&pair["server"]["wire"], &pair["base"]["wire"]),
            (&"json".into(), &"bare".into())
        );
        let send = if base.is_empty() {
            "B{payload}"
        } else {
            "G:all:{payload}"
        };
        assert_eq!(pair["base"]["send"], send);
        assert!(found["ratios"]["per_second"]["median"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn requests_are_measured_and_compared_with_their_baseline() {
    let key = Key::new("rest");
    let server = start("bench http-floor");
    let target = ["--start", &server, "--url", USER, "--token-key", key.path()];
    let load = ["compare", "rest", "--runs", "1", "-c", "4", "-i", "2"];
    let found = measured(&[&load[..], &target].concat());
    assert!(!found.to_string().contains(Key::TEXT));
    let pair = &found["pairs"][0];
    assert_eq!(
        (&pair["faulty"], &found["base_is_floor"]),
        (&false.into(), &true.into()),
        "{found:#}"
    );
    for side in ["base", "server"] {
        let side = &pair[side];
        assert_eq!(
            (&side["status"], &side["signed"]),
            (&202.into(), &true.into())
        );
        assert!(side["arrived"].as_u64() > Some(0), "{found:#}");
    }
    assert!(
        found["ratios"]["per_cpu_second"]["median"]
            .as_f64()
            .unwrap()
            > 0.0
    );
}

#[test]
fn a_load_whose_responses_have_another_status_fails() {
    let server = start("bench http-floor");
    let target = ["--start", &server, "--url", USER];
    let load = ["bench", "rest", "-c", "2", "-d", "200ms", "--status", "200"];
    let output = tieline(&[&load[..], &target].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("unexpected response: 202"), "{table}");
}

/// The configuration of a server with an app, and the secret of the app.
struct App(tempfile::TempDir);

impl App {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn new() -> Self {
        let app = Self(tempfile::tempdir().unwrap());
        let (config, secret) = (app.path("tieline.toml"), app.path("secret"));
        fs::write(&secret, Self::SECRET).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let table = format!(
            "[[pusher.app]]\nid = \"1\"\nkey = \"app-key\"\nsecret = {{ file = \"{secret}\" }}\n\
             client_events = true\nmax_client_event_rate = 1000000\n"
        );
        fs::write(config, table).unwrap();
        app
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn server(&self) -> String {
        start(&format!("serve --config '{}'", self.path("tieline.toml")))
    }
}

const PUSHER: &str = "ws://127.0.0.1:{port}/app/app-key?protocol=7";
const EVENTS: &str = "http://127.0.0.1:{port}/apps/1/events?auth_key=app-key";

#[test]
fn pusher_clients_send_events_to_the_others() {
    let app = App::new();
    let (server, secret) = (app.server(), app.path("secret"));
    let target = ["--start", &server, "--url", PUSHER, "--token-key", &secret];
    for (scenario, own) in [
        ("idle", &["--on-open", "presence-{room}"][..]),
        ("broadcast", &[]),
        ("direct", &[]),
        ("rooms", &["--room", "3"]),
        ("storm", &["--rounds", "2"]),
    ] {
        let load = [&[scenario, "-c", "8", "--wire", "pusher"], &target[..], own].concat();
        let found = measured(&load);
        let none = serde_json::json!([]);
        assert_eq!(found["faults"]["examples"], none, "{found:#}");
        let arrived = found["arrived"].as_u64().unwrap();
        assert_eq!(arrived > 0, scenario != "idle", "{found:#}");
        assert!(!found.to_string().contains(App::SECRET));
    }
}

#[test]
fn signed_events_reach_subscribers_and_are_compared_with_the_baseline() {
    let app = App::new();
    let (server, secret) = (app.server(), app.path("secret"));
    let target = ["--start", &server, "--url", EVENTS, "--token-key", &secret];
    let receivers = ["--receiver-url", PUSHER, "--receiver-wire", "pusher"];
    let format = [
        "--send",
        r#"{"name":"load","channel":"{id}","data":"{payload}"}"#,
    ];
    let load = [
        "compare", "rest", "--runs", "1", "-c", "4", "--status", "200",
    ];
    let found = measured(&[&load[..], &target, &receivers, &format].concat());
    let pair = &found["pairs"][0];
    assert_eq!(pair["faulty"], false, "{found:#}");
    for (side, status) in [("base", 202), ("server", 200)] {
        assert_eq!(pair[side]["status"], status);
        assert!(pair[side]["arrived"].as_u64() > Some(0), "{found:#}");
    }
}

#[test]
fn flags_of_wires_that_contradict_each_other_are_named() {
    let message = refused(&["rest"]);
    assert!(message.contains("--url 'http://127.0.0.1:"), "{message}");
    let message = refused(&["rest", "--url", "ws://h/x"]);
    assert!(message.contains("did you mean http://h/x?"), "{message}");
    let message = refused(&["rest", "--url", "http://h/x", "--on-open", "hi"]);
    assert!(message.contains("--on-open"), "{message}");
    let message = refused(&[
        "rest",
        "--url",
        "http://h/x",
        "--receiver-url",
        "http://h/x",
    ]);
    assert!(
        message.contains("--receiver-url") && message.contains("mean ws://h/x?"),
        "{message}"
    );
    let message = refused(&["rest", "--url", "http://h/x", "--binary"]);
    assert!(message.contains("--content-type"), "{message}");
    let pusher = ["--wire", "pusher", "--url", "ws://h/app/k"];
    let message = refused(&[&["echo"], &pusher[..]].concat());
    assert!(message.contains("own messages"), "{message}");
    let message = refused(&[&["rooms", "--send", "G:{room}:{payload}"], &pusher[..]].concat());
    assert!(message.contains("Pusher wire"), "{message}");
    let json = ["--wire", "json", "--url", "ws://h/x"];
    let message = refused(&[&["rooms", "--send", "G:{room}:{payload}"], &json[..]].concat());
    assert!(
        message.contains("not a message of the JSON wire"),
        "{message}"
    );
    let message = refused(&["echo", "--url", "ws://h/x", "--token-key", "/no/such/key"]);
    assert!(
        message.contains("--token-key") && message.contains("/no/such/key"),
        "{message}"
    );
    let base = ["--base-wire", "bare"];
    let message = refused(&[&["compare", "rooms"], &json[..], &base].concat());
    assert!(
        message.contains("--base-wire needs --base-url"),
        "{message}"
    );
    let other = ["--base-url", "ws://h/x", "--base-send", "G:{room}"];
    let message = refused(&[&["compare", "rooms"], &json[..], &base, &other].concat());
    assert!(
        message.contains("load of the baseline") && message.contains("{payload}"),
        "{message}"
    );
    let base = [&base[..], &["--base-url", "http://h/x"]].concat();
    let message = refused(&[&["compare", "rest", "--url", "http://h/x"], &base[..]].concat());
    assert!(message.contains("remove --base-wire"), "{message}");
}
