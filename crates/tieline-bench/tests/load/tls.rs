//! `wss://`, with a self-signed certificate.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tieline_bench::plan::Scenario;

use crate::{NoProgress, plan, run, servers};

fn config() -> Arc<ServerConfig> {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], PrivateKeyDer::from(key))
        .unwrap();
    Arc::new(config)
}

/// The baseline server behind a TLS proxy.
fn encrypted() -> String {
    let config = config();
    let plain = servers::floor();
    let floor = plain["ws://".len()..].split('/').next().unwrap().to_owned();
    let address = servers::each(move |_, socket| {
        let inner = std::net::TcpStream::connect(&floor).unwrap();
        inner.set_nonblocking(true).unwrap();
        socket
            .set_read_timeout(Some(std::time::Duration::from_millis(1)))
            .unwrap();
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut outer = StreamOwned::new(session, socket);
        while pass(&mut outer, &inner) && pass(&inner, &mut outer) {}
    });
    format!("WSS://localhost:{}/?id={{id}}", address.port())
}

/// Forwards the available bytes; yields whether more may follow.
fn pass(mut from: impl Read, mut to: impl Write) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    let mut buffer = [0; 4096];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => to.write_all(&buffer[..count]).is_ok() && to.flush().is_ok(),
        Err(e) => matches!(e.kind(), WouldBlock | TimedOut),
    }
}

#[test]
fn a_self_signed_certificate_needs_insecure() {
    let mut plan = plan(Scenario::Echo, &encrypted());
    plan.connections = 3;
    let refused = tieline_bench::run(&plan, &NoProgress);
    let why = refused
        .expect_err("the certificate is self-signed")
        .to_string();
    assert!(why.contains("certificate"), "{why}");
    plan.insecure = true;
    let outcome = run(&plan);
    assert!(outcome.arrived > 5, "{outcome:?}");
    assert_eq!(outcome.faults.ended, 0);
}
