//! The upgrade of a test client.
//!
//! Owns the request, and the two ends of the stream that stands for a socket. Must not know WebSocket
//! frames.

use std::{
    future::poll_fn,
    net::{Ipv4Addr, SocketAddr},
    panic::Location,
    pin::Pin,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;

use super::{
    client::TestClient,
    wait::{DEADLINE, Place, fail, within},
};
use crate::listener::{HttpService, serve_in_memory};

/// What fits between client and server, in each direction; about as much as a socket takes.
const BUFFER: usize = 64 * 1024;

/// The address that the application sees unless a test sets another.
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 50_000);

/// What a new client sends besides the headers of the test.
const UPGRADE: [(HeaderName, &str); 5] = [
    (header::HOST, "localhost"),
    (header::UPGRADE, "websocket"),
    (header::CONNECTION, "Upgrade"),
    (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
    (header::SEC_WEBSOCKET_VERSION, "13"),
];

impl TestClient {
    /// Connects to a service: an axum router, [`Node::service`](crate::Node::service), or any other that a
    /// [`Listener`](crate::Listener) could serve. `target` is the path with its query, as in
    /// `/ws?name=ada`.
    ///
    /// # Panics
    /// If the service refuses, or does not answer within 5 s.
    #[track_caller]
    pub fn connect(service: &impl HttpService, target: &str) -> impl Future<Output = Self> + Send {
        TestRequest::new(target).connect(service)
    }
}

/// The request with which a [`TestClient`] connects, to test what the application decides by it.
///
/// ```
/// use tieline::{Accept, Config, Hub, Node, Refusal, StatusCode, UpgradeRequest, testing::TestRequest};
///
/// async fn authorize(request: UpgradeRequest) -> Result<Accept<()>, Refusal> {
///     let token = request.headers().get("authorization");
///     if token.is_none_or(|token| token != "Bearer 42") {
///         return Err(Refusal::new(StatusCode::UNAUTHORIZED, "log in again\n"));
///     }
///     Ok(Accept::new(()).group("lobby"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// let node = Node::new(Hub::new(Config::default())?, ());
/// let service = node.service(authorize);
///
/// let refusal = TestRequest::new("/").expect_refusal(&service).await;
/// assert_eq!(refusal.status(), 401);
/// assert_eq!(refusal.body(), "log in again\n");
///
/// let request = TestRequest::new("/").header("authorization", "Bearer 42");
/// let client = request.connect(&service).await;
/// assert_eq!(node.hub().group_len("lobby"), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing unless it connects"]
pub struct TestRequest {
    target: String,
    headers: HeaderMap,
    remote_addr: SocketAddr,
    deadline: Duration,
}

impl TestRequest {
    /// A request for a path with its query, as in `/ws?name=ada`.
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            headers: HeaderMap::new(),
            remote_addr: REMOTE,
            deadline: DEADLINE,
        }
    }

    /// Adds a header: a token, a cookie, `origin`, or `sec-websocket-protocol` with the subprotocols to
    /// offer. It replaces what the request has by itself, such as `host`, which is `localhost`.
    ///
    /// # Panics
    /// If the name or the value is no valid header.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let place = Location::caller();
        let valid = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
        let (Ok(name), Ok(value)) = valid else {
            fail(place, format_args!("invalid header: {name}: {value}"));
        };
        self.headers.append(name, value);
        self
    }

    /// Sets the address that the application sees. Default: 127.0.0.1:50000.
    pub fn remote_addr(mut self, remote_addr: SocketAddr) -> Self {
        self.remote_addr = remote_addr;
        self
    }

    /// Sets how long the client waits for an answer to this request, and for whatever it expects later.
    /// Default: 5 s of tokio's time.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Connects to a service, as [`TestClient::connect`] does.
    ///
    /// # Panics
    /// If the service refuses, or does not answer within the deadline.
    #[track_caller]
    pub fn connect(self, service: &impl HttpService) -> impl Future<Output = TestClient> + Send {
        let place = Location::caller();
        let service = service.clone();
        async move {
            let deadline = self.deadline;
            let mut response = self.send(service, place).await;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                let refused = read(response, place).await;
                let (status, body) = (refused.status(), refused.body().trim_end());
                fail(place, format_args!("refused with {status}: {body}"));
            }
            let upgraded = hyper::upgrade::on(&mut response);
            let upgraded = within(deadline, place, "the upgrade did not complete", upgraded).await;
            match upgraded {
                Ok(stream) => TestClient::start(response.map(drop), TokioIo::new(stream), deadline),
                Err(error) => fail(place, format_args!("the upgrade failed: {error}")),
            }
        }
    }

    /// Connects to a service that must refuse, and returns its response.
    ///
    /// # Panics
    /// If the service accepts, or does not answer within the deadline.
    #[track_caller]
    pub fn expect_refusal(
        self,
        service: &impl HttpService,
    ) -> impl Future<Output = Response<String>> + Send {
        let place = Location::caller();
        let service = service.clone();
        async move {
            let response = self.send(service, place).await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                fail(place, "expected a refusal, but the upgrade was accepted");
            }
            read(response, place).await
        }
    }

    /// Sends the request to a server of its own, and waits for the head of the response.
    async fn send(self, service: impl HttpService, place: Place) -> Response<Incoming> {
        let (client, server) = tokio::io::duplex(BUFFER);
        tokio::spawn(serve_in_memory(server, self.remote_addr, service));
        let request = self.request(place);
        let answered = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(client)).await?;
            tokio::spawn(connection.with_upgrades());
            sender.send_request(request).await
        };
        match within(self.deadline, place, "no response came", answered).await {
            Ok(response) => response,
            Err(error) => fail(
                place,
                format_args!("the server ended without a response, or panicked: {error}"),
            ),
        }
    }

    fn request(&self, place: Place) -> Request<String> {
        let mut request = Request::new(String::new());
        *request.uri_mut() = self
            .target
            .parse()
            .unwrap_or_else(|_| fail(place, format_args!("invalid target: {}", self.target)));
        let mut headers = self.headers.clone();
        for (name, value) in UPGRADE {
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
        *request.headers_mut() = headers;
        request
    }
}

/// The response with its body, which is text.
async fn read(response: Response<Incoming>, place: Place) -> Response<String> {
    let (parts, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let whole = async {
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            bytes.extend(frame.into_data().unwrap_or_default());
        }
    };
    within(
        DEADLINE,
        place,
        "the body of the response did not end",
        whole,
    )
    .await;
    Response::from_parts(parts, String::from_utf8_lossy(&bytes).into_owned())
}
