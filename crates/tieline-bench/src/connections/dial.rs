//! Dials connections: address, source address and upgrade request.
//!
//! Owns the URL templates, resolved addresses, TLS settings, tokens, and the messages to send on opening. Must
//! not know the poll. Never waits for a server; only resolving a host name blocks, once per host. Invariant:
//! tokens are signed before the first connection is dialed, so that no measurement includes it.

use std::{
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
    wire::json::Greeting,
};

/// Dials connections.
#[derive(Debug)]
pub(super) struct Connector {
    plan: Plan,
    first: usize,
    source: Option<Ipv4Addr>,
    urls: Vec<Template>,
    on_open: Vec<Template>,
    resolver: Resolver,
    tls: Option<Arc<ClientConfig>>,
    /// The token of each connection; none without a key.
    tokens: Tokens,
}

/// The tokens of clients, which are not shown in debug output.
struct Tokens(Vec<String>);

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
        let parse = |url: &Template| Url::parse(&url.text(0), plan.scheme());
        let encrypted = urls.iter().any(|url| parse(url).is_ok_and(|url| url.tls));
        let mut connector = Self {
            first: partition.first,
            source: partition.source,
            urls,
            on_open: templates(&plan.on_open),
            resolver: Resolver::default(),
            tls: encrypted.then(|| tls::config(plan.insecure)).transpose()?,
            tokens: Tokens(Vec::new()),
            plan,
        };
        connector.sign(partition.connections)?;
        Ok(connector)
    }

    /// Signs the token of each connection, if there is a key. Requests have tokens of their own.
    fn sign(&mut self, connections: usize) -> anyhow::Result<()> {
        let (Some(path), Scheme::WebSocket) = (&self.plan.token_key, self.plan.scheme()) else {
            return Ok(());
        };
        let (signer, user) = (Signer::open(path)?, Template::parse("{id}", 1));
        let sign = |at: usize| {
            let url = self.parsed_url(at)?;
            signer.client(&url.http(url.path()), &user.text(self.first + at))
        };
        let tokens: Result<_, String> = (0..connections).map(sign).collect();
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
        if self.plan.scheme() == Scheme::Http {
            return Ok(Connection::http(stream, began));
        }
        if let Some(token) = self.tokens.0.get(at) {
            let sign = if url.target.contains('?') { '&' } else { '?' };
            url.target.push(sign);
            url.target.extend(["access_token=", token]);
        }
        let connection = Connection::new(stream, handshake::request(&url, &self.plan), began);
        Ok(match self.plan.wire {
            Wire::Bare => connection,
            Wire::Json => {
                let messages = self.on_open_messages(at);
                connection.greeting(Greeting::new(&messages, encode(&messages)))
            }
        })
    }

    /// The frames to send once a connection is open. The opening of a wire has sent them already.
    pub(super) fn on_open_frames(&self, at: usize) -> Vec<u8> {
        match self.plan.wire {
            Wire::Bare => encode(&self.on_open_messages(at)),
            Wire::Json => Vec::new(),
        }
    }

    fn on_open_messages(&self, at: usize) -> Vec<String> {
        let number = self.first + at;
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
        Url::parse(&self.url(at), self.plan.scheme()).map_err(|e| e.to_string())
    }

    fn url(&self, at: usize) -> String {
        let number = self.first + at;
        self.urls[number % self.urls.len()].text(number)
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
