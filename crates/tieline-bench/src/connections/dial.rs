//! Dials connections: address, source address and upgrade request.
//!
//! Owns the URL templates, resolved addresses, TLS settings, and the messages to send on opening. Must
//! not know the poll. Never waits for a server; only resolving a host name blocks, once per host.

use std::{
    io,
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
    plan::Plan,
    stream::Stream,
    template::Template,
    tls,
    url::{Resolver, Url},
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
}

impl Connector {
    pub(super) fn new(partition: &Partition) -> anyhow::Result<Self> {
        let plan = partition.plan.clone();
        let templates = |texts: &[String]| -> Vec<_> {
            let parse = |text: &String| Template::parse(text, plan.room);
            texts.iter().map(parse).collect()
        };
        let urls = templates(&plan.urls);
        let is_encrypted = |url: &Template| Url::parse(&url.text(0)).is_ok_and(|url| url.tls);
        let encrypted = urls.iter().any(is_encrypted);
        Ok(Self {
            first: partition.first,
            source: partition.source,
            urls,
            on_open: templates(&plan.on_open),
            resolver: Resolver::default(),
            tls: encrypted.then(|| tls::config(plan.insecure)).transpose()?,
            plan,
        })
    }

    /// Starts to connect.
    pub(super) fn dial(&mut self, at: usize, began: u64) -> Result<Connection, String> {
        let url = Url::parse(&self.url(at)).map_err(|e| e.to_string())?;
        let address = self.resolver.resolve(&url)?;
        let socket = connect(address, self.source)
            .map_err(|e| format!("cannot connect to {}: {}", url.authority, e.kind()))?;
        let stream = match &self.tls {
            Some(config) if url.tls => Stream::tls(socket, config, url.host())?,
            _ => Stream::Plain(socket),
        };
        let request = handshake::request(&url, &self.plan);
        Ok(Connection::new(stream, request, began))
    }

    /// The frames to send when a connection opens.
    pub(super) fn on_open_frames(&self, at: usize) -> Vec<u8> {
        let mut frames = Vec::new();
        for template in &self.on_open {
            let text = template.text(self.first + at);
            frame::header(&mut frames, frame::TEXT, text.len(), true);
            frames.extend_from_slice(text.as_bytes());
        }
        frames
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
        let url = self.url(at);
        Url::parse(&url).map_or(url, |url| url.authority)
    }

    fn url(&self, at: usize) -> String {
        let number = self.first + at;
        self.urls[number % self.urls.len()].text(number)
    }
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
