//! How many requests backends may make, of each wire, and what an address may get wrong.

use std::time::Instant;

use tempfile::TempDir;

use super::Limited;
use crate::{
    aws::request::{self as aws, with_keys},
    kit::DEADLINE,
    pusher_http::request as pusher,
    rest,
    tokens::KEY,
};

/// What a backend is told.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// When to come again, in seconds.
    fn retry_after(&self) -> u64 {
        let (_, after) = self.head.split_once("retry-after: ").expect(&self.head);
        after.lines().next().unwrap().parse().unwrap()
    }
}

/// A wire: how it asks something of a hub or app, with good and bad credentials, and what it is told beyond a limit.
struct Backend {
    ask: fn(&Limited, hub: Hub, is_authorized: bool) -> Answer,
    is_too_many: fn(&Answer) -> bool,
    /// The status of bad credentials.
    unauthorized: u16,
}

#[derive(Clone, Copy)]
enum Hub {
    /// Which is limited.
    Chat,
    Other,
}

const BACKENDS: [Backend; 3] = [
    Backend {
        ask: |limited, hub, is_authorized| {
            let path = match hub {
                Hub::Chat => "/api/hubs/chat/users/ada",
                Hub::Other => "/api/hubs/other/users/ada",
            };
            let rest::Response { status, head, body } = match (hub, is_authorized) {
                (Hub::Chat, true) => rest::request(&limited.server, "HEAD", "/users/ada", "", b""),
                (Hub::Other, true) => {
                    let token = rest::token_for(&limited.server, path);
                    rest::raw(&limited.server, "HEAD", path, &token, b"")
                }
                (_, false) => rest::raw(&limited.server, "HEAD", path, "", b""),
            };
            Answer { status, head, body }
        },
        is_too_many: |answer| {
            answer
                .head
                .contains("x-ms-error-code: Error.TooManyRequests")
                && (answer.body.is_empty() || answer.body.contains(r#""code":"Error.TooMany"#))
        },
        unauthorized: 401,
    },
    Backend {
        ask: |limited, hub, is_authorized| {
            let path = match hub {
                Hub::Chat => "/apps/3/channels",
                Hub::Other => "/apps/5/channels",
            };
            let mut request = pusher::Request::get(path, "");
            request.key = match hub {
                Hub::Chat => pusher::KEY,
                Hub::Other => "k5",
            };
            if !is_authorized {
                request.secret = "wrong";
            }
            let pusher::Response { status, head, body } = request.send(limited.address());
            Answer { status, head, body }
        },
        is_too_many: |answer| answer.body.starts_with("too many requests"),
        unauthorized: 401,
    },
    Backend {
        ask: |limited, hub, is_authorized| {
            let mut request = aws::Request::new("GET", "none", b"");
            if matches!(hub, Hub::Other) {
                request.path = "/other/@connections/none".into();
            }
            if !is_authorized {
                request.secret = "wrong";
            }
            let aws::Response { status, head, body } = request.send(limited.address());
            Answer { status, head, body }
        },
        is_too_many: |answer| {
            answer
                .head
                .contains("x-amzn-errortype: LimitExceededException")
                && answer.body.contains(r#""__type":"LimitExceededException""#)
        },
        unauthorized: 403,
    },
];

/// A server with the credentials of all wires. The app 3 shares the hub `chat`.
fn serve(tables: &str, options: &[(&str, &str)]) -> (Limited, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let secret = "secret = { file = \"secret\" }";
    std::fs::write(folder.path().join("secret"), pusher::SECRET).unwrap();
    let file = format!(
        "[[pusher.app]]\nid = \"3\"\nkey = \"{}\"\n{secret}\nhub = \"chat\"\n{tables}\n\
         [[pusher.app]]\nid = \"5\"\nkey = \"k5\"\n{secret}\n",
        pusher::KEY
    );
    let path = folder.path().join("t.toml");
    std::fs::write(&path, file).unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--config"];
    let mut command = with_keys(&[&arguments[..], &[path.to_str().unwrap()]].concat());
    command.env("TIELINE_KEY", KEY);
    (Limited::start(command, options), folder)
}

/// Asks until it is told that there were too many; returns how many were not, and the refusal.
fn use_up(limited: &Limited, backend: &Backend, is_authorized: bool) -> (u64, Answer) {
    let begun = Instant::now();
    let mut answered = 0;
    loop {
        let answer = (backend.ask)(limited, Hub::Chat, is_authorized);
        if answer.status == 429 {
            assert!((backend.is_too_many)(&answer), "{answer:?}");
            let most = 20 + begun.elapsed().as_secs() + 1;
            assert!((20..=most).contains(&answered), "{answered}");
            return (answered, answer);
        }
        let is_refused = answer.status == backend.unauthorized;
        assert_eq!(is_refused, !is_authorized, "{answer:?}");
        answered += 1;
    }
}

fn eventually_answered(limited: &Limited, backend: &Backend) {
    let begun = Instant::now();
    while (backend.ask)(limited, Hub::Chat, true).status == 429 {
        assert!(begun.elapsed() < DEADLINE);
    }
}

#[test]
fn requests_beyond_the_rate_of_a_hub_get_429_as_each_wire_says_it() {
    for backend in &BACKENDS {
        let options = [
            ("hub.chat.max_request_rate", "1"),
            ("limits.rate_burst", "20s"),
        ];
        let (limited, _folder) = serve("", &options);
        // What is not authorized takes nothing.
        for _ in 0..30 {
            let answer = (backend.ask)(&limited, Hub::Chat, false);
            assert_eq!(answer.status, backend.unauthorized, "{answer:?}");
        }
        let (_, refusal) = use_up(&limited, backend, true);
        assert_eq!(refusal.retry_after(), 1);
        // All wires share what the hub may have, and other hubs have their own.
        for backend in &BACKENDS {
            assert_ne!((backend.ask)(&limited, Hub::Other, true).status, 429);
        }
        limited.logged(r#"scope="hub" limit="requests" action="refused" who=hub chat"#);
        eventually_answered(&limited, backend);
    }
}

#[test]
fn an_app_may_have_a_rate_of_its_own() {
    let (limited, _folder) = serve("max_request_rate = 1", &[("limits.rate_burst", "20s")]);
    let [webpubsub, pusher, aws] = &BACKENDS;
    use_up(&limited, pusher, true);
    for other in [webpubsub, aws] {
        assert_ne!((other.ask)(&limited, Hub::Chat, true).status, 429);
    }
    assert_ne!((pusher.ask)(&limited, Hub::Other, true).status, 429);
}

#[test]
fn an_address_that_is_not_authorized_too_often_is_not_listened_to() {
    for backend in &BACKENDS {
        let options = [
            ("limits.max_unauthorized_request_rate_per_address", "1"),
            ("limits.connect_burst", "20s"),
        ];
        let (limited, _folder) = serve("", &options);
        let (_, refusal) = use_up(&limited, backend, false);
        assert_eq!(refusal.retry_after(), 1);
        limited
            .logged(r#"scope="address" limit="requests" action="refused" who=address 127.0.0.1"#);
        // Until there is room again, a right guess gets nowhere either; then, who is authorized takes nothing.
        eventually_answered(&limited, backend);
        for _ in 0..5 {
            assert_ne!((backend.ask)(&limited, Hub::Chat, true).status, 429);
        }
    }
}
