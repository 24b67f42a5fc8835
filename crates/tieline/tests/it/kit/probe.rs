//! A handler that records its calls and does what clients script.
//!
//! A step is one of `wait` (for a permit of the gate), `closed` (waits until the connection closes), `hang`,
//! `panic`, `emit:TEXT`, `close:CODE`, `join:GROUP`, `leave:GROUP`, `mix:COUNT`, `burst:COUNT`, `stream:COUNT`.
//! A text message `!STEP` runs one; the query parameters `connect`, `error` and `disconnect` run one in those
//! callbacks. Every other message comes back, unless the
//! query says `quiet`; with `forget` messages are not recorded. A request is one of `id`,
//! `where`, `wait`, `hang`, `panic`, `refuse`, `fail`, `none`, `emit:TEXT`, `bytes:COUNT`, or comes back.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tieline::{
    Accept, ClientId, CloseCode, CloseFrame, CloseReason, Connection, ConnectionError, Farewell,
    Handler, Hub, Message, Refusal, RequestError, StatusCode, UpgradeRequest,
};
use tokio::sync::Semaphore;

use super::{
    dialects::dialect,
    log::{Log, What},
};

#[derive(Clone)]
pub(crate) struct Probe {
    pub(crate) log: Log,
    /// The step `wait` takes a permit.
    pub(crate) gate: Arc<Semaphore>,
    /// The hub to which the decision `broadcast` sends.
    pub(crate) hub: Arc<OnceLock<Hub>>,
    /// Requests that callbacks have begun to answer.
    pub(crate) asked: Arc<AtomicUsize>,
    serials: Arc<AtomicUsize>,
    deciding: Arc<AtomicBool>,
}

/// The state of a connection, with its script.
#[derive(Debug, Default)]
pub(crate) struct ProbeState {
    pub(crate) serial: usize,
    /// Messages that this connection has handled.
    pub(crate) handled: usize,
    query: HashMap<String, String>,
}

impl Probe {
    pub(crate) fn new() -> Self {
        Self {
            log: Log::new(),
            gate: Arc::new(Semaphore::new(0)),
            hub: Arc::default(),
            asked: Arc::default(),
            serials: Arc::default(),
            deciding: Arc::default(),
        }
    }

    /// Whether a decision has reached its `wait`.
    pub(crate) fn is_deciding(&self) -> bool {
        self.deciding.load(Ordering::Acquire)
    }

    /// Decides by the query, which is also the script of the connection.
    pub(crate) async fn authorize(
        self,
        request: UpgradeRequest,
    ) -> Result<Accept<ProbeState>, Refusal> {
        let query: HashMap<_, _> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        match query.get("authorize").map(String::as_str) {
            Some("hang") => std::future::pending().await,
            Some("panic") => panic!("scripted"),
            Some("broadcast") => drop(self.hub.get().unwrap().broadcast("deciding")),
            Some("wait") => {
                self.deciding.store(true, Ordering::Release);
                self.gate.acquire().await.unwrap().forget();
            }
            Some("refuse") => {
                let name = HeaderName::from_static("x-why");
                let refusal = Refusal::new(StatusCode::IM_A_TEAPOT, "short and stout\n");
                return Err(refusal.header(name, HeaderValue::from_static("tea")));
            }
            Some("farewell") => {
                let refusal = Refusal::new(StatusCode::NOT_FOUND, "nobody here\n");
                return Err(refusal.after_upgrade(farewell(4001, "nobody here")));
            }
            _ => {}
        }
        Ok(self.accept(query))
    }

    pub(crate) fn accept(&self, query: HashMap<String, String>) -> Accept<ProbeState> {
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let value = |name: &str| query.get(name).cloned();
        let (id, user, groups) = (value("id"), value("user"), value("groups"));
        let (protocol, first, data) = (value("protocol"), value("first"), value("data"));
        let (has_final, reads) = (value("final").is_some(), value("dialect"));
        let (namespace, is_told) = (value("ns"), value("told").is_some());
        let outbox = value("outbox").map(|frames| frames.parse().unwrap());
        let mut accept = Accept::new(ProbeState {
            serial,
            handled: 0,
            query,
        })
        .header(HeaderName::from_static("x-serial"), serial.into());
        if is_told {
            accept = accept.if_refused(|refusal| {
                let code = 4000 + refusal.status().as_u16();
                Some(farewell(code, "not here"))
            });
        }
        if let Some(namespace) = namespace {
            accept = accept.namespace(namespace);
        }
        if let Some(id) = id {
            accept = accept.id(ClientId::new(id).unwrap());
        }
        if let Some(user) = user {
            accept = accept.user(user);
        }
        for group in groups.iter().flat_map(|groups| groups.split(',')) {
            accept = accept.group(group);
        }
        if let Some(protocol) = protocol {
            accept = accept.subprotocol(protocol);
        }
        if let Some(reads) = reads {
            accept = accept.dialect(dialect(&reads));
        }
        if let Some(frames) = outbox {
            accept = accept.outbox_frames(frames);
        }
        if let Some(first) = first {
            accept = accept.first_message(first);
        }
        if let Some(data) = data {
            accept = accept.data(data);
        }
        if has_final {
            accept = accept.farewell(|closing| {
                let close = closing.close_frame().clone();
                let code = close.code.as_u16();
                // Whoever closes with this one has said all.
                (code != 4001).then(|| Farewell::new(close).message(format!("final {code}")))
            });
        }
        accept
    }

