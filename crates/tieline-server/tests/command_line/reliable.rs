//! The subprotocol whose messages have numbers.

use serde_json::json;

use super::{
    kit::{Client, Server, tieline},
    tokens::{KEY, token},
};

const RELIABLE: &str = "json.reliable.webpubsub.azure.v1";

fn joined(server: &Server, subprotocol: &str) -> Client {
    let mut client = Client::connect(server, "/client/hubs/chat?user=ada", subprotocol);
    let connected = client.text();
    assert!(connected.contains(r#""event":"connected""#), "{connected}");
    // With a token, the client would try to recover the connection, which the server cannot do.
    assert!(!connected.contains("reconnectionToken") && !connected.contains("sequenceId"));
    client.send(r#"{"type":"joinGroup","group":"g","ackId":1}"#);
    assert_eq!(client.text(), r#"{"type":"ack","ackId":1,"success":true}"#);
    client
}

fn send(client: &mut Client, data: u32) {
    let frame = format!(r#"{{"type":"sendToGroup","group":"g","data":{data}}}"#);
    client.send(&frame);
}

fn message(number: u32, data: u32) -> String {
    format!(
        r#"{{"sequenceId":{number},"type":"message","from":"group","group":"g","fromUserId":"ada","dataType":"json","data":{data}}}"#
    )
}

#[test]
fn each_connection_numbers_its_messages_from_one_and_nothing_else() {
    let server = Server::serve(&["serve", "--listen", "127.0.0.1:0"]);
    let mut first = joined(&server, RELIABLE);
    for data in 1..=3 {
        send(&mut first, data);
        assert_eq!(first.text(), message(data, data));
        first.send(r#"{"type":"ping"}"#);
        assert_eq!(first.text(), r#"{"type":"pong"}"#);
    }
    let mut second = joined(&server, "JSON.Reliable.WebPubSub.Azure.V1");
    let mut plain = joined(&server, Client::JSON);
    for data in 4..=6 {
        first.send(r#"{"type":"sequenceAck","sequenceId":2}"#);
        send(&mut second, data);
        assert_eq!(first.text(), message(data, data));
        assert_eq!(second.text(), message(data - 3, data));
        let unnumbered = message(0, data).replace(r#""sequenceId":0,"#, "");
        assert_eq!(plain.text(), unnumbered);
    }
    // A refused operation is no message.
    first.send(r#"{"type":"event","event":"e","ackId":2}"#);
    let failed = first.text();
    assert!(failed.contains(r#""success":false"#) && !failed.contains("sequenceId"));
    first.send_binary(b"{}");
    assert_eq!(first.close_code(), 1003);
}

#[test]
fn a_group_holds_clients_of_all_kinds() {
    let mut command = tieline(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("TIELINE_KEY", KEY);
    let server = Server::start(command, drop);
    let role = "webpubsub.sendToGroup.g";
    let token = token(json!({"sub": "ada", "role": role, "webpubsub.group": "g"}));
    let path = format!("/client/hubs/chat?access_token={token}");
    let mut json = Client::connect(&server, &path, Client::JSON);
    let mut reliable = Client::connect(&server, &path, RELIABLE);
    let mut simple = Client::simple(&server.addresses[0], &path);
    json.text();
    reliable.text();
    send(&mut json, 7);
    assert!(json.text().contains(r#""data":7"#));
    assert_eq!(reliable.text(), message(1, 7));
    assert_eq!(simple.text(), "7");
}
