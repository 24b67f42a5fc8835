//! Raw clients: sockets, and one poll for all of them.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use mio::{Events, Interest, Poll, Token};

use super::server::Server;

/// The payload of a message: 64 bytes, so that a frame has 66.
pub(crate) const PAYLOAD: [u8; 64] = [b'B'; 64];
pub(crate) const FRAME: usize = PAYLOAD.len() + 2;
const MEASURE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(20);

/// Opens a WebSocket by hand; nothing of it is kept but the socket.
pub(crate) fn open(address: SocketAddr, id: usize) -> Result<TcpStream> {
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

/// What a server did in a second, and what it cost.
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) cpu_micros: f64,
}

/// One broadcast at a time: triggers one, waits until every receiver has it, and again.
pub(crate) fn rate(
    server: &Server,
    receivers: usize,
    open: impl Fn(SocketAddr, usize) -> Result<TcpStream>,
    trigger: impl Fn(&mut TcpStream) -> std::io::Result<()>,
) -> Result<Rate> {
    let mut sockets = (0..receivers)
        .map(|i| open(server.address, i))
        .collect::<Result<Vec<_>>>()?;
    let mut trigger_at = sockets.remove(0);
    // The first is a receiver too.
    let copy = trigger_at.try_clone()?;
    sockets.insert(0, copy);
    let mut crowd = Crowd::new(sockets)?;
    let mut round = || -> Result<()> {
        trigger(&mut trigger_at)?;
        crowd.collect(receivers * FRAME)
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

/// Sockets that are read together.
pub(crate) struct Crowd {
    sockets: Vec<TcpStream>,
    poll: Poll,
    events: Events,
}

impl Crowd {
    pub(crate) fn new(sockets: Vec<TcpStream>) -> Result<Self> {
        let poll = Poll::new()?;
        for (i, socket) in sockets.iter().enumerate() {
            socket.set_nonblocking(true)?;
            let mut source = mio::unix::SourceFd(&std::os::fd::AsRawFd::as_raw_fd(socket));
            poll.registry()
                .register(&mut source, Token(i), Interest::READABLE)?;
        }
        let events = Events::with_capacity(1024);
        Ok(Self {
            sockets,
            poll,
            events,
        })
    }

    /// Waits for bytes, and says how many came on which socket.
    pub(crate) fn read(&mut self) -> Result<Vec<(usize, usize)>> {
        let mut buffer = [0; 4096];
        self.poll.poll(&mut self.events, Some(DEADLINE))?;
        ensure!(!self.events.is_empty(), "what was sent did not arrive");
        let mut came = Vec::new();
        for event in &self.events {
            let Token(i) = event.token();
            let mut bytes = 0;
            loop {
                match self.sockets[i].read(&mut buffer) {
                    Ok(0) => anyhow::bail!("a connection ended"),
                    Ok(n) => bytes += n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                }
            }
            came.push((i, bytes));
        }
        Ok(came)
    }

    /// Reads until `expected` bytes have come in all.
    fn collect(&mut self, mut expected: usize) -> Result<()> {
        while expected > 0 {
            expected -= self.read()?.iter().map(|(_, bytes)| bytes).sum::<usize>();
        }
        Ok(())
    }
}

/// A client's text frame, masked with zeroes.
pub(crate) fn masked(payload: &[u8; 64]) -> Vec<u8> {
    [&[0x81, 0x80 | 64, 0, 0, 0, 0][..], payload].concat()
}

/// The same for a text of at most 125 bytes.
pub(crate) fn text(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("the text is short");
    [&[0x81, 0x80 | length, 0, 0, 0, 0][..], payload].concat()
}
