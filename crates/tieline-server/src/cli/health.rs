//! `tieline health`: asks a node whether it is ready.
//!
//! Owns whom it asks, and what counts as an answer. Must not know when a node is ready. Invariants: it ends
//! within its timeout, and reads no more than [`MAX_ANSWER`]. It verifies no certificate, as the probes of
//! Kubernetes do not: it asks by the address of this machine, which no certificate names, and sends nothing
//! that is secret.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use http::{Uri, uri::Scheme};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::print::print;
use crate::config::{
    option::Opt,
    settings::{Layers, Settings},
    source,
};

/// More than any answer of a node has.
const MAX_ANSWER: u64 = 64 << 10;

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Configuration file of the node (TOML), for the address
    #[arg(long, value_name = "FILE", env = "TIELINE_CONFIG")]
    config: Option<PathBuf>,
    /// URL of the node, such as http://127.0.0.1:8080, instead of the address of the configuration
    #[arg(long, value_name = "URL", value_parser = Node::at)]
    url: Option<Node>,
    /// Time after which a node that does not answer counts as not ready, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl Health {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let node = match &self.url {
            Some(node) => node.clone(),
            None => Node::of(&self.settings()?)?,
        };
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        let (status, body) = node
            .ask(deadline)
            .with_context(|| format!("no answer from {}", node.authority))?;
        ensure!(
            status == 200,
            "{} is not ready: {status} {}",
            node.authority,
            body.trim_end()
        );
        print(body.as_bytes())
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let layers = Layers {
            file: self.config.clone(),
            flags: Vec::new(),
            is_used: |option: &Opt| option.path() == "listen" || option.section == "tls",
        };
        Ok(layers.load(&source::environment())?.0)
    }
}

/// The node that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    /// Its host and port.
    authority: String,
    host: String,
    is_tls: bool,
}

impl Node {
    fn at(url: &str) -> Result<Self, String> {
        let url: Uri = url.parse().map_err(|error| format!("{error}"))?;
        let is_tls = url.scheme() == Some(&Scheme::HTTPS);
        let (Some(host), true) = (url.host(), is_tls || url.scheme() == Some(&Scheme::HTTP)) else {
            return Err(
                "expected http:// or https:// with a host, such as http://127.0.0.1:8080".into(),
            );
        };
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self {
            authority: format!("{host}:{port}"),
            host: host.trim_matches(['[', ']']).to_owned(),
            is_tls,
        })
    }

    /// The node with these settings, as seen from its own machine.
    fn of(settings: &Settings) -> anyhow::Result<Self> {
        let first = settings.general.listen.addresses().next();
        let listen =
            first.context("systemd opens the sockets of this node; name one with --url")?;
        let ip = match listen.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Ok(Self {
            authority: SocketAddr::new(ip, listen.port()).to_string(),
            host: ip.to_string(),
            is_tls: settings.tls.cert.is_some() || !settings.certificates.is_empty(),
        })
    }

    /// Asks for `/readyz`. Returns the status and the body.
    fn ask(&self, deadline: Instant) -> anyhow::Result<(u16, String)> {
        let socket = BoundedStream {
            socket: self.connect(deadline)?,
            deadline,
        };
        if self.is_tls {
            let name = ServerName::try_from(self.host.clone())?;
            let session = ClientConnection::new(tieline_bench::unverified_tls()?, name)?;
            self.exchange(StreamOwned::new(session, socket))
        } else {
            self.exchange(socket)
        }
    }

    fn connect(&self, deadline: Instant) -> anyhow::Result<TcpStream> {
        let mut refused = None;
        for address in self.authority.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, remaining(deadline)?) {
                Ok(socket) => return Ok(socket),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) => Err(error.into()),
            None => bail!("the host has no address"),
        }
    }

    fn exchange(&self, mut stream: impl Read + Write) -> anyhow::Result<(u16, String)> {
        let request = format!(
            "GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.authority
        );
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        let mut answer = Vec::new();
        let read = stream.take(MAX_ANSWER).read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let parsed = answer.split_once("\r\n\r\n").and_then(|(head, body)| {
            let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?;
            Some((status.parse().ok()?, body.to_owned()))
        });
        // A server may end the connection without the goodbye of TLS. What it has said counts.
        match (parsed, read) {
            (Some(parsed), _) => Ok(parsed),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(_)) => {
                bail!("it does not speak HTTP/1.1; if it expects TLS, use an https:// URL")
            }
        }
    }
}

/// A socket whose reads and writes end at a deadline, however slowly the other side goes on.
struct BoundedStream {
    socket: TcpStream,
    deadline: Instant,
}

impl Read for BoundedStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.socket
            .set_read_timeout(Some(remaining(self.deadline)?))?;
        self.socket.read(buffer).map_err(timed_out)
    }
}

impl Write for BoundedStream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.socket
            .set_write_timeout(Some(remaining(self.deadline)?))?;
        self.socket.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.socket.flush()
    }
}

/// The time that is left: never zero, which sockets take for no limit.
fn remaining(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(std::io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// Linux calls it "would block" when the time of a socket is over.
fn timed_out(error: std::io::Error) -> std::io::Error {
    match error.kind() {
        std::io::ErrorKind::WouldBlock => std::io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Environment;

    #[test]
    fn the_node_is_asked_where_its_own_machine_reaches_it() {
        let node = |variables: &[(&str, &str)]| {
            let variables = variables.iter();
            let variables: Environment = variables
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let layers = Layers {
                file: None,
                flags: Vec::new(),
                is_used: |_| true,
            };
            let node = Node::of(&layers.load(&variables).unwrap().0).unwrap();
            (node.authority, node.is_tls)
        };
        let plain = |authority: &str| (authority.to_owned(), false);
        assert_eq!(node(&[]), plain("127.0.0.1:8080"));
        let listen = |address| [("TIELINE_LISTEN", address)];
        assert_eq!(node(&listen("0.0.0.0:80")), plain("127.0.0.1:80"));
        assert_eq!(node(&listen("[::]:80")), plain("[::1]:80"));
        assert_eq!(node(&listen("10.0.0.7:80")), plain("10.0.0.7:80"));
        let tls = [("TIELINE_TLS_CERT", "a.pem"), ("TIELINE_TLS_KEY", "a.key")];
        assert!(node(&tls).1);
    }

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        assert_eq!(
            Node::at("http://localhost").unwrap().authority,
            "localhost:80"
        );
        let over_tls = Node::at("https://[::1]:8443/").unwrap();
        assert_eq!(over_tls.authority, "[::1]:8443");
        assert_eq!((over_tls.host.as_str(), over_tls.is_tls), ("::1", true));
        for url in ["127.0.0.1:8080", "ws://127.0.0.1:8080", "/readyz"] {
            let error = Node::at(url).unwrap_err();
            assert!(error.contains("http://127.0.0.1:8080"), "{error}");
        }
    }
}