    async fn act(&self, connection: &Connection, step: &str) {
        let (verb, rest) = step.split_once(':').unwrap_or((step, ""));
        match verb {
            "wait" => self.gate.acquire().await.unwrap().forget(),
            "hang" => std::future::pending().await,
            "closed" => drop(connection.closed().await),
            "panic" => panic!("scripted"),
            "emit" => drop(connection.emit(rest)),
            "close" => {
                let code = CloseCode::new(rest.parse().unwrap()).unwrap();
                connection.close(CloseFrame::new(code, "scripted"));
            }
            "mix" => mix(connection, rest.parse().unwrap()),
            "burst" => {
                for n in 0..rest.parse().unwrap() {
                    let n: usize = n;
                    drop(connection.emit(n.to_string()));
                }
            }
            "stream" => {
                for n in 0..rest.parse().unwrap() {
                    let n: usize = n;
                    let text = format!("{n} {}", "x".repeat(16 * 1024));
                    if connection.send(text).await.is_err() {
                        break;
                    }
                }
            }
            "join" => assert!(connection.join(rest).unwrap()),
            "leave" => assert!(connection.leave(rest)),
            _ => panic!("unknown step {step:?}"),
        }
    }

    async fn scripted(&self, connection: &Connection, state: &ProbeState, callback: &str) {
        if let Some(step) = state.query.get(callback) {
            self.act(connection, step).await;
        }
    }
}

/// The words to a client that is turned away, before a close with this code.
fn farewell(code: u16, why: &str) -> Farewell {
    let close = CloseFrame::new(CloseCode::new(code).unwrap(), why);
    Farewell::new(close).message(format!("farewell {code}"))
}

/// Sends numbers to this client, in turn by connection, broadcast, group and id.
fn mix(connection: &Connection, count: usize) {
    let hub = connection.hub();
    for n in 0..count {
        let text = n.to_string();
        match n % 5 {
            0 | 1 => drop(connection.emit(text)),
            2 => drop(hub.broadcast(text)),
            3 => drop(hub.emit_group("mix", text)),
            _ => drop(hub.emit(connection.id(), text)),
        }
    }
}

impl Handler for Probe {
    type State = ProbeState;

    async fn on_connect(&self, connection: &Connection, state: &mut ProbeState) {
        let (serial, id) = (state.serial, connection.id());
        self.log.push(serial, id, What::Connecting);
        self.scripted(connection, state, "connect").await;
        self.log.push(serial, id, What::Connected);
    }

    async fn on_message(&self, connection: &Connection, state: &mut ProbeState, message: Message) {
        let (serial, id) = (state.serial, connection.id());
        state.handled += 1;
        if !state.query.contains_key("forget") {
            self.log.push(serial, id, What::Message(message.clone()));
        }
        match message.as_text().and_then(|text| text.strip_prefix('!')) {
            Some("handled?") => drop(connection.emit(state.handled.to_string())),
            Some(step) => self.act(connection, step).await,
            None if state.query.contains_key("quiet") => {}
            None => drop(connection.emit(message)),
        }
        self.log.push(serial, id, What::Handled);
    }

    async fn on_error(
        &self,
        connection: &Connection,
        state: &mut ProbeState,
        error: ConnectionError,
    ) {
        let what = What::Error(error);
        self.log.push(state.serial, connection.id(), what);
        self.scripted(connection, state, "error").await;
    }

    async fn on_disconnect(
        &self,
        connection: &Connection,
        state: &mut ProbeState,
        reason: CloseReason,
    ) {
        let what = What::Disconnect(reason);
        self.log.push(state.serial, connection.id(), what);
        self.scripted(connection, state, "disconnect").await;
    }

    async fn on_request(
        &self,
        connection: &Connection,
        request: Bytes,
    ) -> Result<Bytes, RequestError> {
        self.asked.fetch_add(1, Ordering::AcqRel);
        let text = std::str::from_utf8(&request)?;
        let (verb, rest) = text.split_once(':').unwrap_or((text, ""));
        match verb {
            "id" => return Ok(connection.id().as_str().to_owned().into()),
            "where" => return Ok(connection.namespace().to_owned().into()),
            "emit" => drop(connection.emit(rest)),
            "bytes" => return Ok(vec![b'x'; rest.parse()?].into()),
            _ => self.reply(verb).await?,
        }
        Ok(request)
    }

    async fn on_node_request(&self, request: Bytes) -> Result<Bytes, RequestError> {
        self.asked.fetch_add(1, Ordering::AcqRel);
        self.reply(std::str::from_utf8(&request)?).await?;
        Ok(request)
    }
}

impl Probe {
    async fn reply(&self, step: &str) -> Result<(), RequestError> {
        match step {
            "wait" => self.gate.acquire().await.unwrap().forget(),
            "hang" => std::future::pending().await,
            "panic" => panic!("scripted"),
            "refuse" => return Err(RequestError::refused("not today")),
            "fail" => return Err(RequestError::failed("no disk")),
            "none" => return Err(RequestError::unsupported()),
            _ => {}
        }
        Ok(())
    }
}
