//! A client of an etcd cluster: timeouts, failover, tokens.
//!
//! Owns when a call is made again. A call that was certainly not carried out goes to the next endpoint. A
//! call that may have been carried out does so only if it is [`RetrySafety::Idempotent`]; else the error says
//! that its outcome is unknown. Must not know keys.

use std::time::Duration;

use http::uri::PathAndQuery;
use parking_lot::RwLock;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{
    Request,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
};
use tonic_prost::ProstCodec;

use super::{
    call_error::CallError,
    endpoints::{ChosenEndpoint, Endpoints},
    options::EtcdOptions,
    rpc::{AuthenticateRequest, RpcRequest},
    url::{Credentials, EtcdUrl},
};

/// The largest response, in bytes. etcd lists the keys of a lease in one response: about 60 bytes per key,
/// two keys per entry, enough for a million entries.
const MAX_RESPONSE: usize = 256 << 20;

/// How often one call renews the token: it may have expired, and the users may have changed since.
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

    /// Makes a call within the timeout.
    pub(super) async fn call<C: RpcRequest>(
        &self,
        safety: RetrySafety,
        call: C,
    ) -> Result<C::Response, CallError> {
        self.call_for(1, safety, call).await
    }

    /// Makes a call that may take several timeouts.
    pub(super) async fn call_for<C: RpcRequest>(
        &self,
        timeouts: u32,
        safety: RetrySafety,
        call: C,
    ) -> Result<C::Response, CallError> {
        let deadline = Instant::now() + self.timeout * timeouts;
        let mut renewed = 0;
        loop {
            let token = self.token.read().clone();
            let error = match self.fail_over(deadline, safety, &token, &call).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let renewable = self.credentials.is_some() && renewed < MAX_TOKEN_RENEWALS;
            if !matches!(error, CallError::InvalidToken(_)) || !renewable {
                return Err(error);
            }
            renewed += 1;
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
        let value = match self
            .fail_over(deadline, RetrySafety::Idempotent, &nobody, &request)
            .await
        {
            Ok(response) => Some(response.token.parse().map_err(|_| {
                CallError::Unknown("etcd sent a token that is not a valid header value".to_owned())
            })?),
            // Authentication may be enabled later.
            Err(CallError::AuthDisabled) => None,
            Err(error) => return Err(error),
        };
        *self.token.write() = Token {
            number: number + 1,
            value,
        };
        Ok(())
    }

    /// Makes a call at one endpoint after the other, until the deadline.
    async fn fail_over<C: RpcRequest>(
        &self,
        deadline: Instant,
        safety: RetrySafety,
        token: &Token,
        call: &C,
    ) -> Result<C::Response, CallError> {
        let idempotent = safety != RetrySafety::SendOnce;
        let mut pause = Duration::from_millis(10);
        // The error of an endpoint that responded says more than a timeout.
        let mut reason = None;
        for tried in 1.. {
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
                return Err(error);
            }
            if !matches!(error, CallError::Timeout) {
                reason = Some(error);
            }
            if !another {
                pause = (pause * 2).min(Duration::from_millis(100));
                sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(reason.unwrap_or(CallError::Timeout))
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
    let mut request = Request::new(call);
    // etcd drops the call, too, when nobody waits for it any more.
    request.set_timeout(limit);
    let metadata = request.metadata_mut();
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
    let path = PathAndQuery::from_static(C::PATH);
    let response = grpc.unary(request, path, ProstCodec::default()).await;
    response
        .map(tonic::Response::into_inner)
        .map_err(|status| CallError::from_status(&status, &chosen.name))
}
