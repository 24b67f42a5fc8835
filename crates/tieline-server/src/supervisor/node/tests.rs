//! What an idle client costs the node, in bytes that are allocated for it. The allocator and the pages that it
//! cannot fill come on top: `docs/benchmarks.md` has what the process takes.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use allocation_counter::measure;
use http::HeaderValue;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tieline::{Cluster, Config, Hub, Origins};
use tokio::{
    runtime::{self, Runtime},
    sync::watch,
    task::yield_now,
    time::timeout,
};

use super::*;
use crate::{
    app::{
        access::Access,
        hubs::{HubRules, LiveHubRules, MemberLimits},
        limits::HubLimits,
        role::Roles,
    },
    config::{
        sections::{hub::Anonymous, pusher::AppTable},
        settings::Settings,
    },
    supervisor::{
        listen::bind,
        phase::{DrainHandle, ServingPhase},
    },
    wire::{
        self,
        pusher::{
            self,
            app::{Apps, LiveApps},
            service::Pusher,
            webhooks::{LiveWebhooks, Webhooks},
        },
        webpubsub::upstream::{LiveHandlers, Upstream, settings::UpstreamSettings},
    },
};

mod pusher_clients;

/// The tables of the index have been split by then, and grow in small steps.
const BEFORE: usize = 1_200;
const COUNTED: usize = 1_000;

/// Bytes and blocks per client: its task, its connection, its socket and tokio's part of it, its id, its user and
/// the user's entry in the index, its permissions, and what the wire keeps of it; and a share of three tables.
const MAX_BYTES: u64 = 1_150;
const MAX_BLOCKS: u64 = 9;

const DEADLINE: Duration = Duration::from_secs(30);

/// A node as `tieline serve` starts one, without event handlers, with these apps of Pusher Channels.
async fn start(apps: &[AppTable]) -> SocketAddr {
    let settings = Settings::of_variables(&[]);
    let hubs = settings.hubs;
    let rules = hubs.map(|hub| {
        Arc::new(HubRules {
            access: Access::new(Anonymous::Anyone, Roles::default(), None),
            origins: Origins::Any,
            limits: Arc::new(HubLimits::new(&settings.limits, hub)),
        })
    });
    let handlers = LiveHandlers::new(UpstreamSettings {
        host: HeaderValue::from_static("node.test"),
        keys: Vec::new(),
        handlers: hubs.map(|_| None),
        max_groups: 10,
    });
    let config = Config {
        shards: Some(1),
        // The clients answer none.
        ping_interval: Duration::from_hours(24),
        ..Config::default()
    };
    let (dialects, own) = wire::dialects();
    let cluster = Cluster::single_node(Hub::with_dialects(config, dialects).unwrap());
    let port = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = port.listener.local_addr().unwrap();
    let hubs = Hubs::new(cluster, LiveHubRules::new(rules, BTreeMap::new()));
    let phase = watch::channel(ServingPhase::Serving).0;
    let events = Upstream::new(handlers.unwrap());
    let control = Control::new(phase.subscribe(), DrainHandle::new(phase), None);
    let apps = LiveApps::new(Apps::of(apps, Duration::from_mins(2), MemberLimits::USUAL).unwrap());
    let webhooks = Webhooks::new(LiveWebhooks::new(Vec::new()).unwrap(), apps.clone());
    let pusher = Pusher::new((apps.clone(), webhooks), hubs.clone(), own.pusher);
    let ready = ReadyNode::new(vec![port], events, hubs, control, false);
    let pusher = pusher::routes(&ready.node, pusher, ready.inspector.follows());
    let mut ready = ready.with_apps(apps, pusher);
    tokio::spawn(async move {
        let never = std::future::pending();
        let port = ready.ports.pop().unwrap();
        ready
            .node
            .serve_service(port.listener, ready.router, never)
            .await
    });
    address
}

/// A client of the JSON subprotocol with a user, which has read that it is connected. A plain socket, which
/// allocates nothing.
async fn connect(address: SocketAddr, user: usize) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    write!(
        client,
        "GET /client/hubs/chat?user=client-{user} HTTP/1.1\r\nHost: node.test\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n\r\n"
    )
    .unwrap();
    client.set_nonblocking(true).unwrap();
    let received = read_until(&mut client, "}").await;
    assert!(received.starts_with("HTTP/1.1 101 "), "{received}");
    assert!(received.contains(r#""event":"connected""#), "{received}");
    client
}

/// Reads what the server sends, until this text is there.
async fn read_until(client: &mut TcpStream, expected: &str) -> String {
    let (mut received, mut length) = ([0; 4096], 0);
    loop {
        match client.read(&mut received[length..]) {
            Ok(0) => panic!("the server has closed the connection, or sent more than was expected"),
            Ok(n) => length += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => yield_now().await,
            Err(error) => panic!("{error}"),
        }
        let text = String::from_utf8_lossy(&received[..length]);
        if text.contains(expected) {
            return text.into_owned();
        }
    }
}

/// Both ends of each connection are in this process; shells commonly grant 1,024 descriptors.
fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// One thread: the counts are those of the thread that measures.
fn runtime() -> Runtime {
    raise_descriptor_limit();
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap()
}

#[test]
fn an_idle_client_costs_little() {
    let runtime = runtime();
    let address = runtime.block_on(start(&[]));
    let mut clients = Vec::with_capacity(BEFORE + COUNTED);
    let mut open = |count: usize| {
        for _ in 0..count {
            let user = clients.len();
            let client = async { timeout(DEADLINE, connect(address, user)).await };
            clients.push(runtime.block_on(client).unwrap());
        }
    };
    open(BEFORE);
    let counted = measure(|| open(COUNTED));
    let per_client = |sum: i64| u64::try_from(sum).unwrap() / COUNTED as u64;
    let bytes = per_client(counted.bytes_current);
    let blocks = per_client(counted.count_current);
    assert!(bytes <= MAX_BYTES, "{bytes} bytes in {blocks} blocks");
    assert!(blocks <= MAX_BLOCKS, "{blocks} blocks");
}
