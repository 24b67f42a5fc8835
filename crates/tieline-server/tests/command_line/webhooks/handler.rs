//! An event handler that a test controls to the byte.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use crate::kit::DEADLINE;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The name of the event.
    pub(crate) fn event(&self) -> &str {
        self.header("ce-eventname")
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// What a handler does with a request.
pub(crate) enum Reply {
    /// Answers with a status, header lines and a body.
    Http(u16, String, Vec<u8>),
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Sends these bytes again and again, until the other side is gone.
    Endless(Vec<u8>),
    /// Closes without a word.
    Close,
    /// Never answers, and waits until the other side is gone.
    Hang,
}

impl Reply {
    /// 204.
    pub(crate) fn nothing() -> Self {
        Self::Http(204, String::new(), Vec::new())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Http(status, String::new(), b"secret stack trace".to_vec())
    }

    pub(crate) fn of(content_type: &str, body: &str) -> Self {
        let header = format!("Content-Type: {content_type}\r\n");
        Self::Http(200, header, body.into())
    }
}

/// A running handler. Questions whether it takes requests are not among what it has seen.
pub(crate) struct Handler {
    address: SocketAddr,
    seen: Receiver<Seen>,
}

impl Handler {
    /// Answers every event with what `reply` says.
    pub(crate) fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::on(listener, true, reply)
    }

    /// The same, on a port of the test's choice. With `agrees`, it takes requests from everyone; otherwise
    /// `reply` answers that question too.
    pub(crate) fn on(
        listener: TcpListener,
        agrees: bool,
        reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (saw, seen) = sync_channel(100_000);
        let reply = Arc::new(reply);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (saw, reply) = (saw.clone(), Arc::clone(&reply));
                thread::spawn(move || serve(socket.unwrap(), &saw, agrees, &*reply));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request.
    pub(crate) fn next(&self) -> Seen {
        self.seen.recv_timeout(DEADLINE).expect("a request")
    }

    /// The next request, which must be this event.
    pub(crate) fn expect(&self, event: &str) -> Seen {
        let seen = self.next();
        assert_eq!(seen.event(), event, "{seen:?}");
        seen
    }

    /// What has arrived and was not looked at.
    pub(crate) fn rest(&self) -> Vec<Seen> {
        self.seen.try_iter().collect()
    }
}

/// Serves one connection, request by request.
fn serve(
    mut socket: TcpStream,
    saw: &SyncSender<Seen>,
    agrees: bool,
    reply: &(dyn Fn(&Seen) -> Reply + Send + Sync),
) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    while let Some(seen) = read(&mut reader) {
        let asks = seen.method == "OPTIONS";
        let answer = if asks && agrees {
            Reply::Http(200, "WebHook-Allowed-Origin: *\r\n".into(), Vec::new())
        } else {
            // The test may have ended.
            let _ = saw.send(seen.clone());
            reply(&seen)
        };
        match answer {
            Reply::Http(status, headers, body) => {
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n");
                let head = if status == 204 {
                    format!("HTTP/1.1 204 X\r\n{headers}\r\n")
                } else {
                    head
                };
                let _ = socket.write_all(&[head.as_bytes(), &body].concat());
            }
            Reply::Raw(bytes) => {
                let _ = socket.write_all(&bytes);
                return;
            }
            Reply::Endless(bytes) => {
                while socket.write_all(&bytes).is_ok() {}
                return;
            }
            Reply::Close => return,
            Reply::Hang => {
                let _ = reader.read(&mut [0]);
                return;
            }
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ').map(str::to_owned);
    let headers = lines[1..].iter().map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    });
    let headers: BTreeMap<_, _> = headers.collect();
    let length = headers.get("content-length").map_or("0", String::as_str);
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(Seen {
        method: first.next()?,
        path: first.next()?,
        headers,
        body,
    })
}
