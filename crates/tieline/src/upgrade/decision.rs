//! The application's decision to let a client in: [`Accept`].
//!
//! Plain values; knows no request, and of the hub only how it numbers dialects.

use std::{any::Any, sync::Arc};

use http::{HeaderName, HeaderValue};
use tieline_registry::ClientId;
use tieline_websocket::Frame;

use super::refusal::Refusal;
use crate::{
    config::SlowConsumer,
    connection::ClientLimits,
    farewell::{ChooseFarewell, Closing, Farewell},
    hub::DialectId,
    inbound::{Inbound, InboundLimit},
};

/// An accepted upgrade: who the client is, and what is sent to it first and last.
///
/// ```
/// use tieline::{Accept, ClientId, NameError};
///
/// # fn accept() -> Result<Accept<()>, NameError> {
/// let accept = Accept::new(())
///     .id(ClientId::new("alice-phone")?)
///     .user("alice")
///     .group("lobby")
///     .first_message("welcome");
/// # Ok(accept)
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it does nothing unless it is passed to `Upgrade::accept` or returned from `authorize`"]
pub struct Accept<S> {
    pub(super) state: S,
    pub(super) namespace: Option<Arc<str>>,
    pub(super) id: Option<ClientId>,
    pub(super) user: Option<Arc<str>>,
    pub(super) groups: Vec<Arc<str>>,
    pub(super) subprotocol: Option<String>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) first_message: Option<Frame>,
    pub(super) farewell: Option<ChooseFarewell>,
    pub(super) dialect: DialectId,
    pub(super) data: Option<Arc<dyn Any + Send + Sync>>,
    pub(super) streaming: bool,
    pub(super) any_origin: bool,
    pub(super) limits: ClientLimits,
    pub(super) if_refused: Option<IfRefused>,
}

/// How a client is told that the node refuses it.
pub(super) type IfRefused = fn(&Refusal) -> Option<Farewell>;

impl<S> Accept<S> {
    /// Accepts with a state for the handler, a random id, no user and no groups.
    pub fn new(state: S) -> Self {
        Self {
            state,
            namespace: None,
            id: None,
            user: None,
            groups: Vec::new(),
            subprotocol: None,
            headers: Vec::new(),
            first_message: None,
            farewell: None,
            dialect: DialectId::PLAIN,
            data: None,
            streaming: false,
            any_origin: false,
            limits: ClientLimits::default(),
            if_refused: None,
        }
    }

