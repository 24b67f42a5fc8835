//! A client of an etcd cluster: timeouts, failover, tokens.
//!
//! Owns when a call is made again. A call that was certainly not carried out goes to the next endpoint. A
//! call that may have been carried out does so only if it is [`RetrySafety::Idempotent`]; else the error says
//! that its outcome is unknown. Must not know keys.

use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{
    Request,
    client::Grpc,
    metadata::{Ascii, MetadataMap, MetadataValue},
};

use super::{
    call_error::CallError,
    endpoints::{ChosenEndpoint, Endpoints},
    options::EtcdOptions,
    rpc::{AuthenticateRequest, RpcRequest},
    url::{Credentials, EtcdUrl},
};

/// The largest response, in bytes. The largest that etcd sends here is a page of the longest keys, or the
/// longest keys of one lease: a few MiB.
const MAX_RESPONSE: usize = 16 << 20;

/// How often one call renews the token at one endpoint: it may have expired, and the users may have changed
/// since.
const MAX_TOKEN_RENEWALS: usize = 2;

/// Whether a call may be sent again when its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetrySafety {
    /// Yes: it only reads, or has the same effect twice as once.
    Idempotent,
    /// Yes, and the response of an endpoint that lags behind is good enough.
    StaleRead,
    /// No: a late execution could undo later changes.
    SendOnce,
}

pub(super) struct EtcdClient {
    endpoints: Endpoints,
    timeout: Duration,
    credentials: Option<Credentials>,
    token: RwLock<Token>,
    /// Held while a token is requested: each password check takes etcd 100 ms of one core.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Token {
    /// Counts the tokens of this client.
    number: u64,
    /// `None` if etcd has no users.
    value: Option<MetadataValue<Ascii>>,
}

/// The refused tokens of one call.
#[derive(Default)]
struct Refusals {
    endpoint: Option<usize>,
    /// By this endpoint.
    count: usize,
    /// Endpoints that were left.
    left: usize,
}

impl Refusals {
    /// Counts a refusal. Whether the endpoint has refused tokens that it has issued itself.
    fn exhausted(&mut self, endpoint: &ChosenEndpoint) -> bool {
        if self.endpoint.replace(endpoint.index) != Some(endpoint.index) {
            self.count = 0;
        }
        self.count += 1;
        let exhausted = self.count > MAX_TOKEN_RENEWALS;
        if exhausted {
            self.left += 1;
            self.endpoint = None;
        }
        exhausted
    }
}

impl EtcdClient {
    pub(super) fn new(url: EtcdUrl, options: &EtcdOptions) -> Result<Self, String> {
        Ok(Self {
            endpoints: Endpoints::new(&url, options)?,
            timeout: options.timeout,
            credentials: url.credentials,
            token: RwLock::default(),
            renewing: tokio::sync::Mutex::new(()),
        })
    }

    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// How long one call may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Adds what the head of a stream needs: the token, and that a server without a leader ends it.
    pub(super) fn authorize(&self, metadata: &mut MetadataMap) {
        if let Some(token) = self.token.read().value.clone() {
            metadata.insert("token", token);
        }
        metadata.insert("hasleader", MetadataValue::from_static("true"));
    }

    /// Makes a call within the timeout.
    pub(super) async fn call<C: RpcRequest>(
        &self,
        safety: RetrySafety,
        call: C,
    ) -> Result<C::Response, CallError> {
        let deadline = Instant::now() + self.timeout;
        let mut refusals = Refusals::default();
        loop {
            let token = self.token.read().clone();
            let (error, endpoint) = match self.fail_over(deadline, safety, &token, &call).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            if !matches!(error, CallError::InvalidToken(_)) || self.credentials.is_none() {
                return Err(error);
            }
            if refusals.exhausted(&endpoint) {
                // A server that does not accept even its own tokens (etcd-io/etcd#9629).
                if refusals.left == self.endpoints.len() {
                    return Err(error);
                }
                self.endpoints.failed(&endpoint);
                continue;
            }
            timeout_at(deadline, self.renew_token(token.number))
                .await
                .unwrap_or(Err(CallError::Timeout))?;
        }
    }

