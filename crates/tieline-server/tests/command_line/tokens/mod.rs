//! Tokens: who may connect, and as whom.

mod jwks;
mod keys;
mod roles;

use std::{
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use self::roles::{join, send};
use super::kit::{Client, Server, tieline};

pub(crate) const KEY: &str = "an access key of thirty-two bytes";
pub(crate) const SECONDARY: &str = "a second key, valid while the first is replaced";
const HUB: &str = "/client/hubs/chat";

fn command(flags: &[&str]) -> Command {
    listening("127.0.0.1:0", flags)
}

fn listening(address: &str, flags: &[&str]) -> Command {
    let mut command = tieline(&[&["serve", "--listen", address], flags].concat());
    command.env("TIELINE_KEY", KEY);
    command
}

/// A server with an access key.
fn serve(flags: &[&str]) -> Server {
    Server::start(command(flags), drop)
}

#[allow(
    clippy::disallowed_methods,
    reason = "the times in a token are those of wall clocks"
)]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A token for the hub with further claims, or others in place of the usual ones.
pub(crate) fn token(changes: Value) -> String {
    signed(Algorithm::HS256, KEY, changes)
}

pub(crate) fn signed(algorithm: Algorithm, key: &str, changes: Value) -> String {
    let mut claims = json!({"aud": "http://any.example/client/hubs/chat", "exp": now() + 60});
    let Value::Object(changes) = changes else {
        panic!("claims are an object");
    };
    claims.as_object_mut().unwrap().extend(changes);
    let key = EncodingKey::from_secret(key.as_bytes());
    encode(&Header::new(algorithm), &claims, &key).unwrap()
}

fn json_client(server: &Server, claims: Value) -> Client {
    let path = format!("{HUB}?access_token={}", token(claims));
    Client::connect(server, &path, Client::JSON)
}

