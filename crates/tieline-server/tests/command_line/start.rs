//! Signals that come before the server has started.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    kit::{DEADLINE, pace, tieline},
    served::Starting,
};

/// In the masks of `/proc`, the bit of a signal is its number less one.
const HANGUP: u64 = 1 << 0;

/// A configuration that is there when the test writes it.
struct Pipe {
    _folder: TempDir,
    path: PathBuf,
}

impl Pipe {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tieline.toml");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        Self {
            _folder: folder,
            path,
        }
    }

    fn serve(&self) -> Starting {
        let arguments = ["serve", "--config", self.path.to_str().unwrap()];
        Starting::spawn(tieline(&arguments))
    }

    /// Waits until the server reads.
    fn open(&self) -> File {
        open(&self.path)
    }
}

fn open(path: &Path) -> File {
    let (sender, opened) = sync_channel(1);
    let path = path.to_owned();
    // It waits for a reader, who may never come.
    std::thread::spawn(move || sender.send(OpenOptions::new().write(true).open(path)));
    let opened = opened.recv_timeout(DEADLINE);
    opened.expect("the server reads").unwrap()
}

const CONFIG: &str = "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";

#[test]
fn a_reload_that_comes_while_the_configuration_is_read_is_made_up_for() {
    let pipe = Pipe::new();
    let server = pipe.serve();
    let mut config = pipe.open();
    server.signal("HUP");
    config.write_all(CONFIG.as_bytes()).unwrap();
    drop(config);
    server.line("listening");
    let mut config = pipe.open();
    let changed = format!("{CONFIG}[hub_defaults]\nanonymous = \"never\"\n");
    config.write_all(changed.as_bytes()).unwrap();
    drop(config);
    let line = server.line("configuration reloaded");
    assert!(line.contains("hub_defaults.anonymous"), "{line}");
}

#[test]
fn a_signal_ends_a_server_that_waits_for_its_configuration() {
    for name in ["TERM", "INT"] {
        let pipe = Pipe::new();
        let mut server = pipe.serve();
        let config = pipe.open();
        server.signal(name);
        assert_eq!(server.end(), (String::new(), Some(0)), "{name}");
        drop(config);
    }
}

#[test]
fn a_signal_ends_a_server_that_waits_for_its_registry() {
    // It accepts, and never answers.
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", registry.local_addr().unwrap());
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--registry", &url];
    let mut server = Starting::spawn(tieline(&arguments));
    let (sender, accepted) = sync_channel(1);
    std::thread::spawn(move || sender.send(registry.accept()));
    let _silent = accepted.recv_timeout(DEADLINE).unwrap().unwrap();
    server.signal("TERM");
    let (log, code) = server.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped before the node had started"), "{log}");
}

/// A server that has begun to keep signals: what comes before is up to the system.
fn begun() -> Starting {
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ];
    let server = Starting::spawn(tieline(&arguments));
    let begin = Instant::now();
    let status = format!("/proc/{}/status", server.id());
    let caught = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let mut lines = status.lines();
        let mask = lines.find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap()
    };
    while caught() & HANGUP == 0 {
        assert!(begin.elapsed() < DEADLINE, "SIGHUP is not handled");
        std::thread::yield_now();
    }
    server
}

/// The times of signals after that, over the first 60 ms.
fn times() -> impl Iterator<Item = Duration> {
    (0..20).map(|step| Duration::from_millis(3 * step))
}

#[test]
fn a_reload_at_any_time_of_the_start_ends_no_server() {
    for time in times() {
        let mut server = begun();
        pace(time);
        server.signal("HUP");
        server.line("configuration reloaded; no option in use has changed");
        server.signal("TERM");
        let (log, code) = server.end();
        assert_eq!(code, Some(0), "{time:?}: {log}");
    }
}

#[test]
fn a_stop_at_any_time_of_the_start_is_a_clean_end() {
    for time in times() {
        let mut server = begun();
        pace(time);
        server.signal("TERM");
        let (log, code) = server.end();
        assert_eq!(code, Some(0), "{time:?}: {log}");
    }
}
