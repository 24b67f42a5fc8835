//! What is refused, and how.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{KEY, Response, call, now, post, raw, serve, signed};
use crate::{kit::Server, tokens::SECONDARY};

const SEND: &str = "/api/hubs/chat/:send";

fn send_with(server: &Server, headers: &str) -> Response {
    let headers = format!("{headers}Content-Length: 1\r\n");
    raw(server, "POST", SEND, &headers, b"x")
}

fn token(changes: Value) -> String {
    let mut claims = json!({"aud": url(SEND), "exp": now() + 60});
    let Value::Object(changes) = changes else {
        panic!("claims are an object");
    };
    claims.as_object_mut().unwrap().extend(changes);
    signed(Algorithm::HS256, KEY, claims)
}

#[track_caller]
fn is_unauthorized(answer: &Response) {
    answer.is_error(401, "Error.Unauthorized");
    assert_eq!(answer.body, "");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

/// The URL of a send, as an audience.
fn url(path: &str) -> String {
    format!("http://any.example{path}")
}

/// Tokens that are nearly the valid one.
fn bad_tokens(valid: &str) -> Vec<(&'static str, String)> {
    let claims = valid.split('.').nth(1).unwrap();
    let aud = |path: &str| token(json!({"aud": url(path)}));
    let by = |algorithm, key: &str| {
        let claims = json!({"aud": url(SEND), "exp": now() + 60});
        signed(algorithm, key, claims)
    };
    vec![
        ("expired", token(json!({"exp": now() - 301}))),
        ("early", token(json!({"nbf": now() + 360}))),
        ("no exp", token(json!({"exp": null}))),
        ("another hub", aud("/api/hubs/other/:send")),
        ("another operation", aud("/api/hubs/chat/:closeConnections")),
        ("a client's", aud("/client/hubs/chat")),
        ("an encoded slash", aud("/api/hubs%2Fchat/:send")),
        (
            "another server",
            token(json!({"aud": format!("http://other.example{SEND}")})),
        ),
        ("another key", by(Algorithm::HS256, SECONDARY)),
        ("a short key", by(Algorithm::HS256, "short")),
        ("HS512", by(Algorithm::HS512, KEY)),
        ("none", format!("eyJhbGciOiJub25lIn0.{claims}.")),
        ("RS256", format!("eyJhbGciOiJSUzI1NiJ9.{claims}.AAAA")),
        ("nothing", String::new()),
        ("no token", "null".into()),
    ]
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn a_token_is_for_one_path_and_time_and_by_a_key() {
    let server = serve(&["--public-endpoint", "http://any.example"]);
    let valid = token(json!({}));
    for (what, token) in bad_tokens(&valid) {
        let answer = send_with(&server, &bearer(&token));
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        is_unauthorized(&answer);
    }
    // The one that they were made from, with the query in the audience or not.
    assert_eq!(send_with(&server, &bearer(&valid)).status, 202);
    let with_query = url(&format!("{SEND}?api-version=2024-01-01"));
    let with_query = token(json!({"aud": with_query}));
    let lower_case = format!("authorization: bearer {with_query}\r\n");
    assert_eq!(send_with(&server, &lower_case).status, 202);
}

#[test]
fn a_token_stands_in_its_header_once_and_opens_no_connection() {
    let server = serve(&[]);
    let valid = token(json!({}));
    let twice = bearer(&valid).repeat(2);
    for headers in [
        "",
        "Authorization: Basic YTpi\r\n",
        "Authorization: Bearer\r\n",
        &twice,
    ] {
        is_unauthorized(&send_with(&server, headers));
    }
    // Not in the query: it would be in the logs of proxies.
    let in_query = format!("{SEND}?access_token={valid}");
    is_unauthorized(&raw(
        &server,
        "POST",
        &in_query,
        "Content-Length: 1\r\n",
        b"x",
    ));
    let upgrade = server.refused_upgrade(&format!("/client/hubs/chat?access_token={valid}"), "");
    assert!(upgrade.starts_with("HTTP/1.1 401"), "{upgrade}");
}

#[test]
fn without_a_key_nothing_is_open() {
    let server = Server::serve(&["serve", "--listen", "127.0.0.1:0", "--anonymous"]);
    is_unauthorized(&send_with(&server, ""));
    is_unauthorized(&send_with(&server, &bearer(&token(json!({})))));
}

#[test]
fn paths_methods_and_hubs_that_are_not_there_say_so() {
    let server = serve(&[]);
    for path in [
        "",
        "/",
        "/x",
        "/users",
        "/users/ada/:close",
        "/groups/g/connections/c/d",
        "/:send/",
    ] {
        call(&server, "POST", path).is_error(404, "Error.NotFound");
    }
    for path in ["/api", "/api/", "/api/hubs", "/api/x"] {
        assert_eq!(raw(&server, "GET", path, "", b"").status, 404, "{path}");
    }
    for (method, path, allowed) in [
        ("GET", "/:send", "POST"),
        ("POST", "/users/ada", "HEAD"),
        ("GET", "/connections/c", "HEAD, DELETE"),
        ("POST", "/groups/g/connections/c", "PUT, DELETE"),
        (
            "GET",
            "/permissions/sendToGroup/connections/c",
            "HEAD, PUT, DELETE",
        ),
        ("PATCH", "/groups/g/connections", "GET"),
    ] {
        let answer = call(&server, method, path);
        answer.is_error(405, "Error.MethodNotAllowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
    }
    let no_hub = raw(&server, "POST", "/api/hubs/a%20b/:send", "", b"");
    no_hub.is_error(400, "Error.BadRequest");
    let tokens = call(&server, "POST", "/:generateToken?userId=a");
    tokens.is_error(501, "NotImplemented");
}

#[test]
fn values_of_the_query_are_checked() {
    let server = serve(&[]);
    for query in [
        "api-version=2020-01-01",
        "api-version=",
        "api-version=2024-01-01&api-version=2024-01-01",
        "messageTtlSeconds=301",
        "messageTtlSeconds=-1",
        "messageTtlSeconds=1.5",
        "messageTtlSeconds=1&messageTtlSeconds=1",
        "filter=userId%20eq%20null&filter=userId%20eq%20null",
    ] {
        let answer = post(&server, &format!("/:send?{query}"), "text/plain", "x");
        let message = answer.is_error(400, "Error.BadRequest");
        assert!(!message.is_empty(), "{query}");
    }
    let twice = call(&server, "POST", "/:closeConnections?reason=a&reason=b");
    twice.is_error(400, "Error.BadRequest");
    for query in [
        "api-version=2021-10-01",
        "api-version=2022-11-01",
        "api-version=2023-07-01",
        "api-version=2024-01-01",
        "API-Version=2024-12-01&unknown=1&unknown=2",
        "messageTtlSeconds=0",
        "excluded=a&excluded=b",
    ] {
        let answer = post(&server, &format!("/:send?{query}"), "text/plain", "x");
        assert_eq!(answer.status, 202, "{query}: {answer:?}");
    }
}

#[test]
fn health_needs_no_token() {
    let server = serve(&[]);
    assert_eq!(raw(&server, "HEAD", "/api/health", "", b"").status, 200);
    let get = raw(&server, "GET", "/api/health", "", b"");
    get.is_error(405, "Error.MethodNotAllowed");
}