    /// Puts the connection into a namespace: its id, its user and its groups are names in it, and are never those of
    /// another namespace, the default one included. At most 255 bytes without a NUL; otherwise the response is 400.
    /// Empty, the default: the default namespace.
    ///
    /// [`Hub::namespace`](crate::Hub::namespace) and, in a cluster, `Cluster::namespace` reach it;
    /// [`Connection::hub`](crate::Connection::hub) does already. For the tenants or the applications that share a
    /// server. In memory, each connection in a namespace repeats its name for
    /// its id, its user and each of its groups; in the default one nothing is repeated.
    ///
    /// ```
    /// use tieline::{Accept, Connection, Hub, NameError};
    ///
    /// /// Lets a client of a tenant in, whatever names the other tenants use.
    /// fn accept(tenant: &str, user: &str) -> Accept<()> {
    ///     Accept::new(()).namespace(tenant).user(user).group("lobby")
    /// }
    ///
    /// /// From a handler, the names are those of the client's tenant.
    /// fn greet(connection: &Connection) {
    ///     connection.hub().emit_group("lobby", "somebody of your tenant is here");
    /// }
    ///
    /// /// From elsewhere, say which tenant is meant.
    /// fn announce(hub: &Hub, tenant: &str) -> Result<(), NameError> {
    ///     hub.namespace(tenant)?.broadcast("maintenance at noon");
    ///     Ok(())
    /// }
    /// ```
    pub fn namespace(mut self, namespace: impl Into<Arc<str>>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets the client id, by its name: [`namespace`](Self::namespace) alone says where. Default: a random one.
    pub fn id(mut self, id: ClientId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the user, which many connections may share. 1 to 1,024 bytes; otherwise the response is 400.
    pub fn user(mut self, user: impl Into<Arc<str>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Joins a group before the connection opens. 1 to 1,024 bytes, and at most
    /// [`Config::groups_per_connection`](crate::Config::groups_per_connection) groups; otherwise the response
    /// is 400.
    pub fn group(mut self, group: impl Into<Arc<str>>) -> Self {
        let group = group.into();
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
        self
    }

    /// Selects a subprotocol. One that the client did not offer is left out of the response (RFC 6455,
    /// 4.2.2).
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// Selects how the client reads notes: one of the dialects that the hub was started with; for an id of
    /// another hub's that this one lacks, the response is 500. Default: [`DialectId::PLAIN`].
    pub fn dialect(mut self, dialect: DialectId) -> Self {
        self.dialect = dialect;
        self
    }

    /// Passes the client's messages on in pieces, as they arrive, instead of whole: [`Handler::on_chunk`] is called
    /// instead of `on_message`. For files and media: the memory of the connection does not depend on how long its
    /// messages are. A piece is at most what one read has brought: 64 KiB and three bytes.
    ///
    /// | setting | for such a connection |
    /// |---|---|
    /// | [`message_size`](crate::Config::message_size) | does not apply; close when [`Chunk::offset`] says that it is enough |
    /// | [`fragments`](crate::Config::fragments) | does not apply; the client's fragments are not preserved |
    /// | [`message_timeout`](crate::Config::message_timeout) | the longest time between two pieces of a message |
    /// | [`inbound`](crate::Config::inbound) | bytes as they come, a message with its last piece; `Excess::Ask` slows down |
    /// | [`compression`](crate::Config::compression) | is not offered, in neither direction |
    ///
    /// Without effect with [`Upgrade::on_socket`](crate::Upgrade::on_socket), whose messages are whole. A piece costs
    /// one copy and three allocations.
    ///
    /// ```
    /// use tieline::{Accept, Refusal, UpgradeRequest};
    ///
    /// async fn authorize(_: UpgradeRequest) -> Result<Accept<u32>, Refusal> {
    ///     // The state of the handler in the example of `on_chunk`.
    ///     Ok(Accept::new(0).streaming())
    /// }
    /// ```
    ///
    /// [`Handler::on_chunk`]: crate::Handler::on_chunk
    /// [`Chunk::offset`]: crate::Chunk::offset
    pub fn streaming(mut self) -> Self {
        self.streaming = true;
        self
    }

    /// Accepts pages of any origin, whatever [`Config::origins`](crate::Config::origins) says. Only for a client that
    /// has proved who it is by something that browsers do not add on their own, such as a token in the query:
    /// cookies come with the requests of any page.
    ///
    /// ```
    /// use tieline::{Accept, Refusal, StatusCode, UpgradeRequest};
    ///
    /// # fn user_of(token: &str) -> Option<String> { (token == "t").then(|| "ada".into()) }
    /// async fn authorize(request: UpgradeRequest) -> Result<Accept<()>, Refusal> {
    ///     match request.query("token").and_then(|token| user_of(&token)) {
    ///         Some(user) => Ok(Accept::new(()).user(user).any_origin()),
    ///         None => Err(Refusal::new(StatusCode::UNAUTHORIZED, "pass ?token=\n")),
    ///     }
    /// }
    /// ```
    pub fn any_origin(mut self) -> Self {
        self.any_origin = true;
        self
    }

    /// Sets the largest message of this client, in bytes, instead of
    /// [`Config::message_size`](crate::Config::message_size), which it cannot exceed. A longer one closes the connection
    /// with code 1009. Costs a box per connection, which [`inbound`](Self::inbound) shares.
    pub fn message_size(mut self, bytes: usize) -> Self {
        self.limits.message_size = Some(bytes);
        self
    }

    /// Sets how much this client may send, instead of [`Config::inbound`](crate::Config::inbound). A message of the
    /// largest size must be able to arrive within [`Config::message_timeout`](crate::Config::message_timeout), or it is
    /// cut off; a rate of zero counts as one.
    ///
    /// ```
    /// use tieline::{Accept, Excess, Inbound};
    ///
    /// /// Guests send short messages, and few of them.
    /// fn accept(is_guest: bool) -> Accept<()> {
    ///     let accept = Accept::new(());
    ///     if !is_guest {
    ///         return accept;
    ///     }
    ///     accept.message_size(4 * 1024).inbound(Inbound {
    ///         messages: Some(5),
    ///         excess: Excess::Close,
    ///         ..Inbound::default()
    ///     })
    /// }
    /// ```
    pub fn inbound(mut self, inbound: Inbound) -> Self {
        self.limits.inbound = Some(inbound);
        self
    }

    /// Adds a limit that this client shares with others; it is asked about all that the client sends. It is dropped with
    /// the connection. One for each connection: a further call replaces it.
    pub fn inbound_limit(mut self, limit: Arc<dyn InboundLimit>) -> Self {
        self.limits.shared = Some(limit);
        self
    }

    /// Sets how many bytes may wait for this client, instead of [`Config::outbox_bytes`](crate::Config::outbox_bytes),
    /// which it cannot exceed. 0 counts as 1: a single frame always fits.
    ///
    /// Neither this nor [`outbox_frames`](Self::outbox_frames) and [`slow_consumer`](Self::slow_consumer) cost a
    /// connection anything: clients for whom the same was chosen share it. A hub keeps 255 different choices of the
    /// three, for as long as it lives; beyond them, clients have what the configuration says, and the log says so once. They are for kinds of clients, and
    /// not for a number that is computed for each.
    ///
    /// ```
    /// use tieline::{Accept, SlowConsumer};
    ///
    /// // A ticker: whoever falls behind needs the newest prices, and no others.
    /// let accept = Accept::new(())
    ///     .outbox_bytes(64 * 1024)
    ///     .slow_consumer(SlowConsumer::DropOldest);
    /// ```
    pub fn outbox_bytes(mut self, bytes: usize) -> Self {
        self.limits.outbox.bytes = Some(bytes);
        self
    }

    /// Sets how many frames may wait for this client, instead of [`Config::outbox_frames`](crate::Config::outbox_frames),
    /// which it cannot exceed. 0 counts as 1.
    pub fn outbox_frames(mut self, frames: usize) -> Self {
        self.limits.outbox.frames = Some(frames);
        self
    }

    /// Sets the policy for this client when its outbox is full, instead of
    /// [`Config::slow_consumer`](crate::Config::slow_consumer).
    pub fn slow_consumer(mut self, policy: SlowConsumer) -> Self {
        self.limits.outbox.policy = Some(policy);
        self
    }

    /// Adds a header to the response.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sends this message before everything else, even if others send to the client meanwhile. With
    /// [`SlowConsumer::DropOldest`](crate::SlowConsumer) a client that does not read may lose it, as any
    /// other frame.
    pub fn first_message(mut self, frame: impl Into<Frame>) -> Self {
        self.first_message = Some(frame.into());
        self
    }

    /// Tells the client after the upgrade, by the [`Farewell`] that the function makes, if the node refuses it although
    /// the application has accepted it: it is full or drains, the id is taken, the origin is foreign. See
    /// [`Refusal::after_upgrade`]. `None`, and without this: by the HTTP status.
    ///
    /// ```
    /// use tieline::{Accept, CloseCode, CloseFrame, Farewell};
    ///
    /// let accept = Accept::new(()).if_refused(|refusal| {
    ///     // 503: the node is full or drains.
    ///     let code = if refusal.status() == 503 { 4100 } else { 4009 };
    ///     let close = CloseFrame::new(CloseCode::new(code)?, "not here");
    ///     Some(Farewell::new(close))
    /// });
    /// ```
    pub fn if_refused(mut self, farewell: fn(&Refusal) -> Option<Farewell>) -> Self {
        self.if_refused = Some(farewell);
        self
    }

    /// The same with another state.
    pub(super) fn with_state<T>(self, state: impl FnOnce(S) -> T) -> Accept<T> {
        Accept {
            state: state(self.state),
            namespace: self.namespace,
            id: self.id,
            user: self.user,
            groups: self.groups,
            subprotocol: self.subprotocol,
            headers: self.headers,
            first_message: self.first_message,
            farewell: self.farewell,
            dialect: self.dialect,
            data: self.data,
            streaming: self.streaming,
            any_origin: self.any_origin,
            limits: self.limits,
            if_refused: self.if_refused,
        }
    }

    /// Chooses what the client is sent last whenever the server closes, not the client: a close frame instead of that of
    /// the reason, and a message before it. `None`: that of the reason, and no message. The message is left out if the
    /// close cuts off one that is [sent in pieces](crate::Connection::stream_text).
    ///
    /// The function runs in whichever thread closes: it must be quick and must not send. If it panics, it counts as
    /// `None`. [`Handler::on_disconnect`](crate::Handler::on_disconnect) gets the reason as ever.
    ///
    /// For a wire whose clients act on codes of their own, as when a node drains:
    ///
    /// ```
    /// use tieline::{Accept, Closing, CloseCode, CloseFrame, CloseReason, Farewell};
    ///
    /// fn farewell(closing: &Closing<'_>) -> Option<Farewell> {
    ///     let (code, why) = match closing.reason() {
    ///         CloseReason::Drain => (4200, "connect again now"),
    ///         CloseReason::SlowConsumer => (4100, "connect again later"),
    ///         _ => return None,
    ///     };
    ///     Some(Farewell::new(CloseFrame::new(CloseCode::new(code)?, why)))
    /// }
    ///
    /// let accept = Accept::new(()).farewell(farewell);
    /// ```
    pub fn farewell(mut self, farewell: fn(&Closing<'_>) -> Option<Farewell>) -> Self {
        self.farewell = Some(farewell);
        self
    }

    /// Keeps a value with the connection, to be read by [`Connection::data`](crate::Connection::data) wherever
    /// the connection is found, while the state belongs to the handler alone. What changes in it is up to
    /// you: an atomic, a mutex. One value for each connection: a further call replaces it. Costs two
    /// allocations, of 48 bytes and of the value with its counts.
    ///
    /// ```
    /// use tieline::{Accept, Hub};
    ///
    /// struct Profile {
    ///     name: String,
    /// }
    ///
    /// fn accept(name: &str) -> Accept<()> {
    ///     Accept::new(()).data(Profile { name: name.into() })
    /// }
    ///
    /// /// The names of those in a room, in an HTTP route for example.
    /// fn names(hub: &Hub, room: &str) -> Vec<String> {
    ///     let profiles = hub.members(room).into_iter().filter_map(|c| c.data::<Profile>());
    ///     profiles.map(|profile| profile.name.clone()).collect()
    /// }
    /// ```
    pub fn data<T: Send + Sync + 'static>(mut self, data: T) -> Self {
        self.data = Some(Arc::new(data));
        self
    }
}
