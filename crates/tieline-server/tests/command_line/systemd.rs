//! Several listeners, the sockets of systemd, and what it is told.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    kit::{DEADLINE, ask_to_upgrade, run, tieline},
    served::{ConfigFile, Served},
};

fn get(address: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn address_in(line: &str) -> String {
    let (_, address) = line.split_once("address=").unwrap();
    address.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_node_listens_on_each_of_several_addresses() {
    let file = ConfigFile::new("listen = [\"127.0.0.1:0\", \"[::1]:0\", \"127.0.0.2:0\"]\n");
    let mut served = Served::start(tieline(&["serve", "--config", file.path()]));
    let others = [(); 2].map(|()| address_in(&served.line("listening")));
    let all = [&[served.address.clone()], &others[..]].concat();
    assert!(
        all[1].starts_with("[::1]:") && all[2].starts_with("127.0.0.2:"),
        "{all:?}"
    );
    for address in &all {
        assert!(get(address).starts_with("HTTP/1.1 200"), "{address}");
    }
    served.signal("TERM");
    assert_eq!(served.exit_code(), Some(0));
    for address in &all {
        assert!(TcpStream::connect(address).is_err(), "{address}");
    }
}

#[test]
fn each_listener_needs_to_be_private_or_protected() {
    let (code, err) = run(&["serve", "--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("refusing to listen on 0.0.0.0:0"), "{err}");
    let (code, err) = run(&["serve", "--listen", "systemd"]);
    assert_eq!(code, Some(2), "{err}");
    let (code, err) = run(&["serve", "--listen", "systemd:", "--anonymous"]);
    assert_eq!(code, Some(2), "{err}");
    let (code, err) = run(&["serve", "--listen", "systemd", "--anonymous"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("socket unit"), "{err}");
}

/// `tieline` with two sockets of systemd, which a shell puts in their places.
fn activated(names: &str, arguments: &[&str]) -> (Command, [String; 2]) {
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = [0, 1].map(|i| sockets[i].local_addr().unwrap().to_string());
    let [first, second] = sockets.map(|socket| Stdio::from(std::os::fd::OwnedFd::from(socket)));
    let mut command = Command::new("sh");
    let script = "exec 3<&0 4<&1 0</dev/null 1>&2; LISTEN_PID=$$ exec \"$0\" \"$@\"";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_tieline")])
        .args(arguments)
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", names)
        .env_remove("TIELINE_KEY")
        .stdin(first)
        .stdout(second)
        .stderr(Stdio::piped());
    (command, addresses)
}

#[test]
fn sockets_of_systemd_are_served_by_name_or_all() {
    let flags = ["serve", "--anonymous", "--listen"];
    let (command, [first, second]) =
        activated("clients:other", &[&flags[..], &["systemd:other"]].concat());
    let served = Served::start_as(command);
    assert_eq!(served.address, second);
    assert!(get(&second).starts_with("HTTP/1.1 200"));
    drop(served);
    drop(first);

    let (command, addresses) = activated("a:a", &[&flags[..], &["systemd,127.0.0.1:0"]].concat());
    let served = Served::start_as(command);
    let second = address_in(&served.line("listening"));
    let own = address_in(&served.line("listening"));
    assert_eq!([&served.address, &second], [&addresses[0], &addresses[1]]);
    for address in [&served.address, &second, &own] {
        assert!(get(address).starts_with("HTTP/1.1 200"), "{address}");
    }

    let (mut command, _) = activated("a:b", &[&flags[..], &["systemd:c"]].concat());
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("\"c\"") && err.contains("FileDescriptorName"),
        "{err}"
    );
}

/// The socket on which systemd listens for what services say.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, folder }
    }

    fn tell(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
    }

    /// The next that is told, but for the watchdog.
    fn next(&self) -> String {
        loop {
            let told = self.any();
            if told != "WATCHDOG=1\n" {
                return told;
            }
        }
    }

    fn any(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self
            .socket
            .recv(&mut buffer)
            .expect("systemd is told something");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }
}

#[test]
fn systemd_is_told_of_each_phase() {
    let file = ConfigFile::new("listen = \"127.0.0.1:0\"\n");
    let manager = Manager::new();
    let mut command = tieline(&["serve", "--config", file.path()]);
    manager.tell(&mut command);
    let mut served = Served::start(command);
    assert!(manager.next().starts_with("READY=1\n"));
    for text in ["listen = \"127.0.0.1:0\"\n", "nonsense = 1\n"] {
        file.write(text);
        served.reload();
        let told = manager.next();
        assert!(told.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told}");
        // A configuration that is not valid changes nothing, so the node serves as before.
        assert!(manager.next().starts_with("READY=1\n"));
    }
    // In a hub of its own, as all clients of the server are.
    let (client, _) = ask_to_upgrade(&served.address, "/client/hubs/chat", "");
    served.signal("TERM");
    let told = manager.next();
    assert_eq!(told.trim_end(), "STOPPING=1\nSTATUS=draining 1 connections");
    served.line("stops immediately connections=1");
    drop(client);
    assert_eq!(served.exit_code(), Some(0));
}

#[test]
fn the_watchdog_is_fed_at_half_its_interval_while_the_node_runs() {
    let file = ConfigFile::new("listen = \"127.0.0.1:0\"\n");
    let manager = Manager::new();
    let mut command = tieline(&["serve", "--config", file.path()]);
    manager.tell(&mut command);
    command.env("WATCHDOG_USEC", "400000");
    let served = Served::start(command);
    let begin = Instant::now();
    for _ in 0..5 {
        while manager.any() != "WATCHDOG=1\n" {}
    }
    // Five make four intervals of 200 ms; the first may have been told before.
    assert!(begin.elapsed().as_millis() >= 600, "{:?}", begin.elapsed());
    served.signal("STOP");
    // What was told before it stopped; then nothing for longer than the interval.
    let patience = Duration::from_millis(500);
    manager.socket.set_read_timeout(Some(patience)).unwrap();
    let stopped = Instant::now();
    while manager.socket.recv(&mut [0; 4096]).is_ok() {
        assert!(
            stopped.elapsed() < DEADLINE,
            "it is fed while the node is stopped"
        );
    }
    served.signal("CONT");
    manager.socket.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(manager.any(), "WATCHDOG=1\n");
}

/// A node whose log nobody reads any more.
struct Unread {
    node: Child,
    address: String,
    log: Option<BufReader<ChildStderr>>,
}

impl Unread {
    /// With two workers, which log much; until it listens.
    fn start(manager: &Manager) -> Self {
        let mut command = tieline(&["serve", "--listen", "127.0.0.1:0", "--log-level", "trace"]);
        manager.tell(&mut command);
        command.env("TOKIO_WORKER_THREADS", "2");
        command.env("WATCHDOG_USEC", "400000");
        let mut node = command.spawn().unwrap();
        let mut log = BufReader::new(node.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening address=") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the node ends");
        }
        let address = address_in(line.trim_end());
        Self {
            node,
            address,
            log: Some(log),
        }
    }

    /// Whether a request is answered soon.
    fn answers(&self) -> bool {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).unwrap();
        matches!(socket.read(&mut [0; 1]), Ok(1))
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

/// Once the pipe of the log is full, a worker that logs waits until somebody reads, and keeps others from logging. The
/// process is there, its threads are not stopped, and only the runtime makes no progress.
#[test]
fn the_watchdog_is_not_fed_while_every_worker_is_stuck() {
    let manager = Manager::new();
    let mut node = Unread::start(&manager);
    let (sender, fed) = sync_channel(1000);
    let socket = manager.socket.try_clone().unwrap();
    // Read all the time, as systemd does: whoever tells something would wait for that, too.
    std::thread::spawn(move || {
        let mut told = [0; 4096];
        while let Ok(length) = socket.recv(&mut told) {
            if &told[..length] == b"WATCHDOG=1\n" {
                let _ = sender.try_send(());
            }
        }
    });
    fed.recv_timeout(DEADLINE).expect("it is fed at first");
    let begin = Instant::now();
    // Each that is not answered has stuck a worker, or waits for one.
    while node.answers() || node.answers() || {
        let _told_before = fed.try_iter().count();
        fed.recv_timeout(Duration::from_secs(1)).is_ok()
    } {
        assert!(begin.elapsed() < DEADLINE, "it is fed, or never stuck");
    }
    assert!(
        node.node.try_wait().unwrap().is_none(),
        "the node has ended"
    );
    assert!(fed.try_recv().is_err());
    // Once the log is read, everything goes on.
    let mut log = node.log.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    fed.recv_timeout(DEADLINE).expect("it is fed again");
}
