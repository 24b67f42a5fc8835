//! Handshakes that fail: counted by reason, and told with the address.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tieline::{Accept, Config, FailedHandshake, HandshakeFailure, HandshakeFailures, Hub, Node};
use tokio::{net::TcpStream, sync::oneshot};

use crate::kit::{Raw, eventually, listen, raw::request, run};

/// A listener whose failures are watched.
struct Watched {
    address: SocketAddr,
    failures: HandshakeFailures,
    told: Arc<Mutex<Vec<FailedHandshake>>>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Watched {
    async fn start() -> Self {
        let (listener, address) = listen().await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let failures = listener.handshake_failures();
        let notes = Arc::clone(&told);
        let listener = listener
            .on_handshake_failure(|_| panic!("the second callback replaces the first"))
            .on_handshake_failure(move |failed| notes.lock().push(failed.clone()));
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let node = Node::new(Hub::new(Config::default()).unwrap(), ());
            let authorize = async |_| Ok(Accept::new(()));
            // It takes the limits of the node, and keeps the counts and the callback.
            node.serve(listener, authorize, async {
                drop(stopped.await);
            })
            .await;
        });
        Self {
            address,
            failures,
            told,
            stop,
            ended,
        }
    }

    async fn connect(&self) -> Raw {
        Raw::over(TcpStream::connect(self.address).await.unwrap())
    }

    /// The reasons for which handshakes have failed, each with how many.
    fn counted(&self) -> Vec<(HandshakeFailure, u64)> {
        let counts = self.failures.counts();
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

#[test]
fn a_failed_handshake_is_counted_and_told_with_its_address() {
    run(async {
        let server = Watched::start().await;
        let mut client = server.connect().await;
        assert_eq!(client.upgrade("/", "").await.status, 101);
        let mut faulty = server.connect().await;
        let address = faulty.stream.local_addr().unwrap();
        faulty.write(b"\x16\x03\x01\r\n\r\n").await;
        assert_eq!(faulty.answer().await.status, 400);
        eventually(|| !server.told.lock().is_empty()).await;
        let told = server.told.lock().pop().unwrap();
        assert_eq!(told.failure, HandshakeFailure::Request);
        assert_eq!(told.remote_addr, Some(address));
        assert!(!told.error.is_empty());
        // Half a request, and the end.
        let mut leaving = server.connect().await;
        leaving.write(&request("/", "").as_bytes()[..20]).await;
        drop(leaving);
        eventually(|| !server.told.lock().is_empty()).await;
        assert_eq!(server.told.lock()[0].failure, HandshakeFailure::Left);
        let expected = [(HandshakeFailure::Request, 1), (HandshakeFailure::Left, 1)];
        assert_eq!(server.counted(), expected);
    });
}

#[test]
fn who_is_connected_answered_or_waiting_when_a_listener_ends_has_not_failed() {
    run(async {
        let server = Watched::start().await;
        let mut client = server.connect().await;
        assert_eq!(client.upgrade("/", "").await.status, 101);
        let mut kept = server.connect().await;
        assert_eq!(
            kept.upgrade("/", "Origin: http://elsewhere\r\n")
                .await
                .status,
            403
        );
        let _waiting = server.connect().await;
        // Accepted after the others, which are served by now.
        let mut last = server.connect().await;
        assert_eq!(last.upgrade("/", "").await.status, 101);
        drop((kept, client, last));
        server.stop.send(()).unwrap();
        server.ended.await.unwrap();
        assert_eq!(
            server
                .failures
                .counts()
                .map(|(_, count)| count)
                .sum::<u64>(),
            0
        );
        assert!(server.told.lock().is_empty());
    });
}
