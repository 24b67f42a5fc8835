//! Requests that are repeated.
//!
//! Owns the answers of the last requests that named themselves by `Repeatability-Request-ID`. Must not know
//! operations. Invariants: within 5 minutes, a request is carried out once on this node, even if the backend has
//! hung up in between, and its repetitions get the same answer; memory is bounded, and a request that is pushed out
//! by others counts as new.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Collected};
use parking_lot::Mutex;
use tieline::Hub;
use tokio::{sync::watch, time::Instant};

use super::error::Error;

const REQUEST_ID: HeaderName = HeaderName::from_static("repeatability-request-id");
const RESULT: HeaderName = HeaderName::from_static("repeatability-result");

/// Longest id, in bytes. SDKs send UUIDs.
const MAX_ID: usize = 128;

const REMEMBERED_FOR: Duration = Duration::from_mins(5);

/// Most requests that are remembered: about 10 MB.
const MAX_REQUESTS: usize = 16_384;

/// Clones share what is remembered.
#[derive(Debug, Clone, Default)]
pub(super) struct Repeats(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    requests: Mutex<Requests>,
    hash: RandomState,
}

#[derive(Debug, Default)]
struct Requests {
    answers: HashMap<Key, Pending>,
    /// The oldest first. One that was not carried out stays in its place, and has another if it comes again.
    order: VecDeque<(Instant, Key, Pending)>,
}

/// The answer that a request has or will have.
type Pending = watch::Receiver<Option<Answer>>;

/// The id, and a hash of method and URL: an id that was meant for another request is not taken for it.
type Key = (Arc<str>, u64);

/// A response that can be given several times.
#[derive(Debug, Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Names a request.
#[derive(Debug)]
pub(super) struct RequestId(Key);

impl Repeats {
    /// The name that a request gives itself.
    pub(super) fn id_of(&self, request: &Parts) -> Result<Option<RequestId>, Error> {
        const NAME: &str = "Repeatability-Request-ID";
        let mut values = request.headers.get_all(REQUEST_ID).iter();
        let Some(id) = values.next() else {
            return Ok(None);
        };
        let id = id.to_str().unwrap_or_default();
        if id.is_empty() || id.len() > MAX_ID || values.next().is_some() {
            let message = format!("{NAME} must be given once, with 1 to {MAX_ID} characters");
            return Err(Error::bad_request(NAME, message));
        }
        let target = self.0.hash.hash_one((&request.method, &request.uri));
        Ok(Some(RequestId((id.into(), target))))
    }

    /// The answer to a request: the one that was given before, or that of `carry_out`, for which a drain of the
    /// hub's node waits.
    pub(super) async fn once(
        &self,
        id: RequestId,
        hub: &Hub,
        carry_out: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        let RequestId(key) = id;
        let mut answer = match self.0.requests.lock().find(&key) {
            Ok(answer) => answer,
            Err(sender) => {
                let answer = sender.subscribe();
                let repeats = self.clone();
                // A task, so that it goes on when the backend gives up. The deadlines of operations end it.
                hub.spawn(async move {
                    let answer = Answer::of(carry_out.await).await;
                    if !answer.is_final() {
                        repeats.0.requests.lock().answers.remove(&key);
                    }
                    sender.send_replace(Some(answer));
                });
                answer
            }
        };
        // An error: whoever carried it out has panicked.
        let answer = match answer.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone(),
            Err(_) => None,
        };
        match answer {
            Some(answer) => answer.into_response(),
            None => Error::unavailable("the request was not carried out").into_response(),
        }
    }
}

