//! Unix sockets of clients and of operators.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::{
        fd::OwnedFd,
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::{ANYONE, check, client, connect, get, lives};
use crate::{
    kit::{ask_on, tieline},
    served::{ConfigFile, Served},
};

const CLIENTS: &str = "listen = \"unix:clients.sock\"\n";

/// A node with these settings, whose sockets are in the folder of its file.
struct Node {
    file: ConfigFile,
    served: Served,
}

impl Node {
    fn start(settings: &str) -> Self {
        let file = ConfigFile::new(settings);
        let served = Served::start(tieline(&["serve", "--config", file.path()]));
        Self { file, served }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.file.folder.path().join(name)
    }

    fn clients(&self) -> UnixStream {
        connect(&self.path("clients.sock"))
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = tieline(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn clients_and_health_checks_come_by_a_unix_socket() {
    let mut node = Node::start(&format!("{CLIENTS}{ANYONE}"));
    let path = node.path("clients.sock");
    let place = format!("unix:{}", path.display());
    assert_eq!(node.served.address, place);
    assert_eq!(mode(&path), 0o660);
    lives(&mut client(node.clients(), ""));
    assert!(get(node.clients(), "/readyz").starts_with("HTTP/1.1 200"));
    for arguments in [
        ["health", "--timeout", "20", "--config", node.file.path()],
        ["health", "--timeout", "20", "--url", &place],
    ] {
        let (code, out, err) = run(&arguments);
        assert_eq!((code, out.as_str()), (Some(0), "ready\n"), "{err}");
    }
    node.served.signal("TERM");
    assert_eq!(node.served.exit_code(), Some(0));
    assert!(!path.exists());
    let (code, _, err) = run(&["health", "--url", &place]);
    assert_eq!(code, Some(1));
    assert!(err.contains(&place), "{err}");
}

#[test]
fn the_socket_of_a_process_that_was_killed_is_replaced() {
    let node = Node::start(&format!("{CLIENTS}{ANYONE}"));
    let path = node.path("clients.sock");
    // While it runs, nobody takes its place.
    let (code, _, err) = run(&["serve", "--config", node.file.path()]);
    assert_eq!(code, Some(1), "{err}");
    let expected =
        "another process listens on it; stop that process, or choose another path with `listen`";
    assert!(err.contains(expected), "{err}");
    assert!(err.contains(path.to_str().unwrap()), "{err}");
    lives(&mut client(node.clients(), ""));
    // Killed: it removes nothing.
    let Node { file, served } = node;
    drop(served);
    assert!(path.exists());
    let served = Served::start(tieline(&["serve", "--config", file.path()]));
    let node = Node { file, served };
    lives(&mut client(node.clients(), ""));
}

#[test]
fn a_second_signal_leaves_no_socket_behind() {
    let admin = "admin.listen = \"unix:admin.sock\"\n";
    let times = "times.drain_delay = \"60s\"\n";
    let mut node = Node::start(&format!("{CLIENTS}{ANYONE}{admin}{times}"));
    // Once it answers, signals are handled.
    assert!(get(node.clients(), "/readyz").starts_with("HTTP/1.1 200"));
    let paths = ["clients.sock", "admin.sock"].map(|name| node.path(name));
    assert!(paths.iter().all(|path| path.exists()));
    node.served.signal("TERM");
    node.served.line("draining");
    node.served.signal("TERM");
    assert_eq!(node.served.exit_code(), Some(1));
    assert!(paths.iter().all(|path| !path.exists()));
}

#[test]
fn what_is_in_the_way_is_named() {
    let file = ConfigFile::new(&format!("{CLIENTS}{ANYONE}"));
    let path = file.folder.path().join("clients.sock");
    fs::write(&path, "precious").unwrap();
    let (code, _, err) = run(&["serve", "--config", file.path()]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("is no socket; remove the file, or"), "{err}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let none = "unix:none/admin.sock";
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", none];
    let (code, _, err) = run(&arguments);
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains("No such file") && err.contains("--admin-listen"),
        "{err}"
    );
}

#[test]
fn operators_reach_the_admin_api_by_a_unix_socket() {
    let admin = "admin.listen = \"unix:admin.sock?mode=0600\"\n";
    let mut node = Node::start(&format!("{CLIENTS}{ANYONE}{admin}"));
    let line = node.served.line("serving the admin port");
    let path = node.path("admin.sock");
    let place = format!("unix:{}", path.display());
    assert!(line.ends_with(&place), "{line}");
    assert_eq!(mode(&path), 0o600);
    let page = get(connect(&path), "/metrics");
    assert!(page.contains("# EOF"), "{page}");

    let (code, table, err) = run(&["top", "--once", "--admin", &place]);
    assert_eq!(code, Some(0), "{err}");
    assert!(table.contains("serving"), "{table}");
    let mut traced = tieline(&["trace", "--user", "ada", "--admin", &place])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(traced.stdout.take().unwrap()).lines();
    let mut socket = node.clients();
    // What is followed is found also if it comes later.
    let path = "/client/hubs/chat?user=ada";
    let upgraded = ask_on(&mut socket, "localhost", path, "").unwrap();
    assert!(upgraded.starts_with("HTTP/1.1 101"), "{upgraded}");
    let line = lines.find(|line| line.as_ref().unwrap().contains("ada"));
    assert!(line.is_some());
    let _ = traced.kill();
    let _ = traced.wait();

    let (code, out, err) = run(&["drain", "--admin", &place]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.ends_with("drains\n"), "{out}");
    drop(socket);
    assert_eq!(node.served.exit_code(), Some(0));
    let (code, _, err) = run(&["top", "--once", "--admin", &place]);
    assert_eq!(code, Some(1));
    assert!(err.contains(&place), "{err}");
}

/// The status of an upgrade with these headers, by a socket that stays open.
fn upgrade(node: &Node, headers: &str) -> (u16, UnixStream) {
    let mut socket = node.clients();
    let head = ask_on(&mut socket, "localhost", "/client/hubs/chat", headers).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, socket)
}

#[test]
fn limits_of_addresses_hold_for_whom_a_believed_proxy_names() {
    let limits = "limits.max_connections_per_address = 1\nlog.level = \"debug\"\n";
    let header = "X-Forwarded-For: 192.0.2.7\r\n";
    let node = Node::start(&format!("{CLIENTS}{ANYONE}{limits}"));
    let (first, _first) = upgrade(&node, header);
    let (second, _second) = upgrade(&node, header);
    assert_eq!((first, second), (101, 101), "nobody has an address");
    let line = node.served.line("connection accepted");
    assert!(!line.contains("address"), "{line}");

    let believed = "forwarded.from = [\"unix\"]\n";
    let node = Node::start(&format!("{CLIENTS}{ANYONE}{limits}{believed}"));
    let (first, _first) = upgrade(&node, header);
    assert_eq!(first, 101);
    let line = node.served.line("connection accepted");
    assert!(line.contains("address=192.0.2.7"), "{line}");
    assert_eq!(upgrade(&node, header).0, 429);
    let (other, _other) = upgrade(&node, "X-Forwarded-For: 192.0.2.8\r\n");
    assert_eq!(other, 101);

    let announced = "proxy_protocol.from = [\"unix\"]\n";
    let node = Node::start(&format!("{CLIENTS}{ANYONE}{limits}{announced}"));
    let mut socket = node.clients();
    std::io::Write::write_all(&mut socket, b"PROXY TCP4 192.0.2.9 10.0.0.1 4711 80\r\n").unwrap();
    lives(&mut client(socket, header));
    let line = node.served.line("connection accepted");
    assert!(line.contains("address=192.0.2.9:4711"), "{line}");
}

#[test]
fn a_socket_counts_as_public_and_mistakes_are_named() {
    let (code, err) = check(CLIENTS);
    assert_eq!(code, Some(2), "{err}");
    assert!(
        err.contains("impersonate") && err.contains("unix:"),
        "{err}"
    );
    for (settings, named) in [
        ("listen = \"unix:\"", "unix:/PATH"),
        ("listen = \"unix:/a?mode=999\"", "?mode=0660"),
        ("listen = [\"unix:/a\", \"unix:/a?mode=0600\"]", "twice"),
        ("listen = [\"127.0.0.1:80\", \"127.0.0.1:80\"]", "twice"),
        (
            "listen = \"unix:/a\"\nadmin.listen = \"unix:/a\"",
            "a port of their own",
        ),
        ("cluster.listen = \"unix:/a\"", "IP address and port"),
        ("forwarded.from = [\"unix:/a\"]", "or \"unix\""),
    ] {
        let (code, err) = check(&format!("{settings}\n{ANYONE}"));
        assert_eq!(code, Some(2), "{settings}: {err}");
        assert!(err.contains(named), "{settings}: {err}");
    }
    let long = format!("listen = \"unix:/{}\"\n{ANYONE}", "a".repeat(107));
    assert!(check(&long).1.contains("107 bytes"));
}

#[test]
fn systemd_may_hand_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let mut command = Command::new("sh");
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_tieline")])
        .args(["serve", "--anonymous", "--listen", "systemd:clients"])
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "clients")
        .env_remove("TIELINE_KEY")
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stderr(Stdio::piped());
    let mut served = Served::start(command);
    assert_eq!(served.address, format!("unix:{}", path.display()));
    lives(&mut client(connect(&path), ""));
    served.signal("TERM");
    assert_eq!(served.exit_code(), Some(0));
    assert!(path.exists(), "it is systemd's");
}
