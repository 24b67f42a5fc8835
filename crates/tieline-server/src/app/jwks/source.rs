//! Where the keys of an issuer come from: a file or a URL.
//!
//! Owns how they are read, and the bounds of a fetch. Must not know what is read, nor when. Invariants: a fetch ends
//! after [`TIMEOUT`] and brings at most [`MAX_LENGTH`] bytes; no redirect is followed; no text has the query of a URL.

use std::{fmt, path::PathBuf, time::Duration};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tieline::Bytes;
use tokio::time::timeout;

use crate::{
    config::key_set_location::KeySetUrl,
    http_client::{Authorities, AuthorityError, Client, ClientError, Request},
};

/// How long a fetch may take. A client whose token names an unknown key waits for it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of a key set: 100 keys of 4,096 bits fit, with certificates.
const MAX_LENGTH: usize = 1 << 20;

/// Where the keys are.
#[derive(Clone)]
pub(crate) enum Source {
    File(PathBuf),
    Url(Box<Remote>),
}

/// A URL that keys are fetched from.
#[derive(Clone)]
pub(crate) struct Remote {
    url: KeySetUrl,
    client: Client,
    /// Whose certificates are accepted.
    ca: Option<Vec<u8>>,
    /// How often keys are fetched again.
    pub(super) refresh: Duration,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("it did not answer within {} s", TIMEOUT.as_secs())]
    Late,
}

impl Remote {
    /// `ca` are the authorities whose certificates are accepted, as PEM text; those of the system if `None`.
    pub(crate) fn new(
        url: KeySetUrl,
        ca: Option<Vec<u8>>,
        refresh: Duration,
    ) -> Result<Self, AuthorityError> {
        let authorities = Authorities::of(url.is_https(), ca.as_deref());
        let mut headers = HeaderMap::new();
        let accepted = HeaderValue::from_static("application/jwk-set+json, application/json");
        headers.insert(header::ACCEPT, accepted);
        let agent = HeaderValue::from_static(concat!("tieline/", env!("CARGO_PKG_VERSION")));
        headers.insert(header::USER_AGENT, agent);
        Ok(Self {
            client: Client::new(authorities, headers, MAX_LENGTH)?,
            url,
            ca,
            refresh,
        })
    }

    async fn fetch(&self) -> Result<Bytes, ReadError> {
        let request = Request {
            method: Method::GET,
            uri: self.url.uri().clone(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let answer = timeout(TIMEOUT, self.client.send(&request)).await;
        let answer = answer.map_err(|_| ReadError::Late)??;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            status => Err(ReadError::Status(status)),
        }
    }
}

impl Source {
    /// What is there now.
    pub(super) async fn read(&self) -> Result<Bytes, ReadError> {
        match self {
            Self::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
                // The runtime shuts down.
                let bytes = read.map_err(std::io::Error::other)??;
                Ok(bytes.into())
            }
            Self::Url(remote) => remote.fetch().await,
        }
    }

    /// Whether both are the same URL, with the same certificates accepted.
    pub(super) fn is_same_url(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Url(one), Self::Url(other)) => one.url == other.url && one.ca == other.ca,
            _ => false,
        }
    }
}

/// Without a query.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(remote) => remote.url.fmt(f),
        }
    }
}
