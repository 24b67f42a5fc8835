//! The admin API of one node, asked about the clients of another.

mod answers;
mod commands;
mod follow;
mod writes;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use serde_json::Value;
use tieline_test_servers::redis::Redis;

use super::{Node, get};
use crate::kit::{Client, DEADLINE};

/// Two nodes of a cluster. Operators ask the first, and clients are on the second.
struct Nodes {
    first: Node,
    second: Node,
    redis: Redis,
}

impl Nodes {
    /// Returns when both answer the first.
    fn start(flags: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let redis = runtime.block_on(Redis::start());
        let url = redis.url();
        let node = || {
            let cluster = ["--registry", &url, "--peers-listen", "127.0.0.1:0"];
            let admin = ["--admin-listen", "127.0.0.1:0"];
            Node::serve(&[&cluster[..], &admin, flags].concat())
        };
        let nodes = Self {
            first: node(),
            second: node(),
            redis,
        };
        nodes.eventually("/api/nodes", |answer| {
            list(answer, "nodes").len() == 2 && list(answer, "missed").is_empty()
        });
        nodes
    }

    /// What the API of the first node answers.
    fn ask(&self, path: &str) -> Value {
        let (status, answer) = parse(&get(&self.first.admin, path, ""));
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The answer, once it satisfies a condition.
    fn eventually(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let answer = self.ask(path);
            if holds(&answer) {
                return answer;
            }
            assert!(begin.elapsed() < DEADLINE, "{answer}");
        }
    }

    /// Posts until the answer is this one: a new registry could be one that has lost its entries, so that who is not
    /// there is not known at first.
    fn eventually_posts(&self, path: &str, body: &str, expected: &Value) {
        let begin = Instant::now();
        while post(&self.first.admin, path, body).1 != *expected {
            assert!(begin.elapsed() < DEADLINE, "never {expected}");
        }
    }

    /// The address of the second node.
    fn other(&self) -> String {
        let nodes = self.ask("/api/nodes");
        let nodes = list(&nodes, "nodes").iter();
        let other = { nodes }.find(|node| node["is_self"] == false).unwrap();
        other["address"].as_str().unwrap().to_owned()
    }

    /// A client of the second node in the hub `chat`, and its id.
    fn client(&self, user: &str) -> (Client, String) {
        let path = format!("/client/hubs/chat?user={user}");
        let mut client = Client::connect(&self.second.server, &path, Client::JSON);
        let connected: Value = serde_json::from_str(&client.text()).unwrap();
        (
            client,
            connected["connectionId"].as_str().unwrap().to_owned(),
        )
    }
}

/// A list of an answer.
fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().unwrap()
}

/// The status and the JSON of a response.
fn parse(response: &str) -> (u16, Value) {
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("content-type: application/json"),
        "{response}"
    );
    assert!(head.contains("cache-control: no-store"), "{response}");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn post(admin: &str, path: &str, body: &str) -> (u16, Value) {
    post_as(admin, path, "application/json", body)
}

fn post_as(admin: &str, path: &str, media_type: &str, body: &str) -> (u16, Value) {
    let mut socket = TcpStream::connect(admin).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).unwrap();
    parse(&response)
}