    /// Gets the first token, if there are credentials.
    pub(super) async fn authenticate(&self) -> Result<(), CallError> {
        match self.credentials {
            Some(_) => self.renew_token(0).await,
            None => Ok(()),
        }
    }

    /// Replaces the token with this number, unless another call has done so.
    async fn renew_token(&self, number: u64) -> Result<(), CallError> {
        let Some(Credentials { user, password }) = self.credentials.clone() else {
            return Ok(());
        };
        let _only = self.renewing.lock().await;
        if self.token.read().number != number {
            return Ok(());
        }
        let request = AuthenticateRequest {
            name: user,
            password,
        };
        let deadline = Instant::now() + self.timeout;
        let nobody = Token::default();
        let response = self.fail_over(deadline, RetrySafety::Idempotent, &nobody, &request);
        let value = match response.await {
            Ok(response) => Some(response.token.parse().map_err(|_| {
                CallError::Unknown("etcd sent a token that is not a valid header value".to_owned())
            })?),
            // Authentication may be enabled later.
            Err((CallError::AuthDisabled, _)) => None,
            Err((error, _)) => return Err(error),
        };
        *self.token.write() = Token {
            number: number + 1,
            value,
        };
        Ok(())
    }

    /// Makes a call at one endpoint after the other, until the deadline. An error comes with the endpoint
    /// that was tried last.
    async fn fail_over<C: RpcRequest>(
        &self,
        deadline: Instant,
        safety: RetrySafety,
        token: &Token,
        call: &C,
    ) -> Result<C::Response, (CallError, ChosenEndpoint)> {
        let idempotent = safety != RetrySafety::SendOnce;
        let mut pause = Duration::from_millis(10);
        // The error of an endpoint that responded says more than a timeout.
        let mut reason = None;
        let mut tried = 0;
        loop {
            tried += 1;
            let another = tried < self.endpoints.len();
            let left = deadline.saturating_duration_since(Instant::now());
            let share = if idempotent && another {
                left / 2
            } else {
                left
            };
            let chosen = self.endpoints.choose();
            let attempt = attempt(&chosen, share, safety, token, call.clone());
            let error = match timeout(share, attempt).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => error,
                Err(_) => CallError::Timeout,
            };
            if error.is_of_endpoint() {
                self.endpoints.failed(&chosen);
            }
            if !error.may_retry(idempotent, another) {
                return Err((error, chosen));
            }
            if reason.is_none() || !matches!(error, CallError::Timeout) {
                reason = Some((error, chosen));
            }
            if !another {
                pause = (pause * 2).min(Duration::from_millis(100));
                sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            }
            if Instant::now() >= deadline
                && let Some(failure) = reason.take()
            {
                return Err(failure);
            }
        }
    }
}

/// Makes a call at one endpoint.
async fn attempt<C: RpcRequest>(
    chosen: &ChosenEndpoint,
    limit: Duration,
    safety: RetrySafety,
    token: &Token,
    call: C,
) -> Result<C::Response, CallError> {
    let mut head = Request::new(());
    // etcd drops the call, too, when nobody waits for it any more.
    head.set_timeout(limit);
    let metadata = head.metadata_mut();
    if let Some(token) = &token.value {
        metadata.insert("token", token.clone());
    }
    if safety != RetrySafety::StaleRead {
        // A server without a leader responds with an error, instead of letting the call wait.
        metadata.insert("hasleader", MetadataValue::from_static("true"));
    }
    let mut grpc = Grpc::new(chosen.channel.clone()).max_decoding_message_size(MAX_RESPONSE);
    grpc.ready()
        .await
        .map_err(|error| CallError::NotExecuted(format!("etcd at {}: {error}", chosen.name)))?;
    call.send(grpc, head)
        .await
        .map_err(|status| CallError::from_status(&status, &chosen.name))
}
