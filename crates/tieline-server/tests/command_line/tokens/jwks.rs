//! Issuers whose keys are behind a URL: a real HTTPS server that rotates them, fails, or is away.

use std::{
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Response, Uri, header::LOCATION},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tieline_test_servers::{Authority, free_port};

use super::{HUB, keys::es256};
use crate::{
    https,
    kit::{Client, DEADLINE, Server, ask_to_upgrade, tieline},
};

/// What the server of the keys answers.
#[derive(Clone)]
enum Answer {
    Keys(Vec<Value>),
    Status(u16),
    Text(String),
    /// To another path, where the keys are.
    Redirect,
    Never,
}

/// The server of the keys.
#[derive(Clone)]
struct Publisher {
    answer: Arc<Mutex<Answer>>,
    fetches: Arc<AtomicUsize>,
}

impl Publisher {
    fn new(keys: &[&Value]) -> Self {
        let keys = keys.iter().copied().cloned().collect();
        Self {
            answer: Arc::new(Mutex::new(Answer::Keys(keys))),
            fetches: Arc::default(),
        }
    }

    fn listen(&self, listener: TcpListener, authority: &Authority) {
        let router = Router::new().fallback(publish).with_state(self.clone());
        https::start(listener, authority, &[b"h2", b"http/1.1"], router);
    }

    /// The same on a free port, which is returned.
    fn start(&self, authority: &Authority) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        self.listen(listener, authority);
        port
    }

    fn set(&self, answer: Answer) {
        *self.answer.lock() = answer;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

async fn publish(State(publisher): State<Publisher>, uri: Uri) -> Response<Body> {
    publisher.fetches.fetch_add(1, Ordering::SeqCst);
    let answer = publisher.answer.lock().clone();
    let (status, body) = match answer {
        Answer::Keys(keys) => (200, json!({"keys": keys}).to_string()),
        Answer::Redirect if uri.path() == "/moved" => (200, json!({"keys": []}).to_string()),
        Answer::Redirect => (302, String::new()),
        Answer::Status(status) => (status, "secret stack trace".into()),
        Answer::Text(text) => (200, text),
        Answer::Never => std::future::pending().await,
    };
    let response = Response::builder().status(status);
    let response = response.header(LOCATION, "/moved");
    response.body(Body::from(body)).unwrap()
}

/// A server that trusts the issuer, and its log.
struct Scene {
    server: Server,
    log: Receiver<String>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn start(port: u16, authority: &Authority, refresh: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("ca.pem"), authority.pem()).unwrap();
        write_config(
            &path("t.toml"),
            &format!("https://127.0.0.1:{port}"),
            refresh,
        );
        let config = path("t.toml");
        let mut command = tieline(&["serve", "--config", config.to_str().unwrap()]);
        command.env("RUST_LOG", "tieline=debug");
        let (log, lines) = sync_channel(10_000);
        let server = Server::start(command, move |line| drop(log.try_send(line)));
        Self {
            server,
            log: lines,
            _folder: folder,
        }
    }

    /// The first frame for a client with a token, or the response that refuses it.
    fn connect(&self, token: &str) -> Result<String, String> {
        let path = format!("{HUB}?access_token={token}");
        let (_, head) = ask_to_upgrade(&self.server.addresses[0], &path, "");
        if !head.starts_with("HTTP/1.1 101") {
            return Err(self.server.refused_upgrade(&path, ""));
        }
        let mut client = Client::connect(&self.server, &path, Client::JSON);
        Ok(client.text())
    }

    #[track_caller]
    fn refused(&self, token: &str, status: u16, why: &str) {
        let answer = self.connect(token).unwrap_err();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(why), "{answer}");
    }

    #[track_caller]
    fn eventually(&self, token: &str, connects: bool) {
        let begin = Instant::now();
        while self.connect(token).is_ok() != connects {
            assert!(begin.elapsed() < DEADLINE, "not in time");
        }
    }

    /// The next line of the log with this text.
    fn logged(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|_| panic!("not logged: {text}"));
            assert!(
                !line.contains("hunter2") && !line.contains("stack trace"),
                "{line}"
            );
            if line.contains(text) {
                return line;
            }
        }
    }
}

/// The query of the URL is a secret of some providers.
fn write_config(path: &Path, host: &str, refresh: &str) {
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[[issuers]]\nissuer = \"https://id.example\"\naudience = \"app\"\n\
         jwks = \"{host}/keys?code=hunter2\"\nca = \"ca.pem\"\nrefresh = \"{refresh}\"\n\
         algorithms = [\"ES256\"]\n"
    );
    std::fs::write(path, text).unwrap();
}

