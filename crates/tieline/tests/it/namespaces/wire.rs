//! What a peer sends about namespaces, well-formed or not: as bytes on a link.

use std::net::SocketAddr;

use crate::kit::{TestNode, deliver, grpc, memory_registry, run};

#[derive(Clone, PartialEq, prost::Message)]
struct Batch {
    #[prost(message, optional, tag = "1")]
    hello: Option<grpc::Hello>,
    #[prost(message, optional, tag = "5")]
    confirmation: Option<grpc::Confirmation>,
    #[prost(message, repeated, tag = "2")]
    requests: Vec<Request>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, optional, tag = "1")]
    emit: Option<Emit>,
    #[prost(message, optional, tag = "2")]
    multicast: Option<Multicast>,
    #[prost(message, optional, tag = "4")]
    membership: Option<Membership>,
    #[prost(bytes = "vec", tag = "9")]
    namespace: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Emit {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    data: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Multicast {
    #[prost(uint32, tag = "1")]
    scope: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    data: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Membership {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    group: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Answers {
    #[prost(message, repeated, tag = "2")]
    outcomes: Vec<Outcomes>,
    #[prost(message, repeated, tag = "3")]
    responses: Vec<Response>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Outcomes {
    #[prost(uint64, tag = "1")]
    first: u64,
    #[prost(bytes = "vec", tag = "2")]
    codes: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(message, optional, tag = "2")]
    reached: Option<Reached>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Reached {
    #[prost(uint64, tag = "1")]
    delivered: u64,
}

/// Codes of outcomes.
const DELIVERED: u8 = 0;
const NOT_HERE: u8 = 1;
const INVALID: u8 = 7;

fn emit(namespace: &[u8], id: &str) -> Request {
    Request {
        emit: Some(Emit {
            id: id.into(),
            data: "emit".into(),
        }),
        namespace: namespace.to_vec(),
        ..Request::default()
    }
}

/// To a user, with scope 1, or a group, with scope 2; to everyone with 0.
fn multicast(namespace: &[u8], scope: u32, name: &str) -> Request {
    Request {
        multicast: Some(Multicast {
            scope,
            name: name.into(),
            data: "multicast".into(),
        }),
        namespace: namespace.to_vec(),
        ..Request::default()
    }
}

/// Sends requests on a stream of this version; returns a code or a count for each.
async fn send(node: &TestNode, version: u32, requests: Vec<Request>) -> Vec<Result<u64, u8>> {
    let hello = grpc::Hello {
        version,
        oldest: 3,
        process: vec![u8::try_from(version).unwrap(); 16],
        epoch: 1,
        cluster: node.cluster.registry().cluster().to_owned(),
        expected: Vec::new(),
    };
    let expected = requests.len();
    let messages = vec![
        Batch {
            hello: Some(hello),
            ..Batch::default()
        },
        Batch {
            confirmation: Some(grpc::Confirmation { proof: Vec::new() }),
            ..Batch::default()
        },
        Batch {
            requests,
            ..Batch::default()
        },
    ];
    let address: SocketAddr = node.peer_address().parse().unwrap();
    let exchange = "/tieline.link.v1.Link/Exchange";
    let mut stream = grpc::stream::<_, Answers>(address, exchange, messages, None)
        .await
        .unwrap();
    let mut answers = vec![None; expected];
    while answers.contains(&None) {
        let message = stream.message().await.unwrap().unwrap();
        for run in message.outcomes {
            for (number, code) in (run.first..).zip(run.codes) {
                answers[usize::try_from(number).unwrap()] = Some(Err(code));
            }
        }
        for response in message.responses {
            let delivered = response.reached.unwrap_or_default().delivered;
            answers[usize::try_from(response.number).unwrap()] = Some(Ok(delivered));
        }
    }
    answers.into_iter().flatten().collect()
}

#[test]
fn names_that_look_like_keys_reach_nobody_over_a_link() {
    run(async {
        let node = TestNode::start(&memory_registry()).await;
        let mut ada = node.client("ns=chat&id=ada&user=u&groups=g&quiet").await;
        for version in [4, 5] {
            let join = Request {
                membership: Some(Membership {
                    id: "\0chat\0ada".into(),
                    group: "hall".into(),
                }),
                ..Request::default()
            };
            let requests = vec![
                emit(b"", "\0chat\0ada"),
                multicast(b"", 1, "\0chat\0u"),
                multicast(b"", 2, "\0chat\0g"),
                multicast(b"", 0, ""),
                join,
                emit(b"", "ada"),
                emit(b"game", "\0chat\0ada"),
                emit(b"game", "ada"),
            ];
            let expected = [
                Err(NOT_HERE),
                Ok(0),
                Ok(0),
                Ok(0),
                Err(NOT_HERE),
                Err(NOT_HERE),
                Err(NOT_HERE),
                Err(NOT_HERE),
            ];
            assert_eq!(send(&node, version, requests).await, expected);
        }
        deliver(&node.cluster.namespace("chat").unwrap(), "ada", "end").await;
        assert_eq!(ada.text().await, "end");
    });
}

#[test]
fn a_request_is_about_the_namespace_that_it_names() {
    run(async {
        let node = TestNode::start(&memory_registry()).await;
        let mut ada = node.client("ns=chat&id=ada&user=u&groups=g&quiet").await;
        let _default = node.client("id=ada&user=u&groups=g&quiet").await;
        let join = |group: &str| Request {
            membership: Some(Membership {
                id: "ada".into(),
                group: group.into(),
            }),
            namespace: b"chat".to_vec(),
            ..Request::default()
        };
        let requests = vec![
            emit(b"chat", "ada"),
            multicast(b"chat", 1, "u"),
            multicast(b"chat", 2, "g"),
            multicast(b"chat", 0, ""),
            join("hall"),
            join("\0chat\0hall"),
            emit(b"a\0b", "ada"),
            emit(&[0xff], "ada"),
            emit(&[b'x'; 256], "ada"),
        ];
        let expected = [
            Err(DELIVERED),
            Ok(1),
            Ok(1),
            Ok(1),
            Err(DELIVERED),
            Err(INVALID),
            Err(INVALID),
            Err(INVALID),
            Err(INVALID),
        ];
        assert_eq!(send(&node, 5, requests).await, expected);
        for text in ["emit", "multicast", "multicast", "multicast"] {
            assert_eq!(ada.text().await, text);
        }
        let chat = node.node.hub().namespace("chat").unwrap();
        assert_eq!(chat.members("hall").len(), 1);
        assert_eq!(node.node.hub().members("hall").len(), 0);
    });
}
