//! Certificates of the listener: which one a client gets, their replacement, and certificates of clients.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use rcgen::CertificateParams;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use tieline::{Accept, ClientAuth, Config, Hub, Node, Tls, TlsCertificate, TlsConfig, TlsError};
use tieline_test_servers::Authority;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::kit::{Raw, listen, raw::request, run};

/// A certificate with its key, as PEM text.
type Pair = (String, String);
type Socket = TlsStream<TcpStream>;

fn issue(authority: &Authority, name: &str) -> Pair {
    authority.sign(CertificateParams::new([name.to_owned()]).unwrap())
}

fn certificate((chain, key): &Pair) -> TlsCertificate {
    let (chain, key) = (chain.clone().into(), key.clone().into());
    TlsCertificate { chain, key }
}

fn config(pairs: &[&Pair]) -> TlsConfig {
    let mut config = TlsConfig::new("", "");
    config.certificates = pairs.iter().map(|pair| certificate(pair)).collect();
    config
}

fn der((chain, _): &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()
}

/// A node that lets everybody in, and notes the certificates of clients.
struct Server {
    tls: Tls,
    node: Node<()>,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
}

impl Server {
    async fn start(config: &TlsConfig) -> Self {
        let tls = Tls::new(config).unwrap();
        let (listener, address) = listen().await;
        let node = Node::new(Hub::new(Config::default()).unwrap(), ());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (serving, noted) = (node.clone(), Arc::clone(&seen));
        let listener = listener.tls(tls.clone());
        tokio::spawn(async move {
            let authorize = move |request: tieline::UpgradeRequest| {
                let der = request.client_certificate().map(|c| c.der().to_vec());
                noted.lock().push(der);
                async { Ok(Accept::new(())) }
            };
            let forever = std::future::pending();
            serving.serve(listener, authorize, forever).await
        });
        Self {
            tls,
            node,
            address,
            seen,
        }
    }

    /// Connects, and opens a WebSocket: with TLS 1.3, only then is it known whether the server took the client's
    /// certificate.
    async fn open(&self, client: &ClientConfig, name: &str) -> std::io::Result<Raw<Socket>> {
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(client.clone()));
        let mut socket = connector.connect(name, tcp).await?;
        socket.write_all(request("/", "").as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await?);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        Ok(Raw::over(socket))
    }
}

fn client(authority: &Authority, own: Option<&Pair>) -> ClientConfig {
    client_with(authority, own, &[&TLS13, &TLS12])
}

fn client_with(
    authority: &Authority,
    own: Option<&Pair>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.1.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![der(pair)], key).unwrap()
        }
    }
}

fn shown(raw: &Raw<Socket>) -> CertificateDer<'static> {
    let (_, session) = raw.stream.get_ref();
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
    run(async {
        let authority = Authority::new();
        let pairs = ["default.test", "*.wild.test", "other.test"];
        let [default, wild, other] = pairs.map(|name| issue(&authority, name));
        let server = Server::start(&config(&[&default, &wild, &other])).await;
        let client = client(&authority, None);
        for (name, expected) in [
            ("other.test", &other),
            ("a.wild.test", &wild),
            ("default.test", &default),
        ] {
            let raw = server.open(&client, name).await.unwrap();
            assert_eq!(shown(&raw), der(expected), "{name}");
        }
        // A name that none has, and none at all, get the first.
        let mut unverified = client.clone();
        let unknown = server.open(&unverified, "unknown.test").await;
        let error = unknown.err().unwrap().to_string();
        assert!(error.contains("default.test"), "{error}");
        unverified.enable_sni = false;
        let without_name = server.open(&unverified, "default.test").await;
        assert_eq!(shown(&without_name.unwrap()), der(&default));
    });
}

#[test]
fn connections_outlive_the_certificate_and_new_ones_get_the_new() {
    run(async {
        let authority = Authority::new();
        let [old, new] = [(); 2].map(|()| issue(&authority, "node.test"));
        let server = Server::start(&config(&[&old])).await;
        // The same client, which keeps sessions to resume.
        let client = client(&authority, None);
        let mut before = server.open(&client, "node.test").await.unwrap();
        assert_eq!(shown(&before), der(&old));
        server.tls.replace(&config(&[&new])).unwrap();
        let after = server.open(&client, "node.test").await.unwrap();
        assert_eq!(shown(&after), der(&new));
        server.node.hub().broadcast("still here");
        assert_eq!(before.text().await, "still here");
        // What cannot be used changes nothing.
        let mixed = (new.0.clone(), old.1.clone());
        let error = server.tls.replace(&config(&[&mixed])).unwrap_err();
        assert!(matches!(error, TlsError::Key(_)), "{error:?}");
        let error = server.tls.replace(&config(&[])).unwrap_err();
        assert!(matches!(error, TlsError::Certificate(_)), "{error:?}");
        let again = server.open(&client, "node.test").await.unwrap();
        assert_eq!(shown(&again), der(&new));
    });
}

#[test]
fn certificates_of_clients_are_those_of_their_authority() {
    run(async {
        let authority = Authority::new();
        let own = issue(&authority, "node.test");
        let (clients, others) = (Authority::new(), Authority::new());
        let ada = issue(&clients, "ada.test");
        let eve = issue(&others, "ada.test");
        for required in [true, false] {
            let mut config = config(&[&own]);
            config.client_auth = Some(ClientAuth {
                authorities: clients.pem().into(),
                required,
            });
            let server = Server::start(&config).await;
            for version in [&TLS12, &TLS13] {
                let client = |own| client_with(&authority, own, &[version]);
                server.open(&client(Some(&ada)), "node.test").await.unwrap();
                let seen = server.seen.lock().pop().unwrap();
                assert_eq!(seen.as_deref(), Some(&*der(&ada)));
                let strange = server.open(&client(Some(&eve)), "node.test").await;
                assert!(strange.is_err(), "of another authority");
                let none = server.open(&client(None), "node.test").await;
                assert_eq!(none.is_err(), required);
                let seen = server.seen.lock().pop();
                assert_eq!(seen, if required { None } else { Some(None) });
            }
        }
    });
}

#[test]
fn a_session_from_before_the_authority_was_replaced_is_not_resumed() {
    run(async {
        let authority = Authority::new();
        let own = issue(&authority, "node.test");
        let (old, new) = (Authority::new(), Authority::new());
        let ada = issue(&old, "ada.test");
        let accepting = |clients: &Authority| {
            let mut config = config(&[&own]);
            config.client_auth = Some(ClientAuth {
                authorities: clients.pem().into(),
                required: true,
            });
            config
        };
        let server = Server::start(&accepting(&old)).await;
        let client = client_with(&authority, Some(&ada), &[&TLS12]);
        server.open(&client, "node.test").await.unwrap();
        let resumed = server.open(&client, "node.test").await.unwrap();
        let kind = resumed.stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Resumed));
        server.tls.replace(&accepting(&new)).unwrap();
        assert!(server.open(&client, "node.test").await.is_err());
    });
}

#[test]
fn unusable_authorities_are_an_error() {
    let pair = issue(&Authority::new(), "node.test");
    let mut config = config(&[&pair]);
    config.client_auth = Some(ClientAuth {
        authorities: b"none".to_vec(),
        required: false,
    });
    let error = Tls::new(&config).unwrap_err();
    assert!(matches!(error, TlsError::Authorities(_)), "{error:?}");
    let debug = format!("{config:?}");
    assert!(!debug.contains("KEY"), "{debug}");
}
