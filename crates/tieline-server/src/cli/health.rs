//! `tieline health`: asks a node whether it is ready.
//!
//! Owns whom it asks, and what counts as an answer. Must not know when a node is ready. Invariants: it ends
//! within its timeout, and reads no more than [`MAX_ANSWER`]. It verifies no certificate, as the probes of
//! Kubernetes do not: it asks by the address of this machine, which no certificate names, and sends nothing
//! that is secret.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use http::{HeaderMap, Method, Uri, uri::Scheme};
use tieline::Bytes;
use tokio::time::timeout;

use super::{
    admin_client::{block_on, explained, plain},
    print::print,
};
use crate::{
    config::{
        listen::Listen,
        option::Opt,
        sections::{
            admin::{AdminListen, AdminPlace},
            tls::ClientCertificates,
        },
        settings::{Layers, Settings},
        source, unix_socket,
    },
    http_client::{Answer, Authorities, Client, Request},
    supervisor::admin::DEFAULT,
};

/// More than any answer of a node has.
const MAX_ANSWER: usize = 64 << 10;

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Configuration file of the node (TOML), for the address
    #[arg(long, value_name = "FILE", env = "TIELINE_CONFIG")]
    config: Option<PathBuf>,
    /// URL of the node, such as http://127.0.0.1:8080, or unix:/PATH, instead of the address of the configuration
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
        let Answer { status, body, .. } = block_on(node.ask(self.timeout))
            .with_context(|| format!("no answer from {}", node.authority))?;
        let text = String::from_utf8_lossy(&body);
        ensure!(
            status == 200,
            "{} is not ready: {} {}",
            node.authority,
            status.as_u16(),
            plain(text.trim_end())
        );
        print(&body)
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let layers = Layers {
            file: self.config.clone(),
            flags: Vec::new(),
            is_used: |option: &Opt| {
                option.section == "tls"
                    || ["listen", "admin.listen", "admin.tls"].contains(&option.path().as_str())
            },
        };
        Ok(layers.load(&source::environment())?.0)
    }
}

/// The node that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    /// Its host and port, or `unix:` and its path.
    authority: String,
    is_tls: bool,
    /// Where it is reached, if not at its host and port.
    socket: Option<PathBuf>,
}

