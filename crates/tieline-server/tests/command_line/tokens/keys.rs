//! Access keys: where they come from, and that no text shows them.

use std::{
    process::Command,
    sync::{Arc, mpsc},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{HUB, KEY, SECONDARY, command, now, signed, token};
use crate::kit::{Client, DEADLINE, Server, run, tieline};

/// What a command prints, in lines.
fn printed(mut command: Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_printed_token_of_a_printed_key_connects() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let [key] = &printed(tieline(&["key"]))[..] else {
        panic!("a key is a line");
    };
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let file = file.to_str().unwrap();
    let listen = ["serve", "--listen", "127.0.0.1:0", "--key-file", file];
    let server = Server::serve(&listen);
    let endpoint = format!("http://{}", server.addresses[0]);
    let lines = printed(tieline(&[
        "token",
        "--key-file",
        file,
        "--hub",
        "Chat",
        "--user",
        "ada",
        "--group",
        "g",
        "--role",
        "webpubsub.sendToGroup.g",
        "--ttl",
        "90s",
        "--endpoint",
        &endpoint,
    ]));
    let [token, url] = &lines[..] else {
        panic!("{lines:?}");
    };
    let path = url
        .strip_prefix(&format!("ws://{}", server.addresses[0]))
        .unwrap();
    assert_eq!(path, format!("{HUB}?access_token={token}"));
    let mut client = Client::connect(&server, path, Client::JSON);
    let connected = client.text();
    assert!(connected.contains(r#""userId":"ada""#), "{connected}");
    // It is in the group without having joined, and may send to it.
    client.send(r#"{"type":"sendToGroup","group":"g","data":1,"ackId":1}"#);
    assert!(client.text().contains(r#""group":"g","fromUserId":"ada""#));
    assert!(client.text().contains(r#""success":true"#));
}

#[test]
fn both_keys_are_valid_while_one_is_replaced() {
    let mut command = command(&[]);
    // A line break at the end is no part of a key.
    command.env("TIELINE_SECONDARY_KEY", format!("{SECONDARY}\n"));
    let server = Server::start(command, drop);
    for key in [KEY, SECONDARY] {
        let token = signed(Algorithm::HS256, key, json!({}));
        Client::simple(&server.addresses[0], &format!("{HUB}?access_token={token}"));
    }
}

#[test]
fn a_key_is_replaced_by_a_reload_and_connections_stay() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let head = "listen = \"127.0.0.1:0\"\n[keys]\n";
    write("old", KEY);
    write("new", SECONDARY);
    write("t.toml", &format!("{head}primary = {{ file = \"old\" }}\n"));
    let config = folder.path().join("t.toml");
    let command = tieline(&["serve", "--config", config.to_str().unwrap()]);
    let (reports, reloads) = mpsc::sync_channel(10);
    let server = Server::start(command, move |line| {
        if line.contains("configuration reloaded") {
            let _ = reports.try_send(line);
        }
    });
    let reload = |keys: &str| {
        write("t.toml", &format!("{head}{keys}"));
        server.signal("HUP");
        reloads.recv_timeout(DEADLINE).unwrap()
    };
    let path = |key| {
        format!(
            "{HUB}?access_token={}",
            signed(Algorithm::HS256, key, json!({}))
        )
    };
    let is_refused = |key| {
        server
            .refused_upgrade(&path(key), "")
            .starts_with("HTTP/1.1 401")
    };
    let connect = |key| Client::connect(&server, &path(key), Client::JSON);
    let mut stays = connect(KEY);
    stays.text();
    assert!(is_refused(SECONDARY));

    let line = reload("primary = { file = \"old\" }\nsecondary = { file = \"new\" }\n");
    assert!(
        line.contains("keys.secondary") && !line.contains("keys.primary"),
        "{line}"
    );
    connect(KEY);
    connect(SECONDARY);
    let line = reload("primary = { file = \"new\" }\n");
    assert!(line.contains("keys.primary, keys.secondary"), "{line}");
    connect(SECONDARY);
    assert!(is_refused(KEY));
    stays.send(r#"{"type":"ping"}"#);
    assert!(stays.text().contains("pong"));
}

/// At debug level and below, as a whole: neither what is accepted nor what is refused leaves a token behind.
#[test]
fn no_log_shows_a_token_or_a_key() {
    let log = Arc::new(Mutex::new(String::new()));
    let (ended, end) = mpsc::sync_channel(1);
    let (mut command, written) = (command(&["--anonymous"]), Arc::clone(&log));
    command
        .env("RUST_LOG", "debug")
        .env("TIELINE_SECONDARY_KEY", SECONDARY);
    let mut server = Server::start(command, move |line| {
        let mut written = written.lock();
        written.extend([&*line, "\n"]);
        if line.contains("drained") {
            let _ = ended.try_send(());
        }
    });
    let secret = json!({"sub": "ada"});
    let good = token(secret.clone());
    let bad = [
        token(json!({"sub": "ada", "exp": 1})),
        signed(Algorithm::HS512, KEY, secret.clone()),
        signed(Algorithm::HS256, "a key that is not one of the two", secret),
        format!("{good}x"),
        "not.a-token-at-all.but-secret".into(),
    ];
    let client = Client::simple(&server.addresses[0], &format!("{HUB}?access_token={good}"));
    for token in &bad {
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let in_query = server.refused_upgrade(&format!("{HUB}?access_token={token}"), "");
        assert!(in_query.starts_with("HTTP/1.1 401"), "{in_query}");
        assert!(
            server
                .refused_upgrade(HUB, &bearer)
                .starts_with("HTTP/1.1 401")
        );
        // Neither an upgrade nor a path of the server, and a query that cannot be read.
        server.get(0, &format!("{HUB}?access_token={token}"));
        server.get(0, &format!("/client/?hub=a&hub=b&access_token={token}"));
        server.get(0, &format!("/nowhere?access_token={token}"));
    }
    drop(client);
    server.signal("TERM");
    end.recv_timeout(DEADLINE).unwrap();
    assert_eq!(server.exit_code(), Some(0));
    let log = log.lock();
    for reason in ["expired", "algorithm", "signature", "malformed"] {
        assert!(
            log.contains(&format!("reason=\"{reason}\"")),
            "{reason}: {log}"
        );
    }
    for secret in bad
        .iter()
        .chain([&good, &KEY.to_owned(), &SECONDARY.to_owned()])
    {
        // The signature alone is not secret, but a part of a token stands for the whole.
        for part in secret.split('.').filter(|part| part.len() > 8) {
            assert!(!log.contains(part), "{part}: {log}");
        }
    }
}
/// A key of an issuer: its public half as a JSON Web Key, and a token that it signed.
pub(super) fn es256(id: &str) -> (Value, String) {
    let how = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(how, &SystemRandom::new()).unwrap();
    let key = EncodingKey::from_ec_der(pkcs8.as_ref());
    let mut jwk = json!(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap());
    jwk["kid"] = json!(id);
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(id.to_owned());
    let claims = json!({"iss": "https://id.example", "aud": "app", "exp": now() + 60, "sub": id});
    (jwk, encode(&header, &claims, &key).unwrap())
}

#[test]
fn an_issuer_replaces_its_keys_while_the_server_runs() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let write =
        |key: &Value| std::fs::write(file.path(), json!({"keys": [key]}).to_string()).unwrap();
    let [old, new, newest] = ["old", "new", "newest"].map(es256);
    write(&old.0);
    let keys = file.path().to_str().unwrap();
    // Without an access key: an issuer alone makes a token necessary.
    let config = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "listen = \"0.0.0.0:0\"\n[[issuers]]\nissuer = \"https://id.example\"\njwks = {keys:?}\n\
         algorithms = [\"ES256\"]\naudience = \"app\"\n"
    );
    std::fs::write(config.path(), text).unwrap();
    let server = Server::serve(&["serve", "--config", config.path().to_str().unwrap()]);
    let path = |token: &str| format!("{HUB}?access_token={token}");
    let connects_as = |token: &str, user: &str| {
        let mut client = Client::connect(&server, &path(token), Client::JSON);
        assert!(client.text().contains(&format!(r#""userId":"{user}""#)));
    };
    let refused = |token: &str| server.refused_upgrade(&path(token), "");
    connects_as(&old.1, "old");
    assert!(refused("").starts_with("HTTP/1.1 401"));
    assert!(
        server
            .refused_upgrade(HUB, "")
            .contains("token is required")
    );
    write(&new.0);
    connects_as(&old.1, "old");
    connects_as(&new.1, "new");
    let answer = refused(&old.1);
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("issuer does not have"),
        "{answer}"
    );
    // Once in 30 s is enough, whatever strangers send.
    write(&newest.0);
    assert!(refused(&newest.1).contains("issuer does not have"));
}

#[test]
fn a_key_that_cannot_be_used_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short");
    std::fs::write(
        &short,
        "tooshortforakey\nsecond line, which does not count towards it\n",
    )
    .unwrap();
    let short = short.to_str().unwrap();
    for (arguments, variable, expected) in [
        (
            &["serve", "--key-file", short][..],
            "X",
            "invalid --key-file: the key has 15 bytes",
        ),
        (&["serve"], "TIELINE_SECONDARY_KEY", "primary"),
        (&["token"], "X", "a key is required"),
        (&["token", "--key-file", short], "X", "15 bytes"),
        (
            &["serve", "--public-endpoint", "example.org"],
            "TIELINE_KEY",
            "https://example.org",
        ),
    ] {
        let output = tieline(arguments).env(variable, KEY).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(
            !stderr.contains("tooshortforakey") && !stderr.contains(KEY),
            "{stderr}"
        );
    }
    let (code, stderr) = run(&["serve", "--key-file", "no-such.key"]);
    assert!(
        code == Some(1) && stderr.contains("no-such.key"),
        "{stderr}"
    );
}
