//! Proxies: which are believed, and whose address a client has.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline::{Accept, Config, ForwardedHeader, Hub, Node, Proxies, UpgradeRequest};
use tokio::{io::AsyncReadExt, net::TcpSocket};

use crate::kit::{Raw, Stopwatch, eventually, listen, raw::request, run};

/// Which the tests list. Linux has all of 127.0.0.0/8.
const PROXY: &str = "127.0.0.2";
const STRANGER: &str = "127.0.0.3";

struct Server {
    node: Node<()>,
    address: SocketAddr,
    /// The address of each client that asked for an upgrade.
    seen: Arc<Mutex<Vec<Option<SocketAddr>>>>,
}

impl Server {
    async fn start(config: Config, proxies: Proxies) -> Self {
        let (listener, address) = listen().await;
        let node = Node::new(Hub::new(config).unwrap(), ());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (serving, noted) = (node.clone(), Arc::clone(&seen));
        let listener = listener.proxies(proxies);
        tokio::spawn(async move {
            let authorize = move |request: UpgradeRequest| {
                noted.lock().push(request.remote_addr());
                async { Ok(Accept::new(()).id(tieline::ClientId::new("a").unwrap())) }
            };
            let forever = std::future::pending();
            serving.serve(listener, authorize, forever).await
        });
        Self {
            node,
            address,
            seen,
        }
    }

    async fn connect(&self, from: &str) -> Raw {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::new(from.parse().unwrap(), 0))
            .unwrap();
        Raw::over(socket.connect(self.address).await.unwrap())
    }

    /// The address of a client that begins with `first`, and sends these headers.
    async fn address_of(&self, from: &str, first: &str, headers: &str) -> Option<SocketAddr> {
        let mut raw = self.connect(from).await;
        let hello = [first, &request("/", headers)].concat();
        raw.write(hello.as_bytes()).await;
        assert_eq!(raw.answer().await.status, 101);
        let connection = self.node.hub().connection("a").unwrap();
        let seen = self.seen.lock().pop().unwrap();
        assert_eq!(connection.remote_addr(), seen);
        seen
    }

    /// Waits for the end of a connection that gets no upgrade.
    async fn is_refused(&self, from: &str, first: &[u8]) -> String {
        let mut raw = self.connect(from).await;
        raw.write(first).await;
        let mut rest = Vec::new();
        let _ = raw.stream.read_to_end(&mut rest).await;
        assert!(self.seen.lock().is_empty());
        String::from_utf8(rest).unwrap()
    }
}

fn announcing() -> Proxies {
    let mut proxies = Proxies::default();
    proxies.proxy_protocol = vec![PROXY.parse().unwrap()];
    proxies
}

