//! Unix sockets: they are served as TCP is, and their clients have no address.

use std::{
    io::{IoSlice, Read},
    mem::MaybeUninit,
    net::SocketAddr,
    os::{fd::AsFd, unix::net::UnixStream as StdStream},
    path::PathBuf,
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tempfile::TempDir;
use tieline::{Config, Delivery, ForwardedHeader, Hub, Listener, Node, Proxies};
use tokio::{
    io::AsyncReadExt,
    net::{UnixListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::kit::{
    Log, Probe, Raw, eventually,
    raw::{CLOSE, request},
    run,
};

struct Server {
    hub: Hub,
    log: Log,
    path: PathBuf,
    _folder: TempDir,
    stop: oneshot::Sender<()>,
    served: JoinHandle<tieline::Drained>,
}

fn listen() -> (Listener, PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.sock");
    let listener = Listener::from_unix(UnixListener::bind(&path).unwrap());
    (listener, path, folder)
}

impl Server {
    fn start(config: Config, proxies: Proxies) -> Self {
        let (listener, path, folder) = listen();
        let hub = Hub::new(config).unwrap();
        let probe = Probe::new();
        probe.hub.set(hub.clone()).unwrap();
        let log = probe.log.clone();
        let node = Node::new(hub.clone(), probe.clone());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let authorize = move |request| probe.clone().authorize(request);
            let stopped = async { drop(stopped.await) };
            node.serve(listener.proxies(proxies), authorize, stopped)
                .await
        });
        Self {
            hub,
            log,
            path,
            _folder: folder,
            stop,
            served,
        }
    }

    async fn connect(&self) -> Raw<UnixStream> {
        Raw::over(UnixStream::connect(&self.path).await.unwrap())
    }

    /// The address of a client that begins with `first`, and sends these headers.
    async fn address_of(&self, first: &str, headers: &str) -> Option<SocketAddr> {
        let mut raw = self.connect().await;
        let hello = [first, &request("/?id=a", headers)].concat();
        raw.write(hello.as_bytes()).await;
        assert_eq!(raw.answer().await.status, 101);
        self.hub.connection("a").unwrap().remote_addr()
    }
}

#[test]
fn clients_of_a_unix_socket_are_as_others_without_an_address() {
    run(async {
        let server = Server::start(Config::default(), Proxies::default());
        assert_eq!(server.address_of("", "").await, None);
        let mut raw = server.connect().await;
        assert_eq!(raw.upgrade("/?id=b", "").await.status, 101);
        raw.send_text("hello").await;
        assert_eq!(raw.text().await, "hello");
        // The end of a client is noticed.
        drop(raw);
        eventually(|| server.hub.connection("b").is_none()).await;

        let mut last = server.connect().await;
        assert_eq!(last.upgrade("/?id=c", "").await.status, 101);
        server.stop.send(()).unwrap();
        let frame = last.frame().await.unwrap();
        assert_eq!(frame.opcode, CLOSE);
        last.send(CLOSE, &frame.payload).await;
        assert_eq!(server.served.await.unwrap().remaining, 0);
        assert!(UnixStream::connect(&server.path).await.is_err());
        assert!(server.path.exists(), "the file is the application's");
    });
}

#[test]
fn what_a_unix_socket_does_not_take_waits_and_arrives_in_order() {
    const FRAME: usize = 16 * 1024;
    run(async {
        let config = Config {
            outbox_bytes: 8 << 20,
            ..Config::default()
        };
        let server = Server::start(config, Proxies::default());
        let mut raw = server.connect().await;
        assert_eq!(raw.upgrade("/?id=a", "").await.status, 101);
        // More than the kernel holds for a socket.
        for n in 0..256 {
            let delivery = server.hub.emit("a", format!("{n:0FRAME$}")).await;
            assert_eq!(delivery, Delivery::Delivered, "{n}");
        }
        assert!(server.hub.connection("a").unwrap().queued().1 > 0);
        for n in 0..256 {
            assert_eq!(raw.text().await, format!("{n:0FRAME$}"));
        }
    });
}

#[test]
fn a_silent_client_of_a_unix_socket_is_closed() {
    run(async {
        let config = Config {
            ping_interval: Duration::from_millis(50),
            ping_timeout: Duration::from_millis(100),
            ..Config::default()
        };
        let server = Server::start(config, Proxies::default());
        let mut raw = server.connect().await;
        assert_eq!(raw.upgrade("/?id=a", "").await.status, 101);
        // It answers no ping.
        server.log.end_of("a").await;
    });
}

#[test]
fn a_unix_socket_is_believed_only_if_told() {
    run(async {
        let line = "PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n";
        let header = "X-Forwarded-For: 192.0.2.7\r\n";
        let server = Server::start(Config::default(), Proxies::default());
        assert_eq!(server.address_of("", header).await, None);
        let mut raw = server.connect().await;
        raw.write([line, &request("/", "")].concat().as_bytes())
            .await;
        assert_eq!(raw.answer().await.status, 400);

        let mut announcing = Proxies::default();
        announcing.proxy_protocol_unix = true;
        let server = Server::start(Config::default(), announcing.clone());
        let seen = server.address_of(line, header).await;
        assert_eq!(seen, Some("192.0.2.1:4711".parse().unwrap()));
        assert_eq!(server.address_of("PROXY UNKNOWN\r\n", "").await, None);
        let mut raw = server.connect().await;
        raw.write(request("/", "").as_bytes()).await;
        let mut rest = Vec::new();
        let _ = raw.stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "a header is required");

        let mut forwarding = Proxies::default();
        forwarding.forwarded_unix = true;
        forwarding.forwarded_header = ForwardedHeader::XForwardedFor;
        let server = Server::start(Config::default(), forwarding.clone());
        let seen = server.address_of("", header).await;
        assert_eq!(seen, Some("192.0.2.7:0".parse().unwrap()));
        assert_eq!(server.address_of("", "").await, None);

        // Both: a health check of the balancer, and a proxy whose network is not listed.
        forwarding.proxy_protocol_unix = true;
        let server = Server::start(Config::default(), forwarding);
        let local = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        let seen = server.address_of(local, header).await;
        assert_eq!(seen, Some("192.0.2.7:0".parse().unwrap()));
        let seen = server.address_of(line, header).await;
        assert_eq!(seen, Some("192.0.2.1:4711".parse().unwrap()));
    });
}