impl Node {
    fn at(url: &str) -> Result<Self, String> {
        if let Some(path) = unix_socket::path_in(url) {
            return Ok(Self::by_socket(path));
        }
        let url: Uri = url.parse().map_err(|error| format!("{error}"))?;
        let is_tls = url.scheme() == Some(&Scheme::HTTPS);
        let (Some(host), true) = (url.host(), is_tls || url.scheme() == Some(&Scheme::HTTP)) else {
            return Err(
                "expected http:// or https:// with a host, such as http://127.0.0.1:8080, or unix:/PATH"
                    .into(),
            );
        };
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self {
            authority: format!("{host}:{port}"),
            is_tls,
            socket: None,
        })
    }

    fn by_socket(path: &Path) -> Self {
        Self {
            authority: format!("unix:{}", path.display()),
            is_tls: false,
            socket: Some(path.to_owned()),
        }
    }

    /// The node with these settings, as seen from its own machine.
    fn of(settings: &Settings) -> anyhow::Result<Self> {
        let tls = &settings.tls;
        let has_certificate = tls.cert.is_some() || !settings.certificates.is_empty();
        let wants_certificates =
            tls.client_ca.is_some() && tls.client_certificates == ClientCertificates::Required;
        let mut known = settings.general.listen.iter().filter_map(|listen| {
            let is_tls = listen.is_tls(has_certificate);
            match listen {
                _ if is_tls && wants_certificates => None,
                Listen::Address(address, _) => Some(Self::here(*address, is_tls)),
                Listen::Unix(socket) => Some(Self::by_socket(&socket.path)),
                Listen::Systemd(_) => None,
            }
        });
        match known.next() {
            Some(node) => Ok(node),
            None if wants_certificates => Self::by_admin_port(settings),
            None => bail!("systemd opens the sockets of this node; name one with --url"),
        }
    }

    /// Where nobody needs the certificate of a client.
    fn by_admin_port(settings: &Settings) -> anyhow::Result<Self> {
        let listen = match &settings.admin.listen {
            None => DEFAULT,
            Some(AdminListen::At(AdminPlace::Address(listen))) => *listen,
            Some(AdminListen::At(AdminPlace::Unix(socket))) => {
                return Ok(Self::by_socket(&socket.path));
            }
            Some(AdminListen::Off) => bail!(
                "the port of clients wants certificates of them, and the admin port is off; turn that on, or set \
                 tls.client_certificates to \"optional\""
            ),
        };
        Ok(Self::here(listen, settings.admin.tls))
    }

    /// The node that listens there, as its own machine reaches it.
    fn here(listen: SocketAddr, is_tls: bool) -> Self {
        let ip = match listen.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self {
            authority: SocketAddr::new(ip, listen.port()).to_string(),
            is_tls,
            socket: None,
        }
    }

    /// What asks it, and what URLs begin with.
    fn client(&self) -> anyhow::Result<(Client, String)> {
        if let Some(path) = &self.socket {
            let client = Client::by_socket(path, HeaderMap::new(), MAX_ANSWER);
            return Ok((client, "http://localhost".into()));
        }
        let (scheme, authorities) = if self.is_tls {
            ("https", Authorities::Unverified)
        } else {
            ("http", Authorities::None)
        };
        let client = Client::new(authorities, HeaderMap::new(), MAX_ANSWER)?;
        Ok((client, format!("{scheme}://{}", self.authority)))
    }

    /// Asks for `/readyz`, for this many seconds.
    async fn ask(&self, seconds: u64) -> anyhow::Result<Answer> {
        let (client, base) = self.client()?;
        let request = Request {
            method: Method::GET,
            uri: format!("{base}/readyz").parse()?,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        match timeout(Duration::from_secs(seconds), client.send(&request)).await {
            Ok(answer) => {
                answer.map_err(|error| explained(&error, self.is_tls || self.socket.is_some()))
            }
            Err(_) => bail!("it takes longer than {seconds} s (--timeout)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_asked_where_its_own_machine_reaches_it() {
        let node = |variables: &[(&str, &str)]| {
            let node = Node::of(&Settings::of_variables(variables)).unwrap();
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
        // Certificates of clients are not asked for at the admin port.
        let ca = ("TIELINE_TLS_CLIENT_CA", "ca.pem");
        assert_eq!(node(&[&tls[..], &[ca]].concat()), plain("127.0.0.1:9464"));
        let admin = [
            ca,
            ("TIELINE_ADMIN_LISTEN", "0.0.0.0:80"),
            ("TIELINE_ADMIN_TLS", "true"),
        ];
        let admin = node(&[&tls[..], &admin].concat());
        assert_eq!(admin, ("127.0.0.1:80".to_owned(), true));
        let optional = [ca, ("TIELINE_TLS_CLIENT_CERTIFICATES", "optional")];
        let optional = node(&[&tls[..], &optional].concat());
        assert_eq!(optional, ("127.0.0.1:8080".to_owned(), true));
    }

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        assert_eq!(
            Node::at("http://localhost").unwrap().authority,
            "localhost:80"
        );
        let over_tls = Node::at("https://[::1]:8443/").unwrap();
        assert_eq!(over_tls.authority, "[::1]:8443");
        assert!(over_tls.is_tls);
        for url in ["127.0.0.1:8080", "ws://127.0.0.1:8080", "/readyz"] {
            let error = Node::at(url).unwrap_err();
            assert!(error.contains("http://127.0.0.1:8080"), "{error}");
        }
    }
}