fn forwarding(header: ForwardedHeader) -> Proxies {
    let mut proxies = Proxies::default();
    proxies.forwarded = vec![PROXY.parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    proxies.forwarded_header = header;
    proxies
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_listed_proxy_announces_its_client_before_the_request() {
    run(async {
        let server = Server::start(Config::default(), announcing()).await;
        let line = "PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n";
        let seen = server.address_of(PROXY, line, "").await;
        assert_eq!(seen, Some(address("192.0.2.1:4711")));
        let unknown = server.address_of(PROXY, "PROXY UNKNOWN\r\n", "").await;
        assert_eq!(unknown, None, "it is not the proxy's own");
        // What requests say is not asked for.
        let seen = server
            .address_of(PROXY, line, "X-Forwarded-For: 127.0.0.1\r\n")
            .await;
        assert_eq!(seen, Some(address("192.0.2.1:4711")));
    });
}

#[test]
fn a_header_is_required_of_listed_proxies_and_refused_from_others() {
    run(async {
        let server = Server::start(Config::default(), announcing()).await;
        let request = request("/", "");
        assert_eq!(server.is_refused(PROXY, request.as_bytes()).await, "");
        let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n{request}");
        let answer = server.is_refused(STRANGER, line.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x01\0\x02";
        let answer = server.is_refused(STRANGER, binary).await;
        assert!(!answer.starts_with("HTTP/1.1 101"), "{answer}");
        let seen = server.address_of(STRANGER, "", "").await.unwrap();
        assert_eq!(seen.ip().to_string(), STRANGER);
    });
}

#[test]
fn a_header_that_does_not_come_has_the_deadline_of_a_request() {
    run(async {
        let timeout = Duration::from_millis(500);
        let config = Config {
            handshake_timeout: timeout,
            ..Config::default()
        };
        let server = Server::start(config, announcing()).await;
        for first in [
            &b""[..],
            b"PROXY TCP4 192.0.2.1 127.0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\xff1",
        ] {
            let watch = Stopwatch::start();
            assert_eq!(server.is_refused(PROXY, first).await, "");
            assert!(watch.elapsed() < timeout * 4, "{first:?}");
        }
    });
}

#[test]
fn places_are_counted_for_the_announced_client() {
    run(async {
        let config = Config {
            max_handshakes_per_address: Some(1),
            ..Config::default()
        };
        let server = Server::start(config, announcing()).await;
        let line = "PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n";
        let mut waiting = server.connect(PROXY).await;
        waiting.write(line.as_bytes()).await;
        // Nobody sees when it has been counted, but the next of the same client, which is closed.
        eventually_closed(&server, line).await;
        let other = "PROXY TCP4 192.0.2.2 127.0.0.1 4711 80\r\n";
        assert_eq!(
            server.address_of(PROXY, other, "").await,
            Some(address("192.0.2.2:4711"))
        );
        drop(waiting);
        // Its place is free again.
        let mut is_free = false;
        while !is_free {
            let mut raw = server.connect(PROXY).await;
            raw.write([line, &request("/", "")].concat().as_bytes())
                .await;
            is_free = raw.stream.read_u8().await.is_ok();
        }
    });
}

async fn eventually_closed(server: &Server, line: &str) {
    loop {
        let mut raw = server.connect(PROXY).await;
        raw.write(line.as_bytes()).await;
        let closed = raw.stream.read_u8();
        if tokio::time::timeout(Duration::from_millis(100), closed)
            .await
            .is_ok()
        {
            return;
        }
    }
}

#[test]
fn forwarded_headers_count_from_listed_networks_only() {
    run(async {
        let server = Server::start(
            Config::default(),
            forwarding(ForwardedHeader::XForwardedFor),
        )
        .await;
        let chain = "X-Forwarded-For: 127.0.0.1, 192.0.2.1\r\nX-Forwarded-For: 10.0.0.7\r\n";
        assert_eq!(
            server.address_of(PROXY, "", chain).await,
            Some(address("192.0.2.1:0"))
        );
        let seen = server.address_of(STRANGER, "", chain).await.unwrap();
        assert_eq!(seen.ip().to_string(), STRANGER);
        let other = server
            .address_of(PROXY, "", "Forwarded: for=192.0.2.1\r\n")
            .await;
        assert_eq!(other, None, "it may be the client's own");
        assert_eq!(server.address_of(PROXY, "", "").await, None);
        let server = Server::start(Config::default(), forwarding(ForwardedHeader::Forwarded)).await;
        let seen = server
            .address_of(PROXY, "", "Forwarded: for=\"[2001:db8::1]:1\"\r\n")
            .await;
        assert_eq!(seen, Some(address("[2001:db8::1]:1")));
    });
}

#[test]
fn a_balancer_that_announces_proxies_and_a_proxy_that_forwards_are_both_believed() {
    run(async {
        let mut proxies = forwarding(ForwardedHeader::XForwardedFor);
        proxies.proxy_protocol = announcing().proxy_protocol;
        let server = Server::start(Config::default(), proxies).await;
        let header = "X-Forwarded-For: 192.0.2.1\r\n";
        let by_proxy = "PROXY TCP4 10.0.0.7 127.0.0.1 4711 80\r\n";
        assert_eq!(
            server.address_of(PROXY, by_proxy, header).await,
            Some(address("192.0.2.1:0"))
        );
        let by_stranger = "PROXY TCP4 192.0.2.9 127.0.0.1 4711 80\r\n";
        let seen = server.address_of(PROXY, by_stranger, header).await;
        assert_eq!(seen, Some(address("192.0.2.9:4711")));
    });
}

#[test]
fn each_request_of_a_kept_connection_has_its_own_client() {
    run(async {
        let server = Server::start(
            Config::default(),
            forwarding(ForwardedHeader::XForwardedFor),
        )
        .await;
        let mut raw = server.connect(PROXY).await;
        // Refused, so that the connection stays one of HTTP: no version.
        raw.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.8\r\n\r\n")
            .await;
        assert_eq!(raw.answer().await.status, 426);
        let header = "X-Forwarded-For: 192.0.2.9\r\n";
        raw.write(request("/", header).as_bytes()).await;
        assert_eq!(raw.answer().await.status, 101);
        eventually(|| !server.seen.lock().is_empty()).await;
        assert_eq!(*server.seen.lock(), [Some(address("192.0.2.9:0"))]);
    });
}

#[cfg(feature = "tls")]
#[test]
fn the_header_comes_before_tls() {
    run(async {
        let secure = crate::kit::Secure::start_with(Config::default(), announcing()).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::new(PROXY.parse().unwrap(), 0))
            .unwrap();
        let tcp = socket.connect(secure.address).await.unwrap();
        let mut plain = Raw::over(tcp);
        plain
            .write(b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n")
            .await;
        let mut client = secure.secure(plain.stream).await;
        assert_eq!(client.upgrade("/?id=a", "").await.status, 101);
        let connection = secure.node.hub().connection("a").unwrap();
        assert_eq!(connection.remote_addr(), Some(address("192.0.2.1:4711")));
    });
}
