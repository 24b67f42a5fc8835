//! What an idle client of Pusher Channels costs the node, with its subscription, its share of the channel, and what
//! the registry in memory keeps of it. Where the channel is shared, so is what it costs.

use super::*;
use crate::{config::secret::Secret, wire::pusher::app::App};

fn table() -> AppTable {
    AppTable {
        id: Some("3".into()),
        key: Some("app-key".into()),
        secret: Some(Secret::new("7ad3773142a6692b25b8")),
        ..AppTable::default()
    }
}

/// A client that has read its `socket_id`, and that.
async fn connect_to_app(address: SocketAddr) -> (TcpStream, String) {
    let mut client = TcpStream::connect(address).unwrap();
    write!(
        client,
        "GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: node.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .unwrap();
    client.set_nonblocking(true).unwrap();
    let received = read_until(&mut client, "activity_timeout").await;
    let (_, id) = received.split_once(r#"socket_id\":\""#).unwrap();
    let id = id.split_once('\\').unwrap().0.to_owned();
    (client, id)
}

async fn subscribe((client, id): (&mut TcpStream, &str), app: &App, channel: &str, user: usize) {
    let member = format!(r#"{{"user_id":"client-{user}"}}"#);
    let signature = app.sign(format!("{id}:{channel}:{member}").as_bytes());
    // Public channels need neither a signature nor a member, and ignore them.
    let auth = format!("app-key:{signature}");
    let data = serde_json::json!({ "channel": channel, "auth": auth, "channel_data": member });
    let frame = serde_json::json!({ "event": "pusher:subscribe", "data": data }).to_string();
    let length = u16::try_from(frame.len()).unwrap().to_be_bytes();
    // Masked by zeros.
    let header = [0x81, 0xfe, length[0], length[1], 0, 0, 0, 0];
    client
        .write_all(&[&header, frame.as_bytes()].concat())
        .unwrap();
    read_until(client, "subscription_succeeded").await;
}

/// A client that is subscribed.
async fn subscriber(address: SocketAddr, app: &App, channel: &str, user: usize) -> TcpStream {
    let (mut client, id) = connect_to_app(address).await;
    subscribe((&mut client, &id), app, channel, user).await;
    client
}

/// Waits until every room has been told of all who have come: changes are told in order, so a room that is told of a
/// new one is the last.
async fn told(address: SocketAddr, app: &App, round: usize) -> [TcpStream; 2] {
    let channel = format!("presence-last-{round}");
    let mut first = subscriber(address, app, &channel, 0).await;
    let second = subscriber(address, app, &channel, 1).await;
    read_until(&mut first, "member_added").await;
    [first, second]
}

/// Bytes and blocks per client in presence channels of this many.
fn cost(room: usize) -> (u64, u64) {
    let runtime = runtime();
    let apps = Apps::of(&[table()], Duration::from_mins(2), MemberLimits::USUAL).unwrap();
    let app = apps.by_id("3").unwrap();
    let address = runtime.block_on(start(&[table()]));
    let mut clients = Vec::with_capacity(BEFORE + COUNTED + 4);
    let mut open = |count: usize| {
        for _ in 0..count {
            let user = clients.len();
            let channel = format!("presence-{}", user / room);
            let client = async {
                let client = subscriber(address, app, &channel, user);
                timeout(DEADLINE, client).await
            };
            clients.push(runtime.block_on(client).unwrap());
        }
        let round = clients.len();
        let told = async { timeout(DEADLINE, told(address, app, round)).await };
        clients.extend(runtime.block_on(told).unwrap());
    };
    open(BEFORE);
    let counted = measure(|| open(COUNTED));
    let per_client = |sum: i64| u64::try_from(sum).unwrap() / COUNTED as u64;
    let bytes = per_client(counted.bytes_current);
    (bytes, per_client(counted.count_current))
}

#[test]
fn an_idle_subscriber_costs_little() {
    for (room, most_bytes, most_blocks) in [(1, 2_300, 24), (10, 1_580, 13)] {
        let (bytes, blocks) = cost(room);
        let found = format!("{bytes} bytes in {blocks} blocks, in channels of {room}");
        assert!(bytes <= most_bytes && blocks <= most_blocks, "{found}");
    }
}
