//! A handler that hears of a client adds it to a group by a request to another node.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::json;
use tieline_test_servers::redis::Redis;

use super::{DEADLINE, JsonClient, Server, call, eventually, post, serve};
use crate::webhooks::handler::{Handler, Reply};

/// Clients that are connected at a time: so few that they fit the usual limit of 1,024 file descriptors.
const WAVE: usize = 250;
const WAVES: usize = 4;
/// Requests under way at a time, and clients that connect at a time.
const WORKERS: usize = 8;
/// How long nothing may be announced, at least.
const STALL: Duration = Duration::from_millis(200);

/// Two nodes that know each other. Clients of the first are reported to a handler, which asks the second.
struct Nodes {
    here: Server,
    there: Server,
    reported: Mutex<Receiver<String>>,
    /// Between the first node and the registry.
    gate: Arc<Mutex<()>>,
    _redis: Redis,
}

impl Nodes {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let redis = runtime.block_on(Redis::start());
        let (report, reported) = sync_channel(WAVE);
        let handler = Handler::start(move |seen| {
            if seen.event() == "connected" {
                // The test may have ended.
                let _ = report.send(seen.header("ce-connectionid").to_owned());
            }
            Reply::nothing()
        });
        let gate = Arc::default();
        let gated = registry_behind(&gate, redis.url().trim_start_matches("redis://").to_owned());
        let node = |registry: &str, flags: &[&str]| {
            let cluster = ["--registry", registry, "--peers-listen", "127.0.0.1:0"];
            serve(&[&cluster[..], flags].concat())
        };
        let nodes = Self {
            there: node(&redis.url(), &[]),
            here: node(&gated, &["--event-handler", &handler.url("/eventhandler")]),
            reported: Mutex::new(reported),
            gate,
            _redis: redis,
        };
        let first = JsonClient::connect(&nodes.here, json!({"sub": "first"}));
        eventually("the nodes know each other", || {
            call(&nodes.there, "HEAD", "/users/first").status == 200
        });
        assert_eq!(nodes.reported(), first.id);
        // A new registry could be one that has lost its entries: who is not there is not known at first.
        eventually("the registry knows who is not there", || {
            call(&nodes.there, "HEAD", "/connections/none").status == 404
        });
        nodes
    }

    /// The next client that the handler hears of.
    fn reported(&self) -> String {
        let reported = self.reported.lock();
        reported
            .recv_timeout(DEADLINE)
            .expect("a client is reported")
    }
}

#[test]
fn a_thousand_joins_on_another_node_succeed_when_the_handler_hears_of_the_client() {
    let nodes = Nodes::start();
    let mut statuses = BTreeMap::new();
    for wave in 0..WAVES {
        let group = format!("wave-{wave}");
        let mut clients = connect_and_join(&nodes, &group, &mut statuses);
        assert_eq!(statuses, BTreeMap::from([(200, WAVE * (wave + 1))]));
        let path = format!("/groups/{group}/:send");
        eventually("a message to the group reaches all of them", || {
            let sent = post(&nodes.there, &path, "text/plain", "x");
            sent.reach() == [&*WAVE.to_string(), "0", "0"]
        });
        for client in &mut clients {
            assert_eq!(client.next()["group"], *group);
        }
    }
}

#[test]
fn a_client_that_the_registry_does_not_have_yet_is_not_announced() {
    let nodes = Nodes::start();
    let path = |client: &JsonClient| format!("/groups/g/connections/{}", client.id);
    let stalled = nodes.gate.lock();
    // It is let in without a verdict on its claim.
    let client = JsonClient::connect(&nodes.here, json!({"sub": "ada"}));
    assert_eq!(added(&nodes.there, &path(&client)), 404);
    let early = nodes.reported.lock().recv_timeout(STALL);
    early.expect_err("it is announced, but other nodes take it for offline");
    drop(stalled);
    assert_eq!(nodes.reported(), client.id);
    assert_eq!(added(&nodes.there, &path(&client)), 200);
}

/// Stands between a node and its registry. Nothing gets through to the registry while the gate is locked.
fn registry_behind(gate: &Arc<Mutex<()>>, registry: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Arc::clone(gate);
    thread::spawn(move || {
        for node in listener.incoming() {
            let mut node = node.unwrap();
            let Ok(mut redis) = TcpStream::connect(&registry) else {
                continue;
            };
            let (mut from_redis, mut to_node) =
                (redis.try_clone().unwrap(), node.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from_redis, &mut to_node));
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(1..) = node.peek(&mut bytes) {
                    drop(gate.lock());
                    let length = node.read(&mut bytes).unwrap();
                    redis.write_all(&bytes[..length]).unwrap();
                }
                let _ = redis.shutdown(Shutdown::Both);
            });
        }
    });
    format!("redis://{address}")
}

/// The status of a PUT. As the SDKs do, it repeats a request that got 503: on a machine that stands still for a
/// second, a node cannot know what has become of it.
fn added(there: &Server, path: &str) -> u16 {
    let begin = Instant::now();
    loop {
        let status = call(there, "PUT", path).status;
        if status != 503 || begin.elapsed() > DEADLINE {
            return status;
        }
    }
}

/// Connects a wave of clients to one node, while each that is reported is added to the group on the other.
/// Returns the clients, and counts the statuses.
fn connect_and_join(
    nodes: &Nodes,
    group: &str,
    statuses: &mut BTreeMap<u16, usize>,
) -> Vec<JsonClient> {
    thread::scope(|scope| {
        let share = |worker| (worker..WAVE).step_by(WORKERS);
        let workers = (0..WORKERS).map(|worker| {
            let connect = move || {
                let client =
                    |n| JsonClient::connect(&nodes.here, json!({"sub": format!("{group}-{n}")}));
                share(worker).map(client).collect::<Vec<_>>()
            };
            let join = move || {
                let add = |_| {
                    let id = nodes.reported();
                    added(&nodes.there, &format!("/groups/{group}/connections/{id}"))
                };
                share(worker).map(add).collect::<Vec<_>>()
            };
            (scope.spawn(connect), scope.spawn(join))
        });
        let workers: Vec<_> = workers.collect();
        let mut clients = Vec::new();
        for (connecting, joining) in workers {
            clients.extend(connecting.join().unwrap());
            for status in joining.join().unwrap() {
                *statuses.entry(status).or_default() += 1;
            }
        }
        clients
    })
}
