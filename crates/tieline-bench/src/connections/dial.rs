//! Dials connections: address, source address and upgrade request.
//!
//! Owns the URL templates, resolved addresses, TLS settings, tokens, and the messages to send on opening. Must
//! not know the poll. Never waits for a server; only resolving a host name blocks, once per host. Invariant:
//! tokens are signed before the first connection is dialed, so that no measurement includes it.

use std::{
    collections::HashMap,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use mio::net::TcpStream;
use rustls::ClientConfig;
use socket2::{Domain, Protocol, Socket, Type};

use super::connection::Connection;
use crate::{
    frame, handshake,
    partition::Partition,
    plan::{Plan, Wire},
    stream::Stream,
    template::Template,
    tls,
    token::Signer,
    url::{Resolver, Scheme, Url},
    wire::{Opening, json, pusher},
};

/// Dials connections.
#[derive(Debug)]
pub(super) struct Connector {
    plan: Plan,
    first: usize,
    /// Connections; the receivers follow them.
    connections: usize,
    source: Option<Ipv4Addr>,
    urls: Vec<Template>,
    receiver_url: Option<Template>,
    on_open: Vec<Template>,
    resolver: Resolver,
    tls: Option<Arc<ClientConfig>>,
    /// The token of each WebSocket; none without a key.
    tokens: Tokens,
    /// The secret of the app, in the Pusher wire.
    secret: Option<pusher::AppSecret>,
}

/// The tokens of clients, which are not shown in debug output.
struct Tokens(HashMap<usize, String>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Connector {
    pub(super) fn new(partition: &Partition) -> anyhow::Result<Self> {
        let plan = partition.plan.clone();
        let templates = |texts: &[String]| -> Vec<_> {
            let parse = |text: &String| Template::parse(text, plan.room);
            texts.iter().map(parse).collect()
        };
        let urls = templates(&plan.urls);
        let receiver_url = plan.receiver_url();
        let mut connector = Self {
            first: partition.first,
            connections: partition.connections,
            source: partition.source,
            urls,
            receiver_url: receiver_url.map(|url| Template::parse(url, plan.room)),
            on_open: templates(&plan.on_open),
            resolver: Resolver::default(),
            tls: None,
            tokens: Tokens(HashMap::new()),
            secret: None,
            plan,
        };
        let mut sockets = 0..partition.sockets();
        if sockets.any(|at| connector.parsed_url(at).is_ok_and(|url| url.tls)) {
            connector.tls = Some(tls::config(connector.plan.insecure)?);
        }
        connector.sign(partition.sockets())?;
        Ok(connector)
    }

    /// Signs the token of each WebSocket, if there is a key. Requests have tokens of their own; clients of the Pusher
    /// wire sign when the server has named them.
    fn sign(&mut self, sockets: usize) -> anyhow::Result<()> {
        let Some(path) = &self.plan.token_key else {
            return Ok(());
        };
        if self.plan.wire == Wire::Pusher {
            self.secret = Some(pusher::AppSecret::open(path)?);
            return Ok(());
        }
        let (signer, user) = (Signer::open(path)?, Template::parse("{id}", 1));
        let sign = |at: usize| {
            let (url, user) = (self.parsed_url(at)?, user.text(self.number(at)));
            let token = signer.client(&url.http(url.path()), &user)?;
            Ok((at, token))
        };
        let sockets = (0..sockets).filter(|at| self.scheme(*at) == Scheme::WebSocket);
        let tokens: Result<_, String> = sockets.map(sign).collect();
        self.tokens = Tokens(tokens.map_err(anyhow::Error::msg)?);
        Ok(())
    }

    /// Starts to connect.
    pub(super) fn dial(&mut self, at: usize, began: u64) -> Result<Connection, String> {
        let mut url = self.parsed_url(at)?;
        let address = self.resolver.resolve(&url)?;
        let socket = connect(address, self.source)
            .map_err(|e| format!("cannot connect to {}: {}", url.authority, e.kind()))?;
        let stream = match &self.tls {
            Some(config) if url.tls => Stream::tls(socket, config, url.host())?,
            _ => Stream::Plain(socket),
        };
        if self.scheme(at) == Scheme::Http {
            return Ok(Connection::http(stream, began));
        }
        if let Some(token) = self.tokens.0.get(&at) {
            let sign = if url.target.contains('?') { '&' } else { '?' };
            url.target.push(sign);
            url.target.extend(["access_token=", token]);
        }
        let connection = Connection::new(stream, handshake::request(&url, &self.plan), began);
        Ok(match self.wire_opening(at, &url) {
            Some(opening) => connection.opening(opening),
            None => connection,
        })
    }

    /// What follows the upgrade in the wire.
    fn wire_opening(&self, at: usize, url: &Url) -> Option<Opening> {
        let messages = || self.on_open_messages(at);
        match self.plan.wire {
            Wire::Bare => None,
            Wire::Json => {
                let messages = messages();
                let frames = encode(&messages);
                Some(Opening::Json(json::Greeting::new(&messages, frames)))
            }
            Wire::Pusher => {
                let key = url.path().rsplit('/').next().unwrap_or_default();
                let user = Template::parse("{id}", 1).text(self.number(at));
                let secret = self.secret.clone();
                let greeting = pusher::Greeting::new(key, secret, user, messages());
                Some(Opening::Pusher(greeting))
            }
        }
    }

    /// The frames to send once a connection is open. The opening of a wire has sent them already.
    pub(super) fn on_open_frames(&self, at: usize) -> Vec<u8> {
        match self.plan.wire {
            _ if self.scheme(at) == Scheme::Http => Vec::new(),
            Wire::Bare => encode(&self.on_open_messages(at)),
            Wire::Json | Wire::Pusher => Vec::new(),
        }
    }

    fn on_open_messages(&self, at: usize) -> Vec<String> {
        let number = self.number(at);
        let templates = self.on_open.iter();
        templates.map(|template| template.text(number)).collect()
    }

    pub(super) fn cannot_connect(&self, at: usize, e: &io::Error) -> String {
        let why = match e.kind() {
            io::ErrorKind::UnexpectedEof => "connection closed before a response".to_owned(),
            io::ErrorKind::InvalidData => e.to_string(),
            kind => kind.to_string(),
        };
        format!("cannot connect to {}: {why}", self.authority(at))
    }

    pub(super) fn no_answer(&self, at: usize) -> String {
        let authority = self.authority(at);
        format!("cannot connect to {authority}: no answer within ten seconds")
    }

    fn authority(&self, at: usize) -> String {
        let url = self.parsed_url(at);
        url.map_or_else(|why| why, |url| url.authority)
    }

    fn parsed_url(&self, at: usize) -> Result<Url, String> {
        Url::parse(&self.url(at), self.scheme(at)).map_err(|e| e.to_string())
    }

    fn is_receiver(&self, at: usize) -> bool {
        at >= self.connections
    }

    /// The number of a connection, or of the one that a receiver belongs to.
    fn number(&self, at: usize) -> usize {
        let own = if self.is_receiver(at) {
            at - self.connections
        } else {
            at
        };
        self.first + own
    }

    fn scheme(&self, at: usize) -> Scheme {
        if self.is_receiver(at) {
            return Scheme::WebSocket;
        }
        self.plan.scheme()
    }

    fn url(&self, at: usize) -> String {
        let number = self.number(at);
        match &self.receiver_url {
            Some(url) if self.is_receiver(at) => url.text(number),
            _ => self.urls[number % self.urls.len()].text(number),
        }
    }
}

/// The messages as frames.
fn encode(messages: &[String]) -> Vec<u8> {
    let mut frames = Vec::new();
    for text in messages {
        frame::header(&mut frames, frame::TEXT, text.len(), true);
        frames.extend_from_slice(text.as_bytes());
    }
    frames
}

fn connect(address: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let Some(source) = source.filter(|_| address.is_ipv4() && address.ip().is_loopback()) else {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        return Ok(socket);
    };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    nix::sys::socket::setsockopt(
        &socket,
        nix::sys::socket::sockopt::IpBindAddressNoPort,
        &true,
    )?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    match socket.connect(&address.into()) {
        Err(e) if e.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(e),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}