/// Asks for an operation, and returns the ack.
fn ack(client: &mut Client, id: u32, operation: &str) -> String {
    client.send(&format!(r#"{{"ackId":{id},{operation}}}"#));
    client.text()
}

#[test]
fn the_token_may_stand_in_the_header_and_the_hub_in_the_query() {
    let server = serve(&[]);
    let token = token(json!({"sub": "ada"}));
    let bearer = format!("authorization: bearer {token}\r\n");
    for path in [
        HUB,
        "/client/hubs/CHAT/",
        "/client/hubs/ch%61t",
        "/client/?hub=chat",
        "/client?hub=chat",
    ] {
        Client::with_headers(&server, path, &bearer);
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}access_token={token}");
        Client::simple(&server.addresses[0], &path);
    }
    // Of another scheme, as from a proxy.
    let basic = "Authorization: Basic YTpi\r\n";
    Client::with_headers(&server, &format!("{HUB}?access_token={token}"), basic);
}

#[test]
fn a_refused_token_is_401_before_the_upgrade() {
    let server = serve(&["--public-endpoint", "http://any.example"]);
    let valid = token(json!({}));
    let claims = valid.split('.').nth(1).unwrap();
    for (what, token, why) in [
        ("expired", token(json!({"exp": now() - 301})), "expired"),
        ("early", token(json!({"nbf": now() + 360})), "not valid yet"),
        ("no exp", token(json!({"exp": null})), "no expiration"),
        (
            "another hub",
            token(json!({"aud": "http://any.example/client/hubs/other"})),
            "another URL",
        ),
        (
            "REST",
            token(json!({"aud": "http://any.example/api/hubs/chat/:send"})),
            "another URL",
        ),
        ("no aud", token(json!({"aud": null})), "another URL"),
        (
            "endpoint",
            token(json!({"aud": "http://other.example/client/hubs/chat"})),
            "another server",
        ),
        (
            "HS512",
            signed(Algorithm::HS512, KEY, json!({})),
            "algorithm",
        ),
        // {"alg":"none"} and {"alg":"RS256"}
        (
            "none",
            format!("eyJhbGciOiJub25lIn0.{claims}."),
            "algorithm",
        ),
        (
            "RS256",
            format!("eyJhbGciOiJSUzI1NiJ9.{claims}.AAAA"),
            "algorithm",
        ),
        (
            "wrong key",
            signed(Algorithm::HS256, SECONDARY, json!({})),
            "another key",
        ),
        ("too long", "x".repeat(8193), "longer"),
        ("nothing", String::new(), "not a signed"),
        ("null", "null".into(), "not a signed"),
    ] {
        let answer = server.refused_upgrade(&format!("{HUB}?access_token={token}"), "");
        assert!(answer.starts_with("HTTP/1.1 401"), "{what}: {answer}");
        assert!(
            answer.contains("www-authenticate: Bearer"),
            "{what}: {answer}"
        );
        assert!(answer.contains(why), "{what}: {answer}");
        assert!(
            token.len() < 5 || !answer.contains(&token),
            "{what}: {answer}"
        );
    }
    // The same server accepts the token that they were made from.
    Client::simple(&server.addresses[0], &format!("{HUB}?access_token={valid}"));
}

#[test]
fn of_several_tokens_none_is_chosen() {
    let server = serve(&[]);
    let token = token(json!({}));
    let twice = format!("{HUB}?access_token={token}&access_token={token}");
    let once = format!("{HUB}?access_token={token}");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for (path, headers) in [
        (&*twice, ""),
        (&*once, &*bearer),
        (HUB, &*format!("{bearer}{bearer}")),
    ] {
        let answer = server.refused_upgrade(path, headers);
        assert!(
            answer.starts_with("HTTP/1.1 401") && answer.contains("several"),
            "{answer}"
        );
    }
}

#[test]
fn with_a_key_anonymous_clients_need_a_setting() {
    let server = Server::start(listening("0.0.0.0:0", &[]), drop);
    for headers in [
        "",
        "X-Forwarded-Host: localhost\r\n",
        "Authorization: Basic YTpi\r\n",
    ] {
        let answer = server.refused_upgrade(&format!("{HUB}?user=ada"), headers);
        assert!(
            answer.starts_with("HTTP/1.1 401") && answer.contains("token is required"),
            "{answer}"
        );
    }
    let server = serve(&["--anonymous", "--anonymous-role", "webpubsub.sendToGroup.g"]);
    let mut client = Client::connect(&server, &format!("{HUB}?user=ada"), Client::JSON);
    assert!(client.text().contains(r#""userId":"ada""#));
    assert!(ack(&mut client, 1, &send("g")).contains("true"));
    assert!(ack(&mut client, 2, &join("g")).contains("Forbidden"));
    // With a token, the user is that of the token.
    let path = format!("{HUB}?user=eve&access_token={}", token(json!({})));
    let mut client = Client::connect(&server, &path, Client::JSON);
    let connected = client.text();
    assert!(!connected.contains("userId"), "{connected}");
    // A refused token is not ignored, nor is what cannot be one.
    for header in ["Bearer", "bearer \t", "Bearer\tx", "Bearer \u{e9}"] {
        let answer = server.refused_upgrade(HUB, &format!("Authorization: {header}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 401"), "{header}: {answer}");
    }
    let expired = format!("{HUB}?access_token={}", token(json!({"exp": 1})));
    assert!(
        server
            .refused_upgrade(&expired, "")
            .starts_with("HTTP/1.1 401")
    );
}

#[test]
fn without_a_key_a_token_is_refused() {
    let server = Server::serve(&["serve", "--listen", "127.0.0.1:0"]);
    let path = format!("{HUB}?access_token={}", token(json!({})));
    let answer = server.refused_upgrade(&path, "");
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("no access key"),
        "{answer}"
    );
}

#[test]
fn a_token_admits_any_origin_and_its_absence_does_not() {
    let server = serve(&["--anonymous"]);
    let origin = "Origin: https://elsewhere.example\r\n";
    let with_token = format!("{HUB}?access_token={}", token(json!({})));
    Client::with_headers(&server, &with_token, origin);
    let answer = server.refused_upgrade(HUB, origin);
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}
