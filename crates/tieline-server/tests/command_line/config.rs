//! The configuration: its layers by their effect, the commands that explain it, and its reload.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::kit::{DEADLINE, tieline};

/// A file in a folder of its own.
pub(crate) struct ConfigFile {
    pub(crate) folder: TempDir,
    path: PathBuf,
}

impl ConfigFile {
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tieline.toml");
        std::fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    pub(crate) fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// Exit code, standard output and standard error.
fn output(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A server with its log.
pub(crate) struct Served {
    child: std::process::Child,
    pub(crate) address: String,
    log: Receiver<String>,
}

impl Served {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::null());
        Self::start_as(command)
    }

    /// The same with the standard output that the command has.
    pub(crate) fn start_as(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // More lines than a test makes the server log.
        let (sender, log) = sync_channel(1000);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.try_send(line);
            }
        });
        let line = next_line(&log, "listening");
        let (_, address) = line.split_once("address=").unwrap();
        Self {
            child,
            address: address.split(' ').next().unwrap().to_owned(),
            log,
        }
    }

    pub(crate) fn line(&self, text: &str) -> String {
        next_line(&self.log, text)
    }

    pub(crate) fn reload(&self) {
        self.signal("HUP");
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end, without a deadline but that of the test.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// The status of an upgrade.
    fn upgrade(&self, headers: &str) -> u16 {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = format!(
            "GET /client/hubs/chat HTTP/1.1\r\n{headers}Upgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// The next line of a log with this text.
fn next_line(log: &Receiver<String>, text: &str) -> String {
    loop {
        let line = log.recv_timeout(DEADLINE);
        let line = line.unwrap_or_else(|_| panic!("no line with {text:?}"));
        if line.contains(text) {
            return line;
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const FREE_PORT: &str = "listen = \"127.0.0.1:0\"\n";
const FOREIGN_HOST: &str = "Host: example.org\r\n";

/// What the origins of each layer let in.
#[test]
fn flags_go_over_variables_over_the_file() {
    let file = ConfigFile::new(&format!(
        "{FREE_PORT}[hub_defaults]\norigins = [\"https://file.example\"]\n"
    ));
    let serve =
        |arguments: &[&str]| tieline(&[&["serve", "--config", file.path()], arguments].concat());
    let from_file = serve(&[]);
    let mut from_variable = serve(&[]);
    let variable = ("TIELINE_HUB_DEFAULTS__ORIGINS", "https://variable.example");
    from_variable.env(variable.0, variable.1);
    let mut from_flag = serve(&["--origin", "https://flag.example"]);
    from_flag.env(variable.0, variable.1);
    for (command, strongest) in [
        (from_file, "file"),
        (from_variable, "variable"),
        (from_flag, "flag"),
    ] {
        let served = Served::start(command);
        for layer in ["file", "variable", "flag"] {
            let headers = format!("Host: localhost\r\nOrigin: https://{layer}.example\r\n");
            let expected = if layer == strongest { 101 } else { 403 };
            assert_eq!(served.upgrade(&headers), expected, "{layer}, {strongest}");
        }
    }
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let file = ConfigFile::new(&format!("{FREE_PORT}[hub.chat]\nanonymous = \"anyone\"\n"));
    let mut command = tieline(&["serve"]);
    command.env("TIELINE_CONFIG", file.path());
    assert_eq!(Served::start(command).upgrade(FOREIGN_HOST), 101);
}

#[test]
fn the_default_file_passes_the_check() {
    let (code, file, _) = output(tieline(&["config", "default"]));
    assert_eq!(code, Some(0));
    let lines = file.lines().map(|line| match line.strip_prefix('#') {
        Some(option) if option.starts_with(|c: char| c.is_ascii_lowercase()) => option,
        _ => line,
    });
    let uncommented = ConfigFile::new(&lines.collect::<Vec<_>>().join("\n"));
    let (code, out, err) = output(tieline(&["config", "check", uncommented.path()]));
    assert_eq!((code, out.as_str()), (Some(0), "ok\n"), "{err}");
    let values = |arguments: &[&str]| {
        let (code, out, err) = output(tieline(&[&["config", "show"], arguments].concat()));
        assert_eq!(code, Some(0), "{err}");
        let value = |line: &str| line.split_once(" # ").unwrap().0.to_owned();
        out.lines().map(value).collect::<Vec<_>>()
    };
    assert_eq!(values(&["--config", uncommented.path()]), values(&[]));
}

#[test]
fn an_invalid_file_is_explained_before_anything_starts() {
    for (text, expected) in [
        (
            "[limits]\nmax_mesage = \"1k\"\n",
            "did you mean `limits.max_message`?",
        ),
        (
            "[limits]\nmax_outbox = 100\n",
            "tieline.toml:2) is too small for `limits.max_message`: raise it",
        ),
        ("listen = \"0.0.0.0:0\"\n", "`hub_defaults.anonymous`"),
        ("only_listed_hubs = true\n", "[hub.chat]"),
        ("[tls]\ncert = \"a.pem\"\n", "`tls.cert`"),
        (
            "[times]\ndrain_window = \"60s\"\n",
            "`times.drain_timeout` is too small",
        ),
    ] {
        let file = ConfigFile::new(text);
        for arguments in [
            ["config", "check", file.path()].as_slice(),
            &["serve", "--config", file.path()],
        ] {
            let (code, out, err) = output(tieline(arguments));
            assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
            assert!(err.contains(expected) && err.lines().count() == 1, "{err}");
        }
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let file = ConfigFile::new(
        "[times]\ndrain_window = \"60s\"\nping_interval = \"0s\"\n[limits]\nmax_outbox = 100\n\
         max_handshakes = 0\n[hub.chat]\nmax_message = \"1GiB\"\n[tls]\ncert = \"a.pem\"\n[admin]\n\
         listen = \"0.0.0.0:0\"\n",
    );
    let (code, _, err) = output(tieline(&["config", "check", file.path()]));
    assert_eq!(code, Some(2), "{err}");
    for expected in [
        "7 errors in the configuration:",
        "`times.drain_timeout` is too small",
        "`times.ping_interval` (",
        "`limits.max_outbox` (",
        "`limits.max_handshakes` (",
        "`max_message` of `[hub.chat]`",
        "`tls.cert` (",
        "refusing to listen for operators on 0.0.0.0:0",
    ] {
        assert!(err.contains(expected), "{expected}: {err}");
    }
}

#[test]
fn what_cannot_be_read_is_named_and_has_a_code_of_its_own() {
    let file =
        ConfigFile::new("[cluster]\nregistry = \"redis://h\"\nsecret = { file = \"gone\" }\n");
    let gone = file.folder.path().join("gone");
    let (code, _, err) = output(tieline(&["config", "check", file.path()]));
    assert_eq!(code, Some(1), "{err}");
    let names = err.contains(gone.to_str().unwrap()) && err.contains("`cluster.secret`");
    assert!(names, "{err}");
    let tls = ConfigFile::new("[tls]\ncert = \"none.pem\"\nkey = \"none.key\"\n");
    let (code, _, err) = output(tieline(&["config", "check", tls.path()]));
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains("`tls.cert` (") && err.contains("none.pem"),
        "{err}"
    );
    let (code, _, err) = output(tieline(&["serve", "--config", gone.to_str().unwrap()]));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains(gone.to_str().unwrap()), "{err}");
}

#[test]
fn no_secret_is_printed() {
    let file = ConfigFile::new(
        "[cluster]\nregistry = { file = \"url\" }\nsecret = { env = \"A_SECRET\" }\nlisten = \"127.0.0.1:0\"\n",
    );
    let write = |name: &str, text: &str| {
        std::fs::write(file.folder.path().join(name), text).unwrap();
    };
    write("url", "redis://me:hunter2@127.0.0.1:1\n");
    let command = |arguments: &[&str]| {
        let mut command = tieline(arguments);
        command.env("A_SECRET", "hunter2-secret");
        output(command)
    };
    let (code, out, err) = command(&["config", "show", "--config", file.path()]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("cluster.registry = \"redis://127.0.0.1:1\"")
            && out.contains("cluster.secret = \"***\""),
        "{out}"
    );
    assert!(!out.contains("hunter2"), "{out}");
    // The registry cannot be reached, the URL is none, the secret has a space.
    let serve = ["serve", "--config", file.path(), "--listen", "127.0.0.1:0"];
    let unreachable = command(&serve);
    write("url", "mysql://me:hunter2@127.0.0.1:1\n");
    let no_url = command(&serve);
    let spaced = command(
        &[
            &serve[..],
            &[
                "--registry",
                "redis://:hunter2@h",
                "--peer-secret",
                "hunter2 x",
            ],
        ]
        .concat(),
    );
    for (_, out, err) in [&unreachable, &no_url, &spaced] {
        assert!(
            !err.is_empty() && !err.contains("hunter2") && !out.contains("hunter2"),
            "{err}"
        );
    }
    assert!(
        unreachable.2.contains("redis://127.0.0.1:1"),
        "{}",
        unreachable.2
    );
}

#[test]
fn sighup_applies_what_can_change_and_names_what_cannot() {
    let file = ConfigFile::new(FREE_PORT);
    let served = Served::start(tieline(&["serve", "--config", file.path()]));
    assert_eq!(served.upgrade(FOREIGN_HOST), 403);

    let anyone = "[hub.chat]\nanonymous = \"anyone\"\n[log]\nlevel = \"info,tieline::hub=debug\"\n";
    file.write(&format!("{FREE_PORT}[limits]\nmax_groups = 5\n{anyone}"));
    served.reload();
    let line = served.line("configuration reloaded");
    assert!(
        line.contains("applied=\"log.level, hub.chat.anonymous\""),
        "{line}"
    );
    let line = served.line("need a restart");
    assert!(line.contains("changed=\"limits.max_groups\""), "{line}");
    assert_eq!(served.upgrade(FOREIGN_HOST), 101);

    // All of it is read, and none of it applied.
    file.write(&format!(
        "{FREE_PORT}[hub.chat]\nanonymous = \"never\"\n[limits]\nmax_mesage = 5\n"
    ));
    served.reload();
    let line = served.line("not reloaded");
    assert!(
        line.contains("did you mean `limits.max_message`?"),
        "{line}"
    );
    assert_eq!(served.upgrade(FOREIGN_HOST), 101);

    file.write(FREE_PORT);
    served.reload();
    let line = served.line("configuration reloaded");
    assert!(line.contains("hub.chat.anonymous"), "{line}");
    assert_eq!(served.upgrade(FOREIGN_HOST), 403);
}

#[test]
fn the_log_level_changes_while_the_node_runs() {
    let file = ConfigFile::new(&format!("{FREE_PORT}[log]\nlevel = \"info\"\n"));
    let served = Served::start(tieline(&["serve", "--config", file.path()]));
    file.write(&format!("{FREE_PORT}[log]\nlevel = \"debug\"\n"));
    served.reload();
    served.line("configuration reloaded");
    // At this level, the end of a connection is logged. The report came before the level.
    let begin = Instant::now();
    let mut lines = String::new();
    while !lines.contains("DEBUG") {
        assert!(begin.elapsed() < DEADLINE, "{lines}");
        assert_eq!(served.upgrade("Host: localhost\r\n"), 101);
        lines += &served
            .log
            .recv_timeout(Duration::from_millis(100))
            .unwrap_or_default();
    }
    file.write(&format!("{FREE_PORT}[log]\nlevel = \"error\"\n"));
    served.reload();
    served.line("configuration reloaded");
    // From here on no report is logged, until the level that shows it.
    file.write(&format!("{FREE_PORT}[log]\nlevel = \"warn\"\n"));
    served.reload();
    file.write(&format!("{FREE_PORT}[log]\nlevel = \"loud\"\n"));
    served.reload();
    let line = served.line("not reloaded");
    assert!(line.contains("expected a level"), "{line}");
}
