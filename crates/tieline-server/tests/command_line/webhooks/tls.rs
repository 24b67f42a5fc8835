//! Handlers behind TLS.

use std::{io::Write, net::TcpListener};

use axum::{Router, extract::Request, response::IntoResponse};
use tieline_test_servers::Authority;

use super::{event, failed, server_message};
use crate::{
    https,
    kit::{Client, Server},
};

/// Answers each event with the version of HTTP.
async fn answer(request: Request) -> impl IntoResponse {
    let version = format!("{:?}", request.version());
    let is_system = request.headers()["ce-awpsversion"] == "1.0"
        && !request
            .headers()
            .get("ce-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"azure.webpubsub.user."));
    let body = if is_system { String::new() } else { version };
    ([("webhook-allowed-origin", "*")], body)
}

/// A handler that speaks these protocols. Returns its port.
fn start(authority: &Authority, protocols: &[&[u8]]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    https::start(
        listener,
        authority,
        protocols,
        Router::new().fallback(answer),
    );
    port
}

fn serve(url: &str, authority: &Authority) -> Server {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.pem().as_bytes()).unwrap();
    Server::serve(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--event-handler",
        url,
        "--event-handler-system-events",
        "connected",
        "--event-handler-timeout",
        "2",
        "--event-handler-ca",
        file.path().to_str().unwrap(),
    ])
}

#[test]
fn http_1_and_2_are_spoken_over_tls_with_an_own_authority() {
    for (protocols, version) in [
        (&[&b"h2"[..], b"http/1.1"][..], "HTTP/2.0"),
        (&[b"http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let authority = Authority::new();
        let port = start(&authority, protocols);
        let server = serve(&format!("https://127.0.0.1:{port}/"), &authority);
        let mut client = super::connect(&server);
        client.send(&event("e", 1, ""));
        assert_eq!(client.text(), server_message(version));
    }
}

#[test]
fn a_certificate_of_another_name_or_authority_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = start(&authority, &[]);
    for (url, authority) in [
        (format!("https://localhost:{port}/"), &authority),
        (format!("https://127.0.0.1:{port}/"), &other),
    ] {
        let server = serve(&url, authority);
        let mut client: Client = super::connect(&server);
        client.send(&event("e", 1, ""));
        let why = failed(&client.text(), 1);
        assert!(why.contains("does not answer"), "{url}: {why}");
    }
}
