//! One HTTP request of the server to another, and its answer.
//!
//! Owns connections (HTTP/1.1, HTTP/2 over TLS, keep-alive; also over a Unix socket), TLS, and the bound of an
//! answer. Must not know who is asked, nor retries or time limits: a call that is dropped ends. Invariant: no redirect
//! is followed, and no more of an answer is read than its bound.

use std::{
    error::Error,
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tieline::{Bytes, StatusCode};
use tokio::net::UnixStream;
use tower_service::Service;

/// Longest head of an answer over HTTP/1.1, and the most that is read at once. hyper reads on and on while a
/// server sends one interim answer (1xx) after the other, and looks up after 128 reads: with its own buffers,
/// that is enough to hold up a thread for a second.
const MAX_HEAD: usize = 32 << 10;

/// How long connecting may take. Without it, a host that is gone takes the time of a whole call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept. Shorter than what common servers keep theirs for would cost
/// handshakes; for those that close earlier, the request is repeated on a new connection.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// What to send.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What came back, of any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Longer than this bound.
    #[error("the answer has more than {} MiB", .0 >> 20)]
    TooLong(usize),
    /// Not connected, not encrypted as configured, or cut off.
    #[error("{0}")]
    Network(String),
    /// Connected, but to something that does not speak HTTP.
    #[error("it does not speak HTTP: {0}")]
    NotHttp(String),
}

/// The authorities of TLS are unusable.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the certificate authorities: {0}")]
pub(crate) struct AuthorityError(String);

/// Which certificates are accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Authorities<'a> {
    /// None: only plain HTTP is spoken.
    None,
    /// Those of the system.
    System,
    /// These alone, as PEM text.
    Given(&'a [u8]),
    /// Any, also those of nobody: for requests to this machine that send nothing secret.
    Unverified,
}

impl<'a> Authorities<'a> {
    /// Those of a server: the given ones, or else those of the system, if TLS is spoken with it.
    pub(crate) fn of(is_https: bool, given: Option<&'a [u8]>) -> Self {
        match given {
            _ if !is_https => Self::None,
            Some(pem) => Self::Given(pem),
            None => Self::System,
        }
    }

    /// Whether they can be used.
    pub(crate) fn check(self) -> Result<(), AuthorityError> {
        tls_config(self).map(drop)
    }
}

/// How the server is reached.
#[derive(Clone)]
enum Http {
    Network(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    Unix(legacy::Client<UnixConnector, Full<Bytes>>),
}

/// Sends requests to one server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    http: Http,
    /// Those of each request.
    headers: HeaderMap,
    /// Longest body of an answer.
    max_answer: usize,
}

impl Client {
    pub(crate) fn new(
        authorities: Authorities<'_>,
        headers: HeaderMap,
        max_answer: usize,
    ) -> Result<Self, AuthorityError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(authorities)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        Ok(Self {
            http: Http::Network(builder().build(connector)),
            headers,
            max_answer,
        })
    }

    /// Over a Unix socket, whatever the host of a request.
    pub(crate) fn by_socket(path: &Path, headers: HeaderMap, max_answer: usize) -> Self {
        let connector = UnixConnector(path.into());
        Self {
            http: Http::Unix(builder().build(connector)),
            headers,
            max_answer,
        }
    }

    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, ClientError> {
        self.begin(request).await?.whole().await
    }

    /// Sends a request whose answer may go on and on.
    pub(crate) async fn begin(&self, request: &Request) -> Result<BegunAnswer, ClientError> {
        let mut outgoing = http::Request::new(Full::new(request.body.clone()));
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = request.uri.clone();
        outgoing.headers_mut().clone_from(&self.headers);
        outgoing.headers_mut().extend(request.headers.clone());
        let sent = match &self.http {
            Http::Network(http) => http.request(outgoing).await,
            Http::Unix(http) => http.request(outgoing).await,
        };
        Ok(BegunAnswer {
            response: sent.map_err(|error| network(&error))?,
            max_answer: self.max_answer,
        })
    }
}

fn builder() -> legacy::Builder {
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_read_buf_exact_size(MAX_HEAD);
    builder
}

/// Connects to a Unix socket.
#[derive(Clone)]
struct UnixConnector(Arc<Path>);

impl Service<Uri> for UnixConnector {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = Arc::clone(&self.0);
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    }
}

/// An answer whose body is still to come.
pub(crate) struct BegunAnswer {
    response: http::Response<Incoming>,
    max_answer: usize,
}

impl BegunAnswer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The whole of it.
    pub(crate) async fn whole(self) -> Result<Answer, ClientError> {
        let (head, body) = self.response.into_parts();
        let body = Limited::new(body, self.max_answer).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ClientError::TooLong(self.max_answer)
            } else {
                network(&*error)
            }
        })?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    }

    /// The next bytes; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.response.frame().await {
            let frame = frame.map_err(|error| network(&error))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

/// The error with its causes: hyper names the cause only there. None of them quotes the request.
fn network(error: &(dyn Error + 'static)) -> ClientError {
    let (mut text, mut is_http) = (error.to_string(), true);
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        is_http &= !error.downcast_ref().is_some_and(hyper::Error::is_parse);
        cause = error.source();
    }
    if is_http {
        ClientError::Network(text)
    } else {
        ClientError::NotHttp(text)
    }
}

fn tls_config(authorities: Authorities<'_>) -> Result<ClientConfig, AuthorityError> {
    let roots = match authorities {
        Authorities::None => RootCertStore::empty(),
        Authorities::System => system_roots()?,
        Authorities::Given(pem) => given_roots(pem)?,
        Authorities::Unverified => return unverified(),
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| AuthorityError(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn unverified() -> Result<ClientConfig, AuthorityError> {
    let config = tieline_bench::unverified_tls();
    let config = config.map_err(|error| AuthorityError(error.to_string()))?;
    let mut config = ClientConfig::clone(&config);
    // The connector names them.
    config.alpn_protocols.clear();
    Ok(config)
}

fn given_roots(pem: &[u8]) -> Result<RootCertStore, AuthorityError> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(pem) {
        let authority = authority.map_err(|error| AuthorityError(error.to_string()))?;
        let added = roots.add(authority);
        added.map_err(|error| AuthorityError(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(AuthorityError("the PEM text contains none".into()));
    }
    Ok(roots)
}

/// The system's authorities. Unreadable ones are skipped.
fn system_roots() -> Result<RootCertStore, AuthorityError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match (roots.is_empty(), found.errors.first()) {
        (false, _) => Ok(roots),
        (true, Some(error)) => Err(AuthorityError(error.to_string())),
        (true, None) => Err(AuthorityError("the system has none; configure one".into())),
    }
}
