//! Measures `yardstick`: what an idle connection costs, and how a broadcast compares to a bare loop of
//! `send` on the same machine in the same minute.
//!
//! ```sh
//! cargo build --release -p tieline --features tls --examples
//! target/release/examples/measure                  # both, as below
//! target/release/examples/measure idle 8000        # connections
//! target/release/examples/measure broadcast 1000 5 # receivers, rounds; then the least ratio
//! ```
//!
//! Exits with 1 where an idle connection costs more than 1,500 bytes, or a broadcast runs at less than
//! half of the bare loop.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "it prints figures, which are not exact"
)]

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mio::{Events, Interest, Poll, Token};

/// The payload of a broadcast: 64 bytes, so that a frame has 66.
const PAYLOAD: [u8; 64] = [b'B'; 64];
const FRAME: usize = PAYLOAD.len() + 2;
const MEASURE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(20);

const MOST_IDLE_BYTES: f64 = 1500.0;
const LEAST_RATIO: f64 = 0.5;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default| arguments.get(i).map_or(Ok(default), |a| a.parse());
    match arguments.first().map(String::as_str) {
        None => {
            check_idle(8000)?;
            check_broadcast(1000, 5, LEAST_RATIO)
        }
        Some("idle") => check_idle(number(1, 8000)?),
        Some("broadcast") => {
            let least = arguments.get(3).map_or(Ok(LEAST_RATIO), |a| a.parse())?;
            check_broadcast(number(1, 1000)?, number(2, 5)?, least)
        }
        Some("floor") => floor(number(1, 1000)?),
        Some(other) => anyhow::bail!("{other:?} is unknown; it is idle or broadcast"),
    }
}

fn check_idle(connections: usize) -> Result<()> {
    let bytes = measure_idle(connections)?;
    println!("idle: {bytes:.0} resident bytes per connection, {connections} connections");
    ensure!(
        bytes <= MOST_IDLE_BYTES,
        "an idle connection costs more than {MOST_IDLE_BYTES} bytes"
    );
    Ok(())
}

fn check_broadcast(receivers: usize, rounds: usize, least: f64) -> Result<()> {
    let ratio = measure_broadcast(receivers, rounds)?;
    ensure!(
        ratio >= least,
        "a broadcast runs at less than {least} of the bare loop"
    );
    Ok(())
}

