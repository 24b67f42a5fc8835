//! Calls to a cluster: deadlines, fail-over, tokens.
//!
//! Owns the rule when a call is made again. What was certainly not carried out goes to the next
//! endpoint; what may have been goes there only if it is [`RetrySafety::Harmless`], else its outcome stays
//! unknown and is reported. Must not know keys.

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
    call_error::Fault,
    endpoints::{Chosen, Endpoints},
    options::EtcdOptions,
    rpc::{AuthenticateRequest, Call},
    url::{Address, Credentials},
};

/// A lease's keys come in one answer: some 60 bytes a key, two keys an entry, a million entries.
const LARGEST_ANSWER: usize = 256 << 20;

/// Tokens that one call asks for: the first may have expired, and the users may have changed since.
const RENEWALS: usize = 2;

/// Whether a call may be carried out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetrySafety {
    /// It reads, or twice is as good as once.
    Harmless,
    /// As harmless, and an answer from a server that lags behind will do.
    Nearby,
    /// A late execution could undo what happens meanwhile.
    Harmful,
}

pub(super) struct Client {
    endpoints: Endpoints,
    timeout: Duration,
    credentials: Option<Credentials>,
    token: RwLock<Token>,
    /// Held while a token is asked for: etcd spends 100 ms of a core on each password.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Token {
    number: u64,
    value: Option<MetadataValue<Ascii>>,
}

impl Client {
    pub(super) fn new(address: Address, options: &EtcdOptions) -> Result<Self, String> {
        Ok(Self {
            endpoints: Endpoints::new(&address, options)?,
            timeout: options.timeout,
            credentials: address.credentials,
            token: RwLock::default(),
            renewing: tokio::sync::Mutex::new(()),
        })
    }

    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Makes a call within the usual time.
    pub(super) async fn call<C: Call>(
        &self,
        repeat: RetrySafety,
        call: C,
    ) -> Result<C::Answer, Fault> {
        self.call_for(1, repeat, call).await
    }

    /// Makes a call that may take so many times the usual time.
    pub(super) async fn call_for<C: Call>(
        &self,
        times: u32,
        repeat: RetrySafety,
        call: C,
    ) -> Result<C::Answer, Fault> {
        let deadline = Instant::now() + self.timeout * times;
        let mut renewals = 0;
        loop {
            let token = self.token.read().clone();
            let fault = match self.fail_over(deadline, repeat, &token, &call).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let renewable = self.credentials.is_some() && renewals < RENEWALS;
            if !matches!(fault, Fault::Token(_)) || !renewable {
                return Err(fault);
            }
            renewals += 1;
            timeout_at(deadline, self.renew(token.number))
                .await
                .unwrap_or(Err(Fault::Timeout))?;
        }
    }

    /// Gets the first token.
    pub(super) async fn authenticate(&self) -> Result<(), Fault> {
        match self.credentials {
            Some(_) => self.renew(0).await,
            None => Ok(()),
        }
    }

    /// Gets another token than the one of this number, unless another call has done so.
    async fn renew(&self, number: u64) -> Result<(), Fault> {
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
            .fail_over(deadline, RetrySafety::Harmless, &nobody, &request)
            .await
        {
            Ok(answer) => Some(answer.token.parse().map_err(|_| {
                Fault::Unknown("etcd gave a token that no header can carry".to_owned())
            })?),
            // It may get users later.
            Err(Fault::NoUsers) => None,
            Err(fault) => return Err(fault),
        };
        *self.token.write() = Token {
            number: number + 1,
            value,
        };
        Ok(())
    }

    /// Makes a call, at one endpoint after the other, until the deadline.
    async fn fail_over<C: Call>(
        &self,
        deadline: Instant,
        repeat: RetrySafety,
        token: &Token,
        call: &C,
    ) -> Result<C::Answer, Fault> {
        let harmless = repeat != RetrySafety::Harmful;
        let mut pause = Duration::from_millis(10);
        // An endpoint that says why it failed tells more than one that says nothing.
        let mut reason = None;
        for tried in 1.. {
            let another = tried < self.endpoints.len();
            let left = deadline.saturating_duration_since(Instant::now());
            let slice = if harmless && another { left / 2 } else { left };
            let chosen = self.endpoints.choose();
            let attempt = attempt(&chosen, slice, repeat, token, call.clone());
            let fault = match timeout(slice, attempt).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(fault)) => fault,
                Err(_) => Fault::Timeout,
            };
            if fault.leaves_endpoint() {
                self.endpoints.failed(&chosen);
            }
            if !fault.again(harmless, another) {
                return Err(fault);
            }
            if !matches!(fault, Fault::Timeout) {
                reason = Some(fault);
            }
            if !another {
                pause = (pause * 2).min(Duration::from_millis(100));
                sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(reason.unwrap_or(Fault::Timeout))
    }
}

/// Makes a call at one endpoint.
async fn attempt<C: Call>(
    chosen: &Chosen,
    limit: Duration,
    repeat: RetrySafety,
    token: &Token,
    call: C,
) -> Result<C::Answer, Fault> {
    let mut request = Request::new(call);
    // So that etcd, too, drops what nobody waits for any more.
    request.set_timeout(limit);
    let metadata = request.metadata_mut();
    if let Some(token) = &token.value {
        metadata.insert("token", token.clone());
    }
    if repeat != RetrySafety::Nearby {
        // A server that is cut off says so, instead of letting the call wait.
        metadata.insert("hasleader", MetadataValue::from_static("true"));
    }
    let mut grpc = Grpc::new(chosen.channel.clone()).max_decoding_message_size(LARGEST_ANSWER);
    grpc.ready()
        .await
        .map_err(|error| Fault::Unsent(format!("etcd at {}: {error}", chosen.name)))?;
    let path = PathAndQuery::from_static(C::PATH);
    let answer = grpc.unary(request, path, ProstCodec::default()).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| Fault::of(&status, &chosen.name))
}
