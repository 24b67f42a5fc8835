//! Whether a server agrees to get requests: the abuse protection of `CloudEvents` webhooks.
//!
//! Owns how long an agreement holds, and when a server that did not agree is asked again. Must not know how
//! it is asked. Invariants: it is asked by one request at a time for each URL, and the number of URLs that are
//! remembered has a bound.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, Method, Uri};
use parking_lot::Mutex;
use tieline::Bytes;
use tokio::{sync::Semaphore, time::Instant};

use crate::http_client::{Answer, Request};

/// How long an agreement holds.
const AGREEMENT: Duration = Duration::from_mins(1);

/// Longest pause before a server that has refused is asked again. The first one is a second, and each next
/// one twice as long.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// How long until a server that has not answered is asked again.
const UNANSWERED_PAUSE: Duration = Duration::from_secs(1);

/// The header in which a server names those from whom it takes requests.
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";

/// Most URLs whose agreements are remembered. The names of hubs are in them, which strangers may choose.
const MAX_URLS: usize = 1024;

/// What a server says at each URL at which it is asked.
pub(super) struct Agreements {
    headers: HeaderMap,
    host: Arc<str>,
    by_url: Mutex<HashMap<Uri, Arc<Validation>>>,
}

impl Agreements {
    /// `headers` are those of the question whether the server takes requests from `host`.
    pub(super) fn new(headers: HeaderMap, host: String) -> Self {
        Self {
            headers,
            host: host.into(),
            by_url: Mutex::default(),
        }
    }

    pub(super) fn at(&self, url: &Uri) -> Arc<Validation> {
        let mut by_url = self.by_url.lock();
        if let Some(known) = by_url.get(url) {
            return Arc::clone(known);
        }
        if by_url.len() >= MAX_URLS {
            // Whoever is forgotten is asked once more. Those that are being asked are not: they would be asked
            // twice at a time.
            by_url.retain(|_, validation| Arc::strong_count(validation) > 1);
        }
        let request = Request {
            method: Method::OPTIONS,
            uri: url.clone(),
            headers: self.headers.clone(),
            body: Bytes::new(),
        };
        let validation = Arc::new(Validation::new(request, Arc::clone(&self.host)));
        by_url.insert(url.clone(), Arc::clone(&validation));
        validation
    }
}

pub(super) struct Validation {
    /// What to ask.
    pub(super) request: Request,
    /// For whom.
    host: Arc<str>,
    /// Of whoever asks.
    pub(super) turn: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Agreed { until: Instant },
    Unknown,
    Pausing { until: Instant, pause: Duration },
}

/// What to do before a request.
pub(super) enum Next {
    Send,
    Ask,
    /// Nothing until then.
    Wait(Instant),
}

impl Validation {
    fn new(request: Request, host: Arc<str>) -> Self {
        Self {
            request,
            host,
            turn: Semaphore::new(1),
            state: Mutex::new(State::Unknown),
        }
    }

    /// The same question for a server that does not know `OPTIONS`.
    pub(super) fn by_get(&self) -> Request {
        Request {
            method: Method::GET,
            ..self.request.clone()
        }
    }

    pub(super) fn next(&self) -> Next {
        let now = Instant::now();
        match *self.state.lock() {
            State::Agreed { until } if now < until => Next::Send,
            State::Pausing { until, .. } if now < until => Next::Wait(until),
            _ => Next::Ask,
        }
    }

    /// Takes the answer. If it is no agreement, yields when to ask again.
    pub(super) fn answered(&self, answer: &Answer) -> Result<(), Instant> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if answer.status.is_success() && allows(&answer.headers, &self.host) {
            let until = now + AGREEMENT;
            *state = State::Agreed { until };
            return Ok(());
        }
        let pause = match *state {
            State::Pausing { pause, .. } => (pause * 2).min(MAX_PAUSE),
            _ => UNANSWERED_PAUSE,
        };
        let until = now + pause;
        *state = State::Pausing { until, pause };
        Err(until)
    }

    /// There was no answer.
    pub(super) fn unanswered(&self) {
        let until = Instant::now() + UNANSWERED_PAUSE;
        let pause = UNANSWERED_PAUSE / 2;
        *self.state.lock() = State::Pausing { until, pause };
    }
}

/// Whether `*` or the host, with or without a port, is among the allowed origins.
fn allows(headers: &HeaderMap, host: &str) -> bool {
    let values = headers.get_all(ALLOWED_ORIGIN).iter();
    let lists = values.filter_map(|value| value.to_str().ok());
    let mut origins = lists.flat_map(|list| list.split(',')).map(str::trim);
    origins.any(|origin| origin == "*" || without_port(origin).eq_ignore_ascii_case(host))
}

fn without_port(origin: &str) -> &str {
    match origin.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => origin,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tieline::StatusCode;

    use super::*;

    fn answer(status: u16, origins: &[&'static str]) -> Answer {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(ALLOWED_ORIGIN, HeaderValue::from_static(origin));
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::new(),
        }
    }

    fn validation() -> Validation {
        let agreements = Agreements::new(HeaderMap::new(), "ws.example".into());
        let validation = agreements.at(&"http://h/".parse().unwrap());
        drop(agreements);
        Arc::into_inner(validation).unwrap()
    }

    #[test]
    fn the_urls_that_are_remembered_have_a_bound() {
        let agreements = Agreements::new(HeaderMap::new(), "ws.example".into());
        let at = |n: usize| agreements.at(&format!("http://h/{n}").parse().unwrap());
        let asking = at(0);
        for n in 0..3 * MAX_URLS {
            assert_eq!(at(n).request.uri.path(), format!("/{n}"));
        }
        assert!(agreements.by_url.lock().len() <= MAX_URLS);
        assert!(
            Arc::ptr_eq(&asking, &at(0)),
            "it would be asked twice at a time"
        );
    }

    #[tokio::test]
    async fn origins_are_lists_of_hosts_with_or_without_ports() {
        for origins in [
            &["*"][..],
            &["ws.example"],
            &["WS.example:8080"],
            &["a.example:1, ws.example:443"],
            &["a.example", "ws.example"],
        ] {
            let answered = validation().answered(&answer(200, origins));
            assert!(answered.is_ok(), "{origins:?}");
        }
        for origins in [
            &[][..],
            &["a.example"],
            &["xws.example"],
            &["ws.example.evil"],
        ] {
            let answered = validation().answered(&answer(200, origins));
            assert!(answered.is_err(), "{origins:?}");
        }
        assert!(validation().answered(&answer(404, &["*"])).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_agreement_holds_for_a_minute() {
        let validation = validation();
        assert!(matches!(validation.next(), Next::Ask));
        validation.answered(&answer(204, &["*"])).unwrap();
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert!(matches!(validation.next(), Next::Send));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(matches!(validation.next(), Next::Ask));
    }

    #[tokio::test(start_paused = true)]
    async fn who_refuses_is_asked_again_after_longer_and_longer_pauses() {
        let validation = validation();
        validation.unanswered();
        for seconds in [1, 1, 2, 4, 8, 16, 32, 60, 60] {
            let Next::Wait(until) = validation.next() else {
                panic!("no pause");
            };
            assert_eq!(until, Instant::now() + Duration::from_secs(seconds));
            tokio::time::sleep_until(until).await;
            assert!(matches!(validation.next(), Next::Ask));
            validation.answered(&answer(200, &[])).unwrap_err();
        }
    }
}