#[test]
fn keys_behind_a_url_are_fetched_and_rotated() {
    let authority = Authority::new();
    let [old, new, newest] = ["old", "new", "newest"].map(es256);
    let publisher = Publisher::new(&[&old.0]);
    let scene = Scene::start(publisher.start(&authority), &authority, "1h");
    // A token that came before would cause a fetch.
    scene.logged("fetched the keys of an issuer");
    assert!(scene.connect(&old.1).unwrap().contains(r#""userId":"old""#));
    publisher.set(Answer::Keys(vec![new.0.clone()]));
    scene.connect(&old.1).expect("known keys cause no fetch");
    let before = publisher.fetches();
    scene
        .connect(&new.1)
        .expect("a token that names an unknown key causes one");
    assert_eq!(publisher.fetches(), before + 1);
    scene.refused(&old.1, 401, "a key that its issuer does not have");
    // Once in 30 s is enough, whatever strangers send.
    publisher.set(Answer::Keys(vec![newest.0]));
    scene.refused(&newest.1, 401, "a key that its issuer does not have");
    assert_eq!(publisher.fetches(), before + 1);
}

#[test]
fn a_key_that_is_withdrawn_is_refused_after_the_next_fetch() {
    let authority = Authority::new();
    let [old, new] = ["old", "new"].map(es256);
    let publisher = Publisher::new(&[&old.0]);
    let scene = Scene::start(publisher.start(&authority), &authority, "1s");
    scene.eventually(&old.1, true);
    // Nobody names the new key.
    publisher.set(Answer::Keys(vec![new.0]));
    let before = publisher.fetches();
    let begin = Instant::now();
    while publisher.fetches() < before + 2 {
        assert!(begin.elapsed() < DEADLINE, "no fetch");
        std::thread::yield_now();
    }
    scene
        .connect(&new.1)
        .expect("the keys of the last fetch count");
    scene.eventually(&old.1, false);
}

#[test]
fn a_server_starts_while_its_issuer_is_away_and_accepts_its_tokens_when_it_is_back() {
    let authority = Authority::new();
    let key = es256("key");
    let publisher = Publisher::new(&[&key.0]);
    let port = free_port();
    let scene = Scene::start(port, &authority, "1h");
    let line = scene.logged("refusing the tokens of an issuer until its keys are there");
    assert!(
        line.contains(&format!("cannot read https://127.0.0.1:{port}/keys:")),
        "{line}"
    );
    scene.refused(&key.1, 503, "have not been fetched yet; try again later");
    scene.logged("reason=\"no_keys\"");
    publisher.listen(TcpListener::bind(("127.0.0.1", port)).unwrap(), &authority);
    scene.logged("fetched the keys of an issuer");
    scene.connect(&key.1).unwrap();
}

#[test]
fn whatever_a_fetch_brings_the_last_good_keys_stay() {
    let authority = Authority::new();
    let key = es256("key");
    let publisher = Publisher::new(&[&key.0]);
    let scene = Scene::start(publisher.start(&authority), &authority, "1s");
    scene.eventually(&key.1, true);
    let long = format!(r#"{{"keys":[],"x":"{}"}}"#, "a".repeat(1 << 20));
    for (answer, why) in [
        (Answer::Status(500), "it answered 500"),
        (Answer::Status(204), "it answered 204"),
        (Answer::Redirect, "it answered 302"),
        (Answer::Text("<html>".into()), "is not a JSON Web Key Set"),
        (Answer::Text(long), "the answer has more than 1 MiB"),
        (Answer::Keys(Vec::new()), "has no key for the algorithms"),
        (Answer::Never, "did not answer within 5 s"),
    ] {
        publisher.set(answer);
        let line = scene.logged(why);
        assert!(
            line.contains("keeping the keys of an issuer as they were"),
            "{line}"
        );
        scene.connect(&key.1).unwrap();
    }
}

#[test]
fn keys_are_fetched_from_the_named_server_alone() {
    let (authority, other) = (Authority::new(), Authority::new());
    let key = es256("key");
    let publisher = Publisher::new(&[&key.0]);
    let scene = Scene::start(publisher.start(&authority), &other, "1h");
    scene.logged("refusing the tokens of an issuer until its keys are there");
    scene.refused(&key.1, 503, "have not been fetched yet");
    assert_eq!(publisher.fetches(), 0, "before anything was asked");
}

#[test]
fn a_reload_keeps_the_keys_that_were_fetched() {
    let authority = Authority::new();
    let key = es256("key");
    let publisher = Publisher::new(&[&key.0]);
    let scene = Scene::start(publisher.start(&authority), &authority, "1h");
    scene.eventually(&key.1, true);
    publisher.set(Answer::Status(503));
    let before = publisher.fetches();
    scene.server.signal("HUP");
    scene.logged("configuration reloaded");
    scene.connect(&key.1).expect("the reload refuses nobody");
    scene.logged("keeping the keys of an issuer as they were");
    assert!(publisher.fetches() > before, "a reload fetches");
}

#[test]
fn a_url_that_others_could_answer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(folder.path().join("ca.pem"), Authority::new().pem()).unwrap();
    for (host, refresh, expected) in [
        ("http://id.example", "1h", "use https"),
        (
            "https://me:hunter2@id.example",
            "1h",
            "must not have a password",
        ),
        ("https://id.example", "0s", "must be at least 1s"),
    ] {
        write_config(&path, host, refresh);
        let checked = tieline(&["config", "check", path.to_str().unwrap()]).output();
        let checked = checked.unwrap();
        let text = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(2), "{text}");
        assert!(
            text.contains(expected) && !text.contains("hunter2"),
            "{text}"
        );
    }
    write_config(&path, "https://id.example", "1h");
    let shown = tieline(&["config", "show", "--config", path.to_str().unwrap()]).output();
    let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
    assert!(
        shown.contains("issuers[0].jwks = \"https://id.example/keys\""),
        "{shown}"
    );
}
