//! A server with its log, and its configuration.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::Duration,
};

use tempfile::TempDir;

use super::kit::DEADLINE;

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
pub(crate) fn output(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A server that may not listen yet.
pub(crate) struct Starting {
    child: Child,
    log: Receiver<String>,
}

impl Starting {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // More lines than a test makes the server log.
        let (sender, log) = sync_channel(1000);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.try_send(line);
            }
        });
        Self { child, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// The next line of its log with this text.
    pub(crate) fn line(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// What is left of the log of a process that ends, and its exit code; `None` if a signal has killed it.
    pub(crate) fn end(&mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        while let Ok(line) = self.log.recv_timeout(DEADLINE) {
            rest += &line;
            rest.push('\n');
        }
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that listens.
pub(crate) struct Served {
    process: Starting,
    pub(crate) address: String,
}

impl Served {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::null());
        Self::start_as(command)
    }

    /// The same with the standard output that the command has.
    pub(crate) fn start_as(command: Command) -> Self {
        let process = Starting::spawn(command);
        let line = process.line("listening");
        let (_, address) = line.split_once("address=").unwrap();
        Self {
            address: address.split(' ').next().unwrap().to_owned(),
            process,
        }
    }

    pub(crate) fn line(&self, text: &str) -> String {
        self.process.line(text)
    }

    /// The next line of its log, if there is one within this time.
    pub(crate) fn line_within(&self, time: Duration) -> Option<String> {
        self.process.log.recv_timeout(time).ok()
    }

    pub(crate) fn reload(&self) {
        self.signal("HUP");
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for the end, without a deadline but that of the test.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.process.child.wait().unwrap().code()
    }

    /// The status of an upgrade.
    pub(crate) fn upgrade(&self, headers: &str) -> u16 {
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
