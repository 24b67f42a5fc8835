//! Servers that do not accept their own tokens, as an etcd that was removed and added again can do
//! (etcd-io/etcd#9629).

use bytes::Bytes;
use http::Response;
use tieline_registry::{EtcdOptions, EtcdRegistry, Registry};
use tieline_test_servers::etcd::Etcd;
use tokio::net::{TcpListener, TcpStream};

use super::{PREFIX, STEADY, claim, granted, join, options};
use crate::kit::run_threads;

/// A message `AuthenticateResponse` with a token, and the gRPC header before it.
const TOKEN: &[u8] = b"\0\0\0\0\x09\x12\x07bogus.1";

/// A server that hands out tokens and refuses every call.
async fn refusing_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(refuse(stream));
        }
    });
    address
}

async fn refuse(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let response = Response::builder().header("content-type", "application/grpc");
        if request.uri().path().ends_with("/Authenticate") {
            let response = response.body(()).unwrap();
            let mut body = respond.send_response(response, false).unwrap();
            body.send_data(Bytes::from_static(TOKEN), false).unwrap();
            let ok = [("grpc-status", "0")].map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            });
            body.send_trailers(ok.into_iter().collect()).unwrap();
        } else {
            let response = response.header("grpc-status", "16");
            let response = response.header("grpc-message", "etcdserver: invalid auth token");
            respond
                .send_response(response.body(()).unwrap(), true)
                .unwrap();
        }
    }
}

/// A registry that uses the refusing server first.
async fn connect_to_both(etcd: &Etcd, refusing: &str) -> EtcdRegistry {
    let url = format!("{},{refusing}", etcd.url_as("tieline:secret@"));
    EtcdRegistry::connect_with(&url, PREFIX, options())
        .await
        .unwrap()
}

#[test]
fn a_server_that_refuses_its_own_tokens_is_left_within_one_call() {
    run_threads(2, async {
        let etcd = Etcd::with_users(&[PREFIX, "!tieline/ws/"]).await;
        let refusing = refusing_server().await;
        // A registry starts at a random endpoint.
        for _ in 0..8 {
            let registry = connect_to_both(&etcd, &refusing).await;
            assert!(!format!("{registry:?}").contains(&format!("current: \"{refusing}")));
            let address = uuid::Uuid::now_v7().to_string();
            let session = join(&registry, &address, STEADY).await;
            let claimed = registry.claim(&session, &[claim(&address, 5)]).await;
            assert_eq!(granted(claimed.unwrap()), Some(1));
        }
    });
}

#[test]
fn a_lone_server_that_refuses_its_own_tokens_is_an_error() {
    run_threads(1, async {
        let url = format!("etcd://tieline:secret@{}", refusing_server().await);
        let error = EtcdRegistry::connect_with(&url, PREFIX, EtcdOptions::new())
            .await
            .unwrap_err();
        assert!(
            format!("{error:?}").contains("invalid auth token"),
            "{error:?}"
        );
    });
}