#[test]
fn places_of_a_unix_socket_count_for_the_announced_client_alone() {
    run(async {
        let config = Config {
            max_handshakes_per_address: Some(1),
            ..Config::default()
        };
        let server = Server::start(config, Proxies::default());
        let _waiting = [server.connect().await, server.connect().await];
        assert_eq!(server.address_of("", "").await, None);
    });
}

/// Whoever sends descriptors to a server that keeps them takes all that it may have.
#[test]
fn descriptors_that_a_client_sends_are_not_kept() {
    run(async {
        let server = Server::start(Config::default(), Proxies::default());
        let (mut mine, sent) = StdStream::pair().unwrap();
        let client = StdStream::connect(&server.path).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [sent.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let request = request("/?id=a", "");
        let bytes = [IoSlice::new(request.as_bytes())];
        sendmsg(&client, &bytes, &mut control, SendFlags::empty()).unwrap();
        drop(sent);
        client.set_nonblocking(true).unwrap();
        let mut raw = Raw::over(UnixStream::from_std(client).unwrap());
        assert_eq!(raw.answer().await.status, 101);
        // The other end is closed, so nobody has it.
        mine.set_nonblocking(true).unwrap();
        assert_eq!(mine.read(&mut [0]).unwrap(), 0);
    });
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_spoken_over_a_unix_socket_too() {
    use crate::kit::secure::{secure, serve_tls};

    run(async {
        let (listener, path, _folder) = listen();
        let (_node, connector) = serve_tls(Config::default(), listener);
        let stream = UnixStream::connect(&path).await.unwrap();
        let mut raw = secure(&connector, stream).await;
        assert_eq!(raw.upgrade("/?id=a", "").await.status, 101);
        raw.send_text("hello").await;
        assert_eq!(raw.text().await, "hello");
    });
}
