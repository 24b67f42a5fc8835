//! A node and its clients, all on one thread.
//!
//! Owns a runtime that runs only while a test waits for the node, and clients that are plain blocking
//! sockets: between two waits nothing happens, so that only the node's work is counted or timed. Must not know
//! what is measured. Also used by the benchmarks.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use tieline::{
    Accept, ClientId, CloseReason, Config, Connection, Dialect, DialectId, Dialects, Frame,
    Handler, Hub, Listener, Message, Node, Note, Numbering, Refusal, UpgradeRequest,
};
use tokio::{net::TcpSocket, runtime::Runtime, sync::Notify};

/// What the handler does with a message.
pub(crate) type OnMessage = fn(&Connection, Message);

pub(crate) struct Harness {
    pub(crate) hub: Hub,
    pub(crate) events: Arc<Events>,
    runtime: Runtime,
    address: SocketAddr,
    buffers: Option<u32>,
}

/// Counts the handler's events: connects, messages, disconnects.
#[derive(Default)]
pub(crate) struct Events {
    count: AtomicUsize,
    notify: Notify,
}

struct Script {
    on_message: OnMessage,
    events: Arc<Events>,
}

impl Harness {
    /// A node, of one shard unless `config` has more. The kernel keeps about `buffers` bytes at each end of a
    /// connection, or as many as it likes.
    ///
    /// Its clients read when a test wants them to, and answer no pings, so it sends none: on a busy machine a
    /// test may take longer than the usual interval and timeout.
    pub(crate) fn start(on_message: OnMessage, config: Config, buffers: Option<u32>) -> Self {
        raise_descriptor_limit();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        let config = Config {
            shards: config.shards.or(Some(1)),
            ping_interval: Duration::from_hours(24),
            ..config
        };
        let events = Arc::<Events>::default();
        let script = Script {
            on_message,
            events: Arc::clone(&events),
        };
        let (hub, address) = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            if let Some(bytes) = buffers {
                socket.set_send_buffer_size(bytes).unwrap();
            }
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = Listener::from_tcp(socket.listen(1024).unwrap());
            let address = listener.local_addr().unwrap();
            let (dialects, ids) = dialects();
            let hub = Hub::with_dialects(config, dialects).unwrap();
            let node = Node::new(hub.clone(), script);
            tokio::spawn(async move {
                let authorize =
                    move |request| std::future::ready(Ok::<_, Refusal>(accept(&request, ids)));
                node.serve(listener, authorize, std::future::pending())
                    .await
            });
            (hub, address)
        });
        Self {
            hub,
            events,
            runtime,
            address,
            buffers,
        }
    }

    /// Runs the node until this future is ready.
    pub(crate) fn run<T>(&self, until: impl Future<Output = T>) -> T {
        self.runtime.block_on(until)
    }

    /// Runs the node until its handler has seen this many more events.
    pub(crate) fn run_for(&self, events: usize) {
        self.run(self.events.more(events));
    }

    /// A client, by the query and further headers of its request.
    pub(crate) fn client(&self, query: &str, headers: &str) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(bytes) = self.buffers {
            socket.set_recv_buffer_size(bytes as usize).unwrap();
        }
        socket.connect(&self.address.into()).unwrap();
        let mut client = TcpStream::from(socket);
        client.set_nodelay(true).unwrap();
        write!(
            client,
            "GET /?{query} HTTP/1.1\r\nHost: node.test\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n{headers}\r\n"
        )
        .unwrap();
        self.run_for(1);
        let mut response = Vec::new();
        let mut byte = [0];
        while !response.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte).unwrap();
            response.push(byte[0]);
        }
        assert!(response.starts_with(b"HTTP/1.1 101 "));
        client
    }
}

impl Events {
    /// Records an event.
    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// Waits for this many events, and forgets them.
    pub(crate) async fn more(&self, count: usize) {
        while self.count.load(Ordering::Acquire) < count {
            self.notify.notified().await;
        }
        self.count.fetch_sub(count, Ordering::AcqRel);
    }
}

impl Handler for Script {
    type State = ();

    async fn on_connect(&self, _: &Connection, (): &mut ()) {
        self.events.add();
    }

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        (self.on_message)(connection, message);
        self.events.add();
    }

    async fn on_disconnect(&self, _: &Connection, (): &mut (), _: CloseReason) {
        self.events.add();
    }
}

/// Renders text as JSON.
struct Json(Numbering);

impl Dialect for Json {
    fn render(&self, note: &Note) -> Option<Frame> {
        let text = note.as_text()?;
        Some(Frame::text(format!(r#"{{"text":"{text}"}}"#)))
    }

    fn numbering(&self) -> Numbering {
        self.0
    }
}

/// The dialects of a query's `dialect`, from 0: plain, JSON twice, and JSON with numbers.
fn dialects() -> (Dialects, [DialectId; 4]) {
    let mut dialects = Dialects::new();
    let others = [Numbering::None, Numbering::None, Numbering::Member("n")];
    let [json, other, numbered] = others.map(|numbering| dialects.add(Json(numbering)));
    (dialects, [DialectId::PLAIN, json, other, numbered])
}

fn accept(request: &UpgradeRequest, dialects: [DialectId; 4]) -> Accept<()> {
    let id = request.query("id").unwrap();
    let mut accept = Accept::new(()).id(ClientId::new(id).unwrap());
    if let Some(user) = request.query("user") {
        accept = accept.user(user);
    }
    if let Some(group) = request.query("group") {
        accept = accept.group(group);
    }
    if let Some(dialect) = request.query("dialect") {
        accept = accept.dialect(dialects[dialect.parse::<usize>().unwrap()]);
    }
    accept
}

/// A masked frame of less than 126 bytes; the opcode is 1 for text, 2 for binary.
pub(crate) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126, "a short frame");
    let mut bytes = vec![0x80 | opcode, 0x80 | length];
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

/// Shells commonly grant 1,024 descriptors.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}
