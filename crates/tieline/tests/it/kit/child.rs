//! A test in a process of its own: the test binary, run again for that test alone.

use std::{
    io::{BufRead, BufReader, Read},
    process::{self, ChildStdout, Command, Stdio},
};

use tokio::task::spawn_blocking;

/// Set in the child.
const MARK: &str = "TIELINE_TEST_CHILD";

/// What a line for the parent begins with; others are the test harness's.
const PREFIX: &str = "child says: ";

/// Whether this process is the child.
pub(crate) fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Says a line to the parent.
#[expect(clippy::print_stdout, reason = "the pipe to the parent")]
pub(crate) fn say(line: &str) {
    println!("\n{PREFIX}{line}");
}

/// Waits until the parent has dropped its [`Child`], or died.
pub(crate) async fn until_parent_ends() {
    let read = || std::io::stdin().read_to_end(&mut Vec::new());
    spawn_blocking(read).await.unwrap().unwrap();
}

/// A running child; killed when it is dropped.
pub(crate) struct Child(process::Child);

/// Runs the test of this name in a child process.
pub(crate) fn start(test: &str) -> Child {
    Child(command(test).spawn().unwrap())
}

/// What runs the test of this name in a child process, its input and output piped to this one.
pub(crate) fn command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

impl Child {
    /// Suspends it: the kernel keeps its connections, and it does nothing.
    pub(crate) fn stop(&self) {
        tieline_test_servers::process::stop(&self.0);
    }

    /// Resumes it.
    pub(crate) fn resume(&self) {
        let process = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(process, rustix::process::Signal::CONT).unwrap();
    }

    /// The line that the child says; to be called once.
    pub(crate) async fn line(&mut self) -> String {
        let stdout = self.0.stdout.take().expect("it says one line");
        let said = spawn_blocking(|| first_line(&mut BufReader::new(stdout)));
        let said = said.await.unwrap();
        said.expect("the child ended without a word")
    }
}

/// The next line that a child says, on a pipe that stays open.
pub(crate) fn first_line(stdout: &mut BufReader<ChildStdout>) -> Option<String> {
    let lines = stdout.lines().map_while(Result::ok);
    let mut said = lines.filter_map(|line| line.strip_prefix(PREFIX).map(str::to_owned));
    said.next()
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