impl Requests {
    /// The answer that a request has or will have; else the place for it.
    fn find(&mut self, key: &Key) -> Result<Pending, watch::Sender<Option<Answer>>> {
        while let Some((since, key, oldest)) = self.order.front()
            && (since.elapsed() >= REMEMBERED_FOR || self.order.len() >= MAX_REQUESTS)
        {
            let answer = self.answers.get(key);
            if answer.is_some_and(|answer| answer.same_channel(oldest)) {
                self.answers.remove(key);
            }
            self.order.pop_front();
        }
        if let Some(answer) = self.answers.get(key)
            // Else the task that was to answer has panicked.
            && (answer.borrow().is_some() || answer.has_changed().is_ok())
        {
            return Ok(answer.clone());
        }
        let (sender, receiver) = watch::channel(None);
        self.answers.insert(key.clone(), receiver.clone());
        let place = (Instant::now(), key.clone(), receiver);
        self.order.push_back(place);
        Err(sender)
    }
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        // Our own bodies are in memory.
        let body = body.collect().await;
        let body = body.map_or_else(|_| Bytes::new(), Collected::to_bytes);
        Self {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Whether a repetition would change nothing: it was carried out, or there was nobody.
    fn is_final(&self) -> bool {
        self.status.is_success()
            || self.status == StatusCode::NOT_FOUND
            || self.status == StatusCode::CONFLICT
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let accepted = HeaderValue::from_static("accepted");
        response.headers_mut().insert(RESULT, accepted);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::Request;

    use super::*;

    /// Counts how often it is carried out.
    #[derive(Clone, Default)]
    struct Work(Arc<AtomicUsize>);

    impl Work {
        async fn run(self, status: StatusCode) -> Response {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let times = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            (status, times.to_string()).into_response()
        }
    }

    async fn panics() -> Response {
        tokio::task::yield_now().await;
        panic!("expected")
    }

    fn id(repeats: &Repeats, id: &str, uri: &str) -> RequestId {
        let request = Request::post(uri).header(REQUEST_ID, id).body(());
        let (parts, ()) = request.unwrap().into_parts();
        repeats.id_of(&parts).unwrap().unwrap()
    }

    async fn text(response: Response) -> String {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn hub() -> Hub {
        Hub::new(tieline::Config::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_repetition_gets_the_answer_of_the_first_for_five_minutes() {
        let (repeats, work, hub) = (Repeats::default(), Work::default(), hub());
        let send = async |name: &str, uri: &str| {
            let carry_out = work.clone().run(StatusCode::ACCEPTED);
            text(repeats.once(id(&repeats, name, uri), &hub, carry_out).await).await
        };
        let (one, other) = tokio::join!(send("a", "/x"), send("a", "/x"));
        assert_eq!((&*one, &*other), ("1", "1"), "at once");
        assert_eq!(send("a", "/x").await, "1");
        assert_eq!(send("b", "/x").await, "2", "another id");
        assert_eq!(send("a", "/y").await, "3", "another request");
        tokio::time::sleep(REMEMBERED_FOR).await;
        assert_eq!(send("a", "/x").await, "4");
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_when_the_backend_gives_up() {
        let (repeats, work, hub) = (Repeats::default(), Work::default(), hub());
        let first = repeats.once(
            id(&repeats, "a", "/x"),
            &hub,
            work.clone().run(StatusCode::ACCEPTED),
        );
        let gave_up = tokio::time::timeout(Duration::from_millis(1), first).await;
        assert!(gave_up.is_err());
        let second = repeats.once(
            id(&repeats, "a", "/x"),
            &hub,
            work.clone().run(StatusCode::ACCEPTED),
        );
        assert_eq!(text(second.await).await, "1");
    }

    #[tokio::test]
    async fn a_drain_waits_for_it() {
        let (repeats, hub) = (Repeats::default(), hub());
        let node = tieline::Node::new(hub.clone(), ());
        let (answer, answered) = tokio::sync::oneshot::channel::<StatusCode>();
        let carry_out = async move { answered.await.unwrap().into_response() };
        let first = repeats.once(id(&repeats, "a", "/x"), &hub, carry_out);
        let gave_up = tokio::time::timeout(Duration::from_millis(1), first).await;
        assert!(gave_up.is_err());
        let mut drain = std::pin::pin!(node.drain());
        let early = tokio::time::timeout(Duration::from_millis(100), &mut drain).await;
        assert!(early.is_err(), "the drain did not wait");
        answer.send(StatusCode::ACCEPTED).unwrap();
        assert_eq!(drain.await.remaining, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_carried_out_can_be_repeated() {
        let (repeats, work, hub) = (Repeats::default(), Work::default(), hub());
        for (status, times) in [
            (StatusCode::SERVICE_UNAVAILABLE, "1"),
            (StatusCode::BAD_REQUEST, "2"),
            (StatusCode::ACCEPTED, "3"),
            (StatusCode::ACCEPTED, "3"),
        ] {
            let answer = repeats.once(id(&repeats, "a", "/x"), &hub, work.clone().run(status));
            assert_eq!(text(answer.await).await, times);
        }
        let panics = repeats.once(id(&repeats, "p", "/x"), &hub, panics());
        assert_eq!(panics.await.status(), StatusCode::SERVICE_UNAVAILABLE);
        let again = repeats.once(
            id(&repeats, "p", "/x"),
            &hub,
            work.run(StatusCode::ACCEPTED),
        );
        assert_eq!(again.await.status(), StatusCode::ACCEPTED);
    }

    #[tokio::test(start_paused = true)]
    async fn five_minutes_begin_with_the_attempt_that_was_carried_out() {
        let (repeats, work, hub) = (Repeats::default(), Work::default(), hub());
        let send = async |status| {
            let answer = repeats.once(id(&repeats, "a", "/x"), &hub, work.clone().run(status));
            text(answer.await).await
        };
        assert_eq!(send(StatusCode::SERVICE_UNAVAILABLE).await, "1");
        tokio::time::sleep(REMEMBERED_FOR / 2).await;
        assert_eq!(send(StatusCode::ACCEPTED).await, "2");
        tokio::time::sleep(REMEMBERED_FOR / 2).await;
        assert_eq!(send(StatusCode::ACCEPTED).await, "2");
        tokio::time::sleep(REMEMBERED_FOR / 2).await;
        assert_eq!(send(StatusCode::ACCEPTED).await, "3");
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_are_forgotten() {
        let repeats = Repeats::default();
        let requests = || repeats.0.requests.lock();
        for n in 0..MAX_REQUESTS + 10 {
            let _ = requests().find(&(n.to_string().into(), 0));
        }
        assert_eq!(requests().order.len(), MAX_REQUESTS);
        assert_eq!(requests().answers.len(), MAX_REQUESTS);
    }
}
