//! A process that is suspended after it has sent its pings closes no client that has answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream};
use tieline::Config;

use super::millis;
use crate::kit::{
    Raw, Server, child,
    raw::{PING, PONG, TEXT},
    run_threads,
};

/// More than the runtime takes from the kernel in one look at the sockets, which is 1,024.
const CLIENTS: usize = 1200;

const NAME: &str = "slow::paused_process::a_pause_closes_no_client_that_has_answered";

fn config() -> Config {
    Config {
        ping_interval: millis(2000),
        ping_timeout: millis(6000),
        message_timeout: millis(6000),
        ..Config::default()
    }
}

#[test]
fn a_pause_closes_no_client_that_has_answered() {
    if child::is_child() {
        return run_threads(2, serve());
    }
    run_threads(2, async {
        let mut child = child::start(NAME);
        let address: SocketAddr = child.line().await.parse().unwrap();
        let all_are_connected = Arc::new(AtomicBool::new(false));
        let mut connecting = stream::iter((0..CLIENTS).map(|i| connect(address, i))).buffered(16);
        let mut clients = Vec::new();
        while let Some(client) = connecting.next().await {
            clients.push(tokio::spawn(last_pinged(
                client,
                Arc::clone(&all_are_connected),
            )));
        }
        all_are_connected.store(true, Ordering::Release);
        // All are pinged, and the process stops before it can read an answer.
        let clients = join_all(clients).await.into_iter();
        let mut clients: Vec<_> = clients.map(Result::unwrap).collect();
        child.stop();
        join_all(clients.iter_mut().map(|client| client.send(PONG, b""))).await;
        tokio::time::sleep(config().ping_timeout + millis(1000)).await;
        child.resume();
        // The next ping proves that the node has judged each of them, and kept it.
        join_all(clients.iter_mut().map(pinged)).await;
        join_all(clients.iter_mut().map(echo)).await;
    });
}

async fn connect(address: SocketAddr, i: usize) -> Raw {
    let (raw, answer) = Raw::open(address, &format!("/?id=c{i}&forget=1"), "").await;
    assert_eq!(answer.status, 101);
    raw
}

async fn pinged(client: &mut Raw) {
    let frame = client.frame().await.expect("the client was cut");
    assert_eq!(frame.opcode, PING, "not a ping: {frame:?}");
}

/// Answers pings until all clients are connected, however long that takes, but not the next one.
async fn last_pinged(mut client: Raw, all_are_connected: Arc<AtomicBool>) -> Raw {
    loop {
        pinged(&mut client).await;
        if all_are_connected.load(Ordering::Acquire) {
            return client;
        }
        client.send(PONG, b"").await;
    }
}

async fn echo(client: &mut Raw) {
    client.send_text("still here").await;
    let frame = client.data().await;
    assert_eq!(
        (frame.opcode, frame.payload),
        (TEXT, b"still here".to_vec())
    );
}

async fn serve() {
    let server = Server::start(config()).await;
    child::say(&server.address.to_string());
    // The parent ends it; a suspended process would not notice the end of its input.
    let limit = Duration::from_mins(1);
    let _ = tokio::time::timeout(limit, child::until_parent_ends()).await;
}
