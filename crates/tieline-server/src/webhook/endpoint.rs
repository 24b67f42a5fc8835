//! An endpoint: a server of the application that requests are sent to, with what protects it and us.
//!
//! Owns retries, the breaker, the number of requests under way, and the log of failures. Must not know what
//! requests mean, nor which answers are errors: any answer but those that ask for a retry ends a call.
//! Invariant: a call ends at its deadline, waits and retries included.

use std::{fmt, time::Duration};

use http::{HeaderMap, Uri};
use tieline::StatusCode;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until, timeout_at},
};
use tracing::{Instrument, field::Empty};

use super::{
    breaker::{Breaker, Change},
    history::History,
    validation::{Agreements, Next},
};
use crate::{
    app::{inspection::reports::EndpointReport, sampled::Sampled},
    http_client::{Answer, Authorities, AuthorityError, Client, ClientError, Request},
    metrics::{EndpointMetrics, METRICS, Outcome},
    traces::{
        context::{TRACEPARENT, TraceContext},
        spans::TARGET,
    },
};

/// Longest body of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// How long asking a server whether it agrees to get requests may take.
const VALIDATION_TIMEOUT: Duration = Duration::from_secs(10);

/// The pauses before a request is repeated.
const RETRY_DELAYS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
];

/// What happens while there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Somebody waits: a few retries, and none while the breaker is open.
    Blocking,
    /// Nobody waits: retries until the deadline.
    UntilDeadline,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The breaker is open: nothing was sent.
    #[error("did not answer recently")]
    Down,
    #[error("did not answer in time")]
    Late,
    #[error("does not allow requests from this host in WebHook-Allowed-Origin")]
    NotAllowed,
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What an endpoint is made of.
pub(crate) struct EndpointSettings<'a> {
    /// Stands for it in logs: without a query.
    pub(crate) name: String,
    /// Most requests under way.
    pub(crate) concurrency: usize,
    pub(crate) authorities: Authorities<'a>,
    /// Those of each request.
    pub(crate) headers: HeaderMap,
    /// The headers of a request that asks whether it takes requests from `host`.
    pub(crate) validation: HeaderMap,
    pub(crate) host: String,
}

pub(crate) struct Endpoint {
    name: String,
    client: Client,
    places: Semaphore,
    breaker: Breaker,
    agreements: Agreements,
    failures: Sampled,
    history: History,
    pub(super) metrics: EndpointMetrics,
}

impl Endpoint {
    pub(crate) fn new(settings: EndpointSettings<'_>) -> Result<Self, AuthorityError> {
        let EndpointSettings {
            name,
            concurrency,
            authorities,
            headers,
            validation,
            host,
        } = settings;
        Ok(Self {
            metrics: METRICS.endpoint(&name),
            name,
            client: Client::new(authorities, headers, MAX_ANSWER)?,
            places: Semaphore::new(concurrency),
            breaker: Breaker::new(),
            agreements: Agreements::new(validation, host),
            failures: Sampled::default(),
            history: History::default(),
        })
    }

    /// Sends a request until it is answered, retries are used up, or the deadline is reached. An answer that
    /// asks for a retry is returned when there is none left. Before that, the server must agree at the URL
    /// `asked`.
    pub(crate) async fn call(
        &self,
        request: &Request,
        asked: &Uri,
        deadline: Instant,
        patience: Patience,
    ) -> Result<Answer, CallError> {
        self.observe(async {
            match TraceContext::current() {
                None => self.call_until(request, asked, deadline, patience).await,
                Some(context) => {
                    let mut request = request.clone();
                    request.headers.insert(TRACEPARENT, context.header());
                    self.call_until(&request, asked, deadline, patience).await
                }
            }
        })
        .await
    }

