//! The JSON wire against servers that speak it, and against some that do not.

use std::{io, net::TcpStream};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use tieline_bench::{
    outcome::Faults,
    plan::{Plan, Scenario, Wire},
};

use crate::{NoProgress, run, servers};

const CHOSEN: &str = "Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n";

/// A plan in which each connection sends to a group of its own.
fn plan(url: &str, data_type: &str) -> Plan {
    let mut plan = crate::plan(Scenario::Echo, url);
    plan.wire = Wire::Json;
    plan.subprotocol = Some("json.webpubsub.azure.v1".to_owned());
    plan.on_open = vec![r#"{"type":"joinGroup","group":"{id}","ackId":7}"#.to_owned()];
    plan.binary = data_type == "binary";
    plan.send = format!(
        r#"{{"type":"sendToGroup","group":"{{id}}","dataType":"{data_type}","data":"{{payload}}"}}"#
    );
    plan
}

/// The server's side of a connection.
struct Server(TcpStream);

impl Server {
    /// Completes the upgrade and says that the client is connected.
    fn connected(mut socket: TcpStream) -> Self {
        servers::accept_with(&mut socket, CHOSEN, b"");
        let mut server = Self(socket);
        let connected = json!({ "type": "system", "event": "connected", "connectionId": "c" });
        server.say(&connected).unwrap();
        server
    }

    fn say(&mut self, frame: &Value) -> io::Result<()> {
        servers::write(&mut self.0, frame.to_string().as_bytes())
    }

    fn hear(&mut self) -> io::Result<Value> {
        let frame = servers::read(&mut self.0)?;
        Ok(serde_json::from_slice(&frame).unwrap())
    }

    /// Acknowledges a join.
    fn join(&mut self) -> io::Result<()> {
        let join = self.hear()?;
        assert_eq!(join["type"], "joinGroup");
        self.say(&json!({ "type": "ack", "ackId": join["ackId"], "success": true }))
    }

    /// Answers each message with a copy, which `change` may spoil.
    fn echo(&mut self, change: impl Fn(&mut Value)) -> io::Result<()> {
        loop {
            let sent = self.hear()?;
            assert_eq!(sent["type"], "sendToGroup");
            let mut data = sent["data"].as_str().unwrap().to_owned();
            if sent["dataType"] == "binary" {
                // As a server does that has the bytes.
                data = STANDARD.encode(STANDARD.decode(data).unwrap());
            }
            let mut copy = json!({
                "type": "message", "from": "group", "group": sent["group"], "fromUserId": "u",
                "dataType": sent["dataType"], "data": data,
            });
            change(&mut copy);
            self.say(&copy)?;
        }
    }
}

/// Starts a server for connections; yields its URL.
fn start(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> String {
    // The load ends connections while they are served.
    let address = servers::each(move |_, socket| drop(serve(socket)));
    format!("ws://{address}/client/hubs/chat?user={{id}}")
}

fn refused(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> String {
    let plan = plan(&start(serve), "text");
    let refused = tieline_bench::run(&plan, &NoProgress);
    refused.expect_err("nothing opens").to_string()
}

#[test]
fn text_and_binary_data_come_back() {
    let url = start(|socket| {
        let mut server = Server::connected(socket);
        server.join()?;
        server.echo(|_| {})
    });
    for (data_type, size) in [
        ("text", 64),
        ("binary", 64),
        ("binary", 65),
        ("binary", 600),
    ] {
        let mut plan = plan(&url, data_type);
        plan.size = size;
        let outcome = run(&plan);
        assert_eq!(outcome.faults, Faults::default(), "{data_type} {size}");
        assert!(outcome.arrived > 20, "{outcome:?}");
    }
}

#[test]
fn a_connection_is_open_when_its_join_is_acknowledged() {
    let url = start(|socket| {
        let mut server = Server::connected(socket);
        let join = server.hear()?;
        // The pong comes although the opening is not complete.
        servers::write_frame(&mut server.0, 0x89, b"?")?;
        assert_eq!(servers::read(&mut server.0)?, b"?");
        server.say(&json!({ "type": "ack", "ackId": join["ackId"], "success": true }))?;
        server.echo(|_| {})
    });
    let outcome = run(&plan(&url, "text"));
    assert_eq!(outcome.faults, Faults::default());
    assert_eq!(outcome.opening.connections, 10);
}

#[test]
fn a_server_that_does_not_open_is_quoted() {
    let why = refused(|mut socket| {
        servers::accept(&mut socket, b"");
        servers::read(&mut socket).map(drop)
    });
    assert!(why.contains("did not choose the subprotocol"), "{why}");
    let why = refused(|socket| {
        let mut server = Server::connected(socket);
        let join = server.hear()?;
        let error = json!({ "name": "Forbidden", "message": "no role" });
        let ack =
            json!({ "type": "ack", "ackId": join["ackId"], "success": false, "error": error });
        server.say(&ack)?;
        server.hear().map(drop)
    });
    assert!(why.contains("Forbidden: no role"), "{why}");
    let why = refused(|mut socket| {
        servers::accept_with(&mut socket, CHOSEN, b"\x81\x05hello");
        servers::read(&mut socket).map(drop)
    });
    assert!(why.contains("opening is malformed"), "{why}");
    let why = refused(|socket| {
        let mut server = Server::connected(socket);
        servers::write_frame(&mut server.0, 0x88, b"\x03\xf0full")?;
        server.hear().map(drop)
    });
    assert!(why.contains("1008 full"), "{why}");
}

#[test]
fn messages_in_another_shape_do_not_count() {
    let spoil: [fn(&mut Value); 3] = [
        |copy| copy["dataType"] = "json".into(),
        |copy| copy["group"] = "another".into(),
        |copy| copy["data"] = format!("{}x", copy["data"].as_str().unwrap()).into(),
    ];
    for change in spoil {
        let url = start(move |socket| {
            let mut server = Server::connected(socket);
            server.join()?;
            server.echo(change)
        });
        let mut plan = plan(&url, "text");
        (plan.connections, plan.warm_up) = (1, std::time::Duration::ZERO);
        let outcome = run(&plan);
        let unexpected = outcome.faults.unexpected;
        assert!((1..=1_000).contains(&unexpected), "{:?}", outcome.faults);
        // All have come, but the first ones, which are checked, do not count.
        assert!(outcome.arrived + unexpected <= outcome.sent);
        assert_eq!(outcome.faults.lost, 0);
        assert!(!outcome.faults.examples.is_empty());
    }
}

#[test]
fn a_binary_frame_ends_a_connection() {
    let url = start(|socket| {
        let mut server = Server::connected(socket);
        server.join()?;
        let frame = server.hear()?;
        servers::write_frame(&mut server.0, 0x82, frame.to_string().as_bytes())?;
        server.hear().map(drop)
    });
    let outcome = run(&plan(&url, "text"));
    assert_eq!(outcome.faults.ended, 10);
    assert!(
        outcome.faults.examples[0].contains("binary frame"),
        "{:?}",
        outcome.faults
    );
}

#[test]
fn each_client_has_a_token_of_its_own() {
    let key = "0123456789abcdef0123456789abcdef";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, key).unwrap();
    let address = servers::each(|_, mut socket| {
        let request = servers::accept_with(&mut socket, CHOSEN, b"");
        let token = request.split("&access_token=").nth(1).unwrap();
        let claims = token.split(['.', ' ']).nth(1).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let host = request.split("Host: ").nth(1).unwrap();
        let host = host.lines().next().unwrap();
        assert_eq!(claims["aud"], format!("http://{host}/client/hubs/chat"));
        let mut server = Server(socket);
        // A wrong user is not connected, so that the load fails.
        let user = claims["sub"].as_str().unwrap();
        if request.contains(&format!("user={user}&")) {
            let connected = json!({ "type": "system", "event": "connected", "connectionId": "c" });
            let _ = server.say(&connected);
            let _ = server.join().and_then(|()| server.echo(|_| {}));
        }
    });
    let mut plan = plan(
        &format!("ws://{address}/client/hubs/chat?user={{id}}"),
        "text",
    );
    plan.token_key = Some(path);
    let outcome = run(&plan);
    assert_eq!(outcome.faults, Faults::default());
    assert_eq!(outcome.opening.connections, 10);
    assert!(!format!("{outcome:?}").contains(key));
}
