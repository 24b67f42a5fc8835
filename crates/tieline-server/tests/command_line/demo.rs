//! The two nodes of the demo.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use super::kit::{Client, DEADLINE, Server, run};

#[test]
fn each_node_has_a_page_that_links_to_the_others() {
    let mut demo = Server::demo(&["--listen", "127.0.0.1:0"]);
    let all = demo.addresses.join(" ");
    for node in 0..2 {
        let own = &demo.addresses[node];
        let page = demo.get(node, "/");
        assert!(page.contains(&format!(r#"name="tieline-node" content="{own}""#)));
        assert!(page.contains(&format!(r#"name="tieline-nodes" content="{all}""#)));
        assert!(demo.get(node, "/readyz").ends_with("ready\n"));
    }
    demo.signal("INT");
    assert_eq!(demo.exit_code(), Some(0));
}

#[test]
fn the_second_node_listens_on_the_next_port_or_a_free_one() {
    let (first, next) = adjacent_ports();
    let port = first.local_addr().unwrap().port();
    let listen = first.local_addr().unwrap().to_string();
    drop(first);
    let demo = Server::demo(&["--listen", &listen]);
    let second = &demo.addresses[1];
    assert_ne!(*second, format!("127.0.0.1:{}", port + 1), "it is taken");
    drop((demo, next));
    let demo = Server::demo(&["--listen", &listen]);
    assert_eq!(demo.addresses[1], format!("127.0.0.1:{}", port + 1));
}

/// Two adjacent ports.
fn adjacent_ports() -> (TcpListener, TcpListener) {
    let bind = |port| TcpListener::bind(("127.0.0.1", port));
    // Below the range from which the system assigns ports.
    let free = (15_000..20_000).step_by(2).find_map(|port| {
        let both = (bind(port).ok()?, bind(port + 1).ok()?);
        Some(both)
    });
    free.expect("two adjacent free ports")
}

#[test]
fn the_second_address_follows_the_same_rules() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let first = ["demo", "--listen", "127.0.0.1:0", "--second"];
    let (code, stderr) = run(&[&first[..], &[&address]].concat());
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(&address) && stderr.contains("--second"),
        "{stderr}"
    );
    let (code, stderr) = run(&[&first[..], &["0.0.0.0:0"]].concat());
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--anonymous"), "{stderr}");
}

#[test]
fn one_signal_drains_both_nodes_and_a_second_stops_immediately() {
    let mut demo = Server::demo(&["--listen", "127.0.0.1:0"]);
    // They never answer the close frame, so the drain waits for them.
    let mut clients = [demo.connect(0), demo.connect(1)];
    demo.signal("TERM");
    for client in &mut clients {
        let mut byte = [0];
        while byte[0] != 0x88 {
            client.read_exact(&mut byte).unwrap();
        }
    }
    demo.signal("TERM");
    assert_eq!(demo.exit_code(), Some(1));
}

#[test]
fn a_group_holds_clients_of_every_kind_on_both_nodes() {
    let demo = Server::demo(&["--listen", "127.0.0.1:0"]);
    let mut ben = Client::simple(&demo.addresses[1], "/client/hubs/chat?user=ben");
    // A join is acknowledged once the other node knows all groups of this one.
    let [mut ada, mut cid] = [("ada", 0), ("cid", 1)].map(|(user, node)| {
        let path = format!("/client/hubs/chat?user={user}");
        let mut client = Client::connect_to(&demo.addresses[node], &path, Client::JSON);
        client.send(r#"{"type":"joinGroup","group":"lobby","ackId":1}"#);
        while client.text() != r#"{"type":"ack","ackId":1,"success":true}"# {}
        client
    });
    let from_group = |client: &mut Client| loop {
        let text = client.text();
        if text.contains(r#""from":"group""#) {
            return text;
        }
    };
    let envelope = |user: &str, data_type: &str, data: &str| {
        format!(
            r#"{{"type":"message","from":"group","group":"lobby","fromUserId":"{user}","dataType":"{data_type}","data":{data}}}"#
        )
    };
    ben.send("hi");
    assert_eq!(ben.text(), "hi");
    for client in [&mut ada, &mut cid] {
        assert_eq!(from_group(client), envelope("ben", "text", r#""hi""#));
    }
    for (data_type, data, bare) in [
        ("text", r#""hi \"ben\"""#, r#"hi "ben""#),
        ("json", r#"{"a": 1}"#, r#"{"a": 1}"#),
    ] {
        ada.send(&format!(
            r#"{{"type":"sendToGroup","group":"lobby","dataType":"{data_type}","data":{data}}}"#
        ));
        assert_eq!(ben.text(), bare);
        for client in [&mut ada, &mut cid] {
            assert_eq!(from_group(client), envelope("ada", data_type, data));
        }
    }
}

/// Asks as a page does for a token, under this `Host`.
fn negotiate(address: &str, host: &str, user: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!(
        "POST /negotiate?user={user} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Length: 0\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_page_gets_a_token_which_both_nodes_accept() {
    let demo = Server::demo(&["--listen", "127.0.0.1:0"]);
    let address = &demo.addresses[0];
    let answer = negotiate(address, address, "ada%20l");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, token) = answer.split_once(r#"{"token":""#).unwrap();
    let token = token.trim_end_matches("\"}");
    let path = format!("/client/hubs/chat?access_token={token}");
    for node in &demo.addresses {
        let mut client = Client::connect_to(node, &path, Client::JSON);
        assert!(client.text().contains(r#""userId":"ada l""#));
        client.send(r#"{"type":"joinGroup","group":"lobby","ackId":1}"#);
        while client.text() != r#"{"type":"ack","ackId":1,"success":true}"# {}
    }
    // It is for the chat only.
    let other = demo.refused_upgrade(&path.replace("chat", "other"), "");
    assert!(other.starts_with("HTTP/1.1 401"), "{other}");
    // A page of another site whose name was rebound to this machine.
    let foreign = negotiate(address, "evil.example", "ada");
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
}