    /// Counts a call and what becomes of it, retries included.
    pub(super) async fn observe(
        &self,
        call: impl Future<Output = Result<Answer, CallError>>,
    ) -> Result<Answer, CallError> {
        let (start, open) = (Instant::now(), self.history.begin());
        let span = tracing::info_span!(
            target: TARGET,
            "webhook",
            otel.kind = "client",
            endpoint = &*self.name,
            outcome = Empty,
        );
        let result = call.instrument(span.clone()).await;
        let outcome = outcome(&result);
        span.record("outcome", outcome.name());
        self.metrics.called(outcome, start.elapsed());
        match &result {
            Ok(answer) if answer.status.as_u16() < 400 => open.succeeded(),
            // Nothing was sent, because of what had failed before.
            Err(CallError::Down) => open.failed(None),
            _ => open.failed(Some(cause(&result))),
        }
        result
    }

    /// How it is doing.
    pub(crate) fn report(&self) -> EndpointReport {
        self.history.report(self.breaker.name())
    }

    async fn call_until(
        &self,
        request: &Request,
        asked: &Uri,
        deadline: Instant,
        patience: Patience,
    ) -> Result<Answer, CallError> {
        let mut retries = 0;
        loop {
            let waits = patience == Patience::UntilDeadline;
            let (again_at, result) = match self.attempt(request, asked, deadline).await {
                Attempt::Answered(answer) if !is_retriable(answer.status) => return Ok(answer),
                Attempt::Answered(answer) => (retry_at(&mut retries, patience), Ok(answer)),
                Attempt::Failed(error @ ClientError::TooLong(_)) => (None, Err(error.into())),
                Attempt::Failed(error) => (retry_at(&mut retries, patience), Err(error.into())),
                Attempt::Late => (None, Err(CallError::Late)),
                Attempt::Down(at) => (waits.then_some(at), Err(CallError::Down)),
                Attempt::NotAllowed(at) => (waits.then_some(at), Err(CallError::NotAllowed)),
            };
            self.note_failure(&result);
            let Some(at) = again_at.filter(|at| *at < deadline) else {
                return result;
            };
            sleep_until(at).await;
            self.metrics.retried();
        }
    }

    async fn attempt(&self, request: &Request, asked: &Uri, deadline: Instant) -> Attempt {
        match self.validate(asked, deadline).await {
            Ok(()) => self.send(request, deadline).await,
            Err(ended) => ended,
        }
    }

    /// Asks whether the server takes requests, unless it has said so lately.
    async fn validate(&self, asked: &Uri, deadline: Instant) -> Result<(), Attempt> {
        let validation = &*self.agreements.at(asked);
        if let Next::Send = validation.next() {
            return Ok(());
        }
        let Ok(Ok(_turn)) = timeout_at(deadline, validation.turn.acquire()).await else {
            return Err(Attempt::Late);
        };
        match validation.next() {
            Next::Send => return Ok(()),
            Next::Wait(until) => return Err(Attempt::Down(until)),
            Next::Ask => {}
        }
        let deadline = deadline.min(Instant::now() + VALIDATION_TIMEOUT);
        let mut asked = self.send(&validation.request, deadline).await;
        if let Attempt::Answered(answer) = &asked
            && has_no_options(answer.status)
        {
            asked = self.send(&validation.by_get(), deadline).await;
        }
        match asked {
            Attempt::Answered(answer) => validation.answered(&answer).map_err(Attempt::NotAllowed),
            ended => {
                validation.unanswered();
                Err(ended)
            }
        }
    }

    /// Sends a request once.
    pub(super) async fn send(&self, request: &Request, deadline: Instant) -> Attempt {
        // Before the breaker is asked: it may open while this request waits.
        let Ok(Ok(_place)) = timeout_at(deadline, self.places.acquire()).await else {
            return Attempt::Late;
        };
        let pass = match self.breaker.pass() {
            Ok(pass) => pass,
            Err(at) => return Attempt::Down(at),
        };
        let attempt = match timeout_at(deadline, self.client.send(request)).await {
            Ok(Ok(answer)) => Attempt::Answered(answer),
            Ok(Err(error)) => Attempt::Failed(error),
            Err(_) => Attempt::Late,
        };
        let change = if attempt.is_from_application() {
            pass.succeeded()
        } else {
            pass.failed()
        };
        self.log_change(change, &attempt);
        attempt
    }

