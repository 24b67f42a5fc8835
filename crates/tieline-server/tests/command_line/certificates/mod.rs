//! Certificates: which ones the server shows, when it takes new ones, and what it makes of those of clients.

mod clients;
mod files;

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
};

use rcgen::CertificateParams;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tieline_test_servers::Authority;

use super::kit::{Client, DEADLINE, ask_on};

/// A certificate and its key, as PEM text.
pub(super) type Pair = (String, String);
pub(super) type Socket = StreamOwned<ClientConnection, TcpStream>;

pub(super) fn issue(authority: &Authority, name: &str) -> Pair {
    authority.sign(CertificateParams::new([name.to_owned()]).unwrap())
}

pub(super) fn write(folder: &Path, (chain, key): &Pair) {
    std::fs::write(folder.join("cert.pem"), chain).unwrap();
    std::fs::write(folder.join("key.pem"), key).unwrap();
}

pub(super) fn der((chain, _): &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()
}

/// Connects to a server whose certificate the authority has signed for a name, with a certificate of its own.
pub(super) fn connect(
    address: &str,
    authority: &Authority,
    name: &str,
    own: Option<&Pair>,
) -> io::Result<Socket> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.1.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![der(pair)], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(DEADLINE))?;
    let mut socket = StreamOwned::new(session, tcp);
    while socket.conn.is_handshaking() {
        socket.conn.complete_io(&mut socket.sock)?;
    }
    assert_eq!(socket.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    Ok(socket)
}

pub(super) fn shown(socket: &Socket) -> CertificateDer<'static> {
    socket.conn.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

/// Asks for an upgrade, and returns the head of the response.
fn upgrade(socket: &mut (impl Read + Write), path: &str, headers: &str) -> io::Result<String> {
    ask_on(socket, "node.test", path, headers)
}

/// A client of the JSON protocol that was let in, and the first message that it got.
fn json_client(mut socket: Socket, path: &str, headers: &str) -> (Client<Socket>, String) {
    let headers = format!("Sec-WebSocket-Protocol: {}\r\n{headers}", Client::JSON);
    let head = upgrade(&mut socket, path, &headers).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let mut client = Client(socket);
    let connected = client.text();
    (client, connected)
}
