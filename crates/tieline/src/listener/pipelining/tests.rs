use std::{
    io::{self, IoSlice},
    sync::atomic::AtomicUsize,
    time::Duration,
};

use axum::{Router, body::Bytes, extract::Path, routing};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config::Config,
    listener::{AcceptInfo, http1::Server, peer::Peer},
};

/// A socket that counts what is written to it.
struct Counted {
    socket: TcpStream,
    writes: Arc<AtomicUsize>,
}

impl Counted {
    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(_)) = written {
            self.writes.fetch_add(1, Relaxed);
        }
        written
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// A connection whose client has sent its first bytes before it is served.
struct Connection {
    client: TcpStream,
    writes: Arc<AtomicUsize>,
    /// Lets the handler of `/wait` answer.
    gate: Arc<Notify>,
    served: JoinHandle<()>,
}

impl Connection {
    async fn serve(first: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = socket.connect(address).await.unwrap();
        client.write_all(first.as_bytes()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        socket.readable().await.unwrap();
        let (writes, gate) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
        let stream = Counted {
            socket,
            writes: Arc::clone(&writes),
        };
        let served = tokio::spawn(serve(stream, routes(Arc::clone(&gate))));
        Self {
            client,
            writes,
            gate,
            served,
        }
    }

    async fn receive(&mut self, expected: &str) {
        let mut received = vec![0; expected.len()];
        let read = self.client.read_exact(&mut received);
        timeout(Duration::from_secs(20), read)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(String::from_utf8(received).unwrap(), expected);
    }

    /// The client leaves, and the connection ends.
    async fn end(self) {
        drop(self.client);
        let ended = timeout(Duration::from_secs(20), self.served);
        ended.await.unwrap().unwrap();
    }
}

fn routes(gate: Arc<Notify>) -> Router {
    let wait = move || async move {
        gate.notified().await;
        undated("waited")
    };
    let read = |body: Bytes| async move { undated(&"r".repeat(body.len())) };
    let long = |Path(length): Path<usize>| async move { undated(&long(length)) };
    Router::new()
        .route("/wait", routing::get(wait))
        .route("/read", routing::post(read))
        .route("/long/{length}", routing::get(long))
}

fn long(length: usize) -> String {
    format!("{length} ").chars().cycle().take(length).collect()
}

/// hyper adds no date if there is one.
fn undated(body: &str) -> ([(&'static str, &'static str); 1], String) {
    ([("date", "x")], body.to_owned())
}

fn response(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ndate: x\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

async fn serve(stream: Counted, routes: Router) {
    let server = Server::new(&Config::default());
    let guard = server.places().take(None).await.unwrap();
    let now = Instant::now();
    let accept_info = AcceptInfo {
        peer: Peer::Unknown,
        requested_at: now,
        arrived_at: now,
        is_tls: false,
        #[cfg(feature = "tls")]
        client_certificate: None,
    };
    let never = CancellationToken::new();
    let _ = server
        .serve_http(stream, accept_info, guard.place(), routes, never)
        .await;
}

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: h\r\n\r\n";
const READ: &str = "POST /read HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody";

#[tokio::test]
async fn responses_to_requests_that_arrive_together_leave_together() {
    let mut connection = Connection::serve(&READ.repeat(8)).await;
    // That the client pipelines is known from the second response on.
    connection.receive(&response("rrrr").repeat(8)).await;
    assert_eq!(connection.writes.load(Relaxed), 2);
    for writes in 3..6 {
        let requests = READ.repeat(8);
        let sent = connection.client.write_all(requests.as_bytes());
        sent.await.unwrap();
        connection.receive(&response("rrrr").repeat(8)).await;
        assert_eq!(connection.writes.load(Relaxed), writes);
    }
    connection.end().await;
}

#[tokio::test]
async fn a_response_does_not_wait_for_the_handler_of_the_next_request() {
    let requests = [READ, READ, WAIT, READ].concat();
    let mut connection = Connection::serve(&requests).await;
    for is_last in [false, false, true] {
        connection.receive(&response("rrrr").repeat(2)).await;
        connection.gate.notify_one();
        connection.receive(&response("waited")).await;
        connection.receive(&response("rrrr")).await;
        if !is_last {
            let sent = connection.client.write_all(requests.as_bytes());
            sent.await.unwrap();
        }
    }
    connection.end().await;
}

#[tokio::test]
async fn a_response_does_not_wait_for_the_rest_of_the_next_request() {
    // In the head, and in the body.
    for at in [1, 30, READ.len() - 2] {
        let (begun, rest) = READ.split_at(at);
        let mut connection = Connection::serve(&[READ, READ, begun].concat()).await;
        connection.receive(&response("rrrr").repeat(2)).await;
        connection.client.write_all(rest.as_bytes()).await.unwrap();
        connection.receive(&response("rrrr")).await;
        connection.end().await;
    }
}

#[tokio::test]
async fn the_last_response_leaves_before_the_connection_ends() {
    for last in ["no request\r\n\r\n", "GET /long/9 HTTP/1.0\r\n\r\n"] {
        let mut connection = Connection::serve(&[READ, READ, last].concat()).await;
        let mut received = String::new();
        let read = connection.client.read_to_string(&mut received);
        timeout(Duration::from_secs(20), read)
            .await
            .unwrap()
            .unwrap();
        let statuses = received.matches("HTTP/1.").count();
        assert_eq!(statuses, 3, "{received}");
        connection.end().await;
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_all_in_order() {
    let lengths: Vec<usize> = (0..40).map(|i| 17 * i * i * i % 200_000).collect();
    let requests = lengths.iter().map(|length| {
        format!("GET /long/{length} HTTP/1.1\r\nhost: h\r\n\r\n") // some longer than what is kept
    });
    let mut connection = Connection::serve(&requests.collect::<String>()).await;
    for length in lengths {
        connection.receive(&response(&long(length))).await;
    }
    connection.end().await;
}
