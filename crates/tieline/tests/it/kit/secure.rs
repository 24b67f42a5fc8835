//! A node behind TLS on a free port.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tieline::{Config, Hub, Listener, Node, Proxies, Tls};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Probe, Raw, listen};

pub(crate) struct Secure {
    pub(crate) node: Node<Probe>,
    pub(crate) address: SocketAddr,
    connector: TlsConnector,
}

impl Secure {
    pub(crate) async fn start(config: Config) -> Self {
        Self::start_with(config, Proxies::default()).await
    }

    /// The same behind proxies.
    pub(crate) async fn start_with(config: Config, proxies: Proxies) -> Self {
        let (listener, address) = listen().await;
        let (node, connector) = serve_tls(config, listener.proxies(proxies));
        Self {
            node,
            address,
            connector,
        }
    }

    pub(crate) async fn secure(&self, tcp: TcpStream) -> Raw<TlsStream<TcpStream>> {
        secure(&self.connector, tcp).await
    }

    pub(crate) async fn client(&self, query: &str) -> Raw<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let mut raw = self.secure(tcp).await;
        let answer = raw.upgrade(&format!("/?{query}"), "").await;
        assert_eq!(answer.status, 101);
        raw
    }

    pub(crate) async fn narrow(&self, query: &str) -> Raw<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut raw = self
            .secure(socket.connect(self.address).await.unwrap())
            .await;
        raw.upgrade(&format!("/?{query}"), "").await;
        raw
    }
}

/// Serves a node with TLS, and returns it with what its clients need.
pub(crate) fn serve_tls(config: Config, listener: Listener) -> (Node<Probe>, TlsConnector) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["node.test".to_owned()]).unwrap();
    let key = signing_key.serialize_pem();
    let tls = Tls::from_pem(cert.pem().as_bytes(), key.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let probe = Probe::new();
    let node = Node::new(Hub::new(config).unwrap(), probe.clone());
    let serving = node.clone();
    tokio::spawn(async move {
        let authorize = move |request| probe.clone().authorize(request);
        let forever = std::future::pending();
        serving.serve(listener.tls(tls), authorize, forever).await
    });
    (node, TlsConnector::from(Arc::new(client)))
}

/// The client's side of TLS.
pub(crate) async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
    connector: &TlsConnector,
    stream: S,
) -> Raw<TlsStream<S>> {
    let name = ServerName::try_from("node.test").unwrap();
    Raw::over(connector.connect(name, stream).await.unwrap())
}
