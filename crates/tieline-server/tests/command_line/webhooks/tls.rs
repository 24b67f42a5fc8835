//! Handlers behind TLS.

use std::{io::Write, sync::Arc, thread};

use axum::{Router, extract::Request, response::IntoResponse};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tieline_test_servers::Authority;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::{event, failed, server_message};
use crate::kit::{Client, Server};

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

/// A handler with a certificate for 127.0.0.1 that speaks these protocols. Returns its port.
fn start(authority: &Authority, protocols: &[&[u8]]) -> u16 {
    let (certificate, key) = authority.issue();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = config.with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let service = TowerToHyperService::new(Router::new().fallback(answer));
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), service.clone());
                tokio::spawn(async move {
                    let stream = acceptor.accept(socket).await.ok()?;
                    let server = auto::Builder::new(TokioExecutor::new());
                    let io = TokioIo::new(stream);
                    server.serve_connection(io, service).await.ok()
                });
            }
        });
    });
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
