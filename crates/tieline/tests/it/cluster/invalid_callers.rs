//! Callers of the peer port that are no peers: garbage, silence, messages above the limits.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use tieline::{ClusterConfig, Config};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};
use tonic::Code;

use super::peer_security::{EXCHANGE, assert_nodes_work, pair, peer_port};
use crate::kit::{
    TestNode, Trace,
    grpc::{self, EmitRequest, Frame, Hello, YesNo},
    memory_registry, run, test_config,
};

/// What such callers send; each connection has to end.
fn garbage() -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(3);
    let noise = std::iter::repeat_with(|| random.u8(..))
        .take(100_000)
        .collect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // A frame of the maximal length, without its content.
    let endless = [&preface[..], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat();
    let unknown = [&preface[..], &[0; 9 * 1000]].concat();
    vec![
        noise,
        b"GET / HTTP/1.1\r\nHost: node.test\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: node.test\r\nUpgrade: websocket\r\n\r\n".to_vec(),
        vec![0x16, 3, 1, 2, 0, 1],
        endless,
        unknown,
        preface[..10].to_vec(),
        Vec::new(),
    ]
}

#[test]
fn garbage_on_the_peer_port_is_closed_and_affects_no_node() {
    run(async {
        let nodes = pair(Default::default()).await;
        let address = peer_port(&nodes[0]);
        let callers = garbage()
            .into_iter()
            .cycle()
            .take(200)
            .map(|bytes| async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                // The node may close it before everything is written.
                drop(stream.write_all(&bytes).await);
                let mut answer = Vec::new();
                drop(
                    timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
                        .await
                        .expect("it is closed"),
                );
                assert!(answer.len() < 1024, "{} bytes", answer.len());
            });
        join_all(callers).await;
        assert_nodes_work(&nodes).await;
    });
}

const ROOM_WAS_MADE: [&str; 3] = ["WARN", "refused on the peer port", "the oldest was closed"];

/// Two linked nodes, the first of which has few places for strangers.
async fn pair_with_places(peer_handshakes: usize) -> [TestNode; 2] {
    let registry = memory_registry();
    let few = ClusterConfig {
        peer_handshakes,
        ..test_config()
    };
    let nodes = [
        TestNode::start_with(&registry, Config::default(), few).await,
        TestNode::start(&registry).await,
    ];
    for node in &nodes {
        node.wait_for_links(1).await;
    }
    nodes
}

#[test]
fn silent_strangers_are_bounded_and_closed() {
    run(async {
        let trace = Trace::start();
        let nodes = pair_with_places(4).await;
        let connect = || TcpStream::connect(peer_port(&nodes[0]));
        let mut silent = Vec::new();
        // Each is closed after three seconds, which a slow machine may need for five.
        while trace.count(&ROOM_WAS_MADE) == 0 {
            silent.extend(try_join_all((0..5).map(|_| connect())).await.unwrap());
        }
        assert_nodes_work(&nodes).await;
        for mut stream in silent {
            let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut Vec::new())).await;
            drop(ended.expect("it is closed"));
        }
        assert_eq!(trace.count(&["WARN", "link down"]), 0, "links stay");
    });
}

#[test]
fn a_flood_of_strangers_keeps_no_peer_out() {
    run(async {
        let trace = Trace::start();
        let nodes = pair_with_places(32).await;
        let address = peer_port(&nodes[0]);
        // Ten times as many as there are places for in the two seconds that a silent one may stay.
        let flood = async {
            let mut pause = interval(Duration::from_millis(100));
            pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut held = Vec::new();
            loop {
                pause.tick().await;
                let batch = (0..16).map(|_| TcpStream::connect(address));
                held.extend(try_join_all(batch).await.unwrap());
            }
        };
        let late = async {
            trace.until(&ROOM_WAS_MADE).await;
            let late = TestNode::start(nodes[0].cluster.registry()).await;
            late.wait_for_links(2).await;
            nodes[0].wait_for_links(2).await;
        };
        tokio::select! {
            () = flood => {}
            () = late => {}
        }
        assert_nodes_work(&nodes).await;
    });
}

#[test]
fn messages_above_the_size_limit_are_refused() {
    run(async {
        let nodes = pair(Default::default()).await;
        let channel = grpc::channel(&nodes[0].peer_address());
        let request = EmitRequest {
            id: "ann".into(),
            data: vec![b'x'; 9 << 20],
        };
        let refused =
            grpc::call::<_, YesNo>(channel, "/websocket.Websocket/Emit", request, None).await;
        let status = refused.expect_err("it is larger than a link's queue");
        assert_eq!(status.code(), Code::OutOfRange, "{status}");
        let process = vec![7; 9 << 20];
        let large = Frame {
            hello: Some(Hello {
                process,
                ..Hello::default()
            }),
            confirmation: None,
        };
        let refused =
            grpc::stream::<_, Frame>(peer_port(&nodes[0]), EXCHANGE, vec![large], None).await;
        assert_eq!(refused.expect_err("too large").code(), Code::OutOfRange);
        assert_nodes_work(&nodes).await;
    });
}

#[test]
fn a_stream_without_a_hello_is_ended() {
    run(async {
        let nodes = pair(Default::default()).await;
        let silent = grpc::stream::<Frame, Frame>(peer_port(&nodes[0]), EXCHANGE, Vec::new(), None);
        let ended = timeout(Duration::from_secs(4), silent)
            .await
            .expect("it is ended");
        assert_eq!(
            ended.expect_err("no hello came").code(),
            Code::DeadlineExceeded
        );
        assert_nodes_work(&nodes).await;
    });
}