/// A server process that ends with this value.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts `program`, which says on standard error where it listens.
    fn start(program: &str, arguments: &[&str]) -> Result<Self> {
        let path = std::env::current_exe()?.with_file_name(program);
        let mut child = Command::new(&path)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("cannot start {}; build the examples first", path.display())
            })?;
        let mut line = String::new();
        BufReader::new(child.stderr.take().context("standard error")?).read_line(&mut line)?;
        let address = line.trim().rsplit(' ').next().unwrap_or_default().parse();
        let address = address.with_context(|| format!("{program} said {line:?}"))?;
        Ok(Self { child, address })
    }

    fn yardstick() -> Result<Self> {
        Self::start("yardstick", &["--listen", "127.0.0.1:0"])
    }

    /// Resident memory, in bytes.
    fn resident(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .context("VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0)
    }

    /// Seconds of processor time so far.
    fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat
            .rsplit(") ")
            .next()
            .context("stat")?
            .split(' ')
            .collect::<Vec<_>>();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens a WebSocket by hand; nothing of it is kept but the socket.
fn open(address: SocketAddr, id: usize) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    write!(
        socket,
        "GET /ws?id=client-{id} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    ensure!(
        answer.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(socket)
}

fn measure_idle(connections: usize) -> Result<f64> {
    let server = Server::yardstick()?;
    let warm = open(server.address, usize::MAX)?;
    let before = server.resident()?;
    let sockets = (0..connections)
        .map(|i| open(server.address, i))
        .collect::<Result<Vec<_>>>()?;
    let after = server.resident()?;
    drop((warm, sockets));
    Ok((after - before) / connections as f64)
}

fn measure_broadcast(receivers: usize, rounds: usize) -> Result<f64> {
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let floor = Server::start("measure", &["floor", &receivers.to_string()])?;
        let trigger = |socket: &mut TcpStream| socket.write_all(b"!");
        let bare = rate(
            &floor,
            receivers,
            |address, _| Ok(TcpStream::connect(address)?),
            trigger,
        )?;
        drop(floor);
        let yardstick = Server::yardstick()?;
        let ours = rate(&yardstick, receivers, open, |socket| {
            socket.write_all(&masked(&PAYLOAD))
        })?;
        let ratio = ours.per_second / bare.per_second;
        println!(
            "broadcast to {receivers}: {:.0}/s at {:.2} µs CPU each, bare send {:.0}/s at {:.2} µs: {ratio:.2}",
            ours.per_second, ours.cpu_micros, bare.per_second, bare.cpu_micros
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("broadcast: median {median:.2} of a bare loop of send");
    Ok(median)
}

struct Rate {
    per_second: f64,
    cpu_micros: f64,
}

/// One broadcast at a time: triggers one, waits until every receiver has it, and again.
fn rate(
    server: &Server,
    receivers: usize,
    open: impl Fn(SocketAddr, usize) -> Result<TcpStream>,
    trigger: impl Fn(&mut TcpStream) -> std::io::Result<()>,
) -> Result<Rate> {
    let mut sockets = (0..receivers)
        .map(|i| open(server.address, i))
        .collect::<Result<Vec<_>>>()?;
    let poll = Poll::new()?;
    for (i, socket) in sockets.iter().enumerate() {
        socket.set_nonblocking(true)?;
        let mut source = mio::unix::SourceFd(&std::os::fd::AsRawFd::as_raw_fd(socket));
        poll.registry()
            .register(&mut source, Token(i), Interest::READABLE)?;
    }
    let mut poll = poll;
    let mut round = || -> Result<()> {
        trigger(&mut sockets[0])?;
        collect(&mut poll, &mut sockets, receivers * FRAME)
    };
    for _ in 0..20 {
        round()?;
    }
    let (cpu, begin, mut rounds) = (server.cpu()?, Instant::now(), 0.0);
    while begin.elapsed() < MEASURE {
        round()?;
        rounds += 1.0;
    }
    let deliveries = rounds * receivers as f64;
    Ok(Rate {
        per_second: deliveries / begin.elapsed().as_secs_f64(),
        cpu_micros: (server.cpu()? - cpu) / deliveries * 1e6,
    })
}

/// Reads until `expected` bytes have come in all.
fn collect(poll: &mut Poll, sockets: &mut [TcpStream], mut expected: usize) -> Result<()> {
    let mut events = Events::with_capacity(1024);
    let mut buffer = [0; 4096];
    while expected > 0 {
        poll.poll(&mut events, Some(DEADLINE))?;
        ensure!(!events.is_empty(), "{expected} bytes did not arrive");
        for event in &events {
            loop {
                match sockets[event.token().0].read(&mut buffer) {
                    Ok(0) => anyhow::bail!("a connection ended"),
                    Ok(n) => expected -= n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                }
            }
        }
    }
    Ok(())
}

/// A client's text frame, masked with zeroes.
fn masked(payload: &[u8; 64]) -> Vec<u8> {
    [&[0x81, 0x80 | 64, 0, 0, 0, 0][..], payload].concat()
}

/// The yardstick's yardstick: on each byte of the first client, `send` to every client in a loop.
fn floor(receivers: usize) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    eprintln!("listening on {}", listener.local_addr()?);
    let mut clients = Vec::new();
    for _ in 0..receivers {
        let (client, _) = listener.accept()?;
        client.set_nodelay(true)?;
        clients.push(client);
    }
    let frame = [&[0x81, 64][..], &PAYLOAD].concat();
    let mut byte = [0];
    while clients[0].read(&mut byte)? == 1 {
        for client in &mut clients {
            client.write_all(&frame)?;
        }
    }
    Ok(())
}