    fn log_change(&self, change: Change, attempt: &Attempt) {
        let endpoint = &*self.name;
        match change {
            Change::None => {}
            Change::Opened => {
                self.metrics.opened();
                let cause = attempt.to_string();
                tracing::warn!(endpoint, cause, "no answers; requests fail at once for now");
            }
            Change::Closed => {
                self.metrics.closed();
                tracing::info!(endpoint, "answers again");
            }
        }
    }

    /// A request has failed, whether it is repeated or not: operators learn of it now, and not when a call ends,
    /// which may be minutes later.
    pub(super) fn note_failure(&self, result: &Result<Answer, CallError>) {
        if !matches!(result, Err(CallError::Down)) {
            self.history.attempt_failed(cause(result));
        }
        let Some(left_out) = self.failures.due() else {
            return;
        };
        let cause = cause(result);
        let endpoint = &*self.name;
        tracing::warn!(endpoint, cause, left_out, "a request failed");
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if self.breaker.is_open() {
            self.metrics.closed();
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.name).finish()
    }
}

/// How sending a request once has ended.
#[derive(Debug)]
pub(super) enum Attempt {
    Answered(Answer),
    Failed(ClientError),
    Late,
    /// The breaker is open. It may be asked again then.
    Down(Instant),
    /// The server does not take requests. It may be asked again then.
    NotAllowed(Instant),
}

impl Attempt {
    /// Whether the server works, whatever it says. A proxy may say that the one behind it does not; a 500 is
    /// the application's own.
    fn is_from_application(&self) -> bool {
        match self {
            Self::Answered(answer) => !matches!(
                answer.status,
                StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            ),
            Self::Failed(error) => matches!(error, ClientError::TooLong(_)),
            _ => false,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => write!(f, "answered {}", answer.status),
            Self::Failed(error) => error.fmt(f),
            Self::Late => CallError::Late.fmt(f),
            Self::Down(_) => CallError::Down.fmt(f),
            Self::NotAllowed(_) => CallError::NotAllowed.fmt(f),
        }
    }
}

/// What is wrong with the answer of a server, or its absence.
fn cause(result: &Result<Answer, CallError>) -> String {
    match result {
        Ok(answer) => format!("answered {}", answer.status),
        Err(error) => error.to_string(),
    }
}

fn outcome(result: &Result<Answer, CallError>) -> Outcome {
    match result {
        Ok(answer) => Outcome::of_status(answer.status.as_u16()),
        Err(CallError::Down) => Outcome::Down,
        Err(CallError::Late) => Outcome::Late,
        Err(CallError::NotAllowed) => Outcome::NotAllowed,
        Err(CallError::Client(ClientError::TooLong(_))) => Outcome::TooLong,
        Err(CallError::Client(ClientError::Network(_) | ClientError::NotHttp(_))) => {
            Outcome::Network
        }
    }
}

/// When to repeat a request; `None` if it is not repeated any more.
fn retry_at(retries: &mut usize, patience: Patience) -> Option<Instant> {
    let last = (patience == Patience::UntilDeadline).then(|| RETRY_DELAYS[RETRY_DELAYS.len() - 1]);
    let delay = RETRY_DELAYS.get(*retries).copied().or(last)?;
    *retries += 1;
    Some(Instant::now() + delay)
}

/// Whether a server does not know `OPTIONS`. It is asked by `GET` then.
fn has_no_options(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    )
}

/// Whether the same request may succeed later. 429 asks for fewer requests, not for more.
fn is_retriable(status: StatusCode) -> bool {
    status == StatusCode::REQUEST_TIMEOUT || status.is_server_error()
}
