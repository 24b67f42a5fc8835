//! Parses the URLs of the registry on Redis.
//!
//! Owns their syntax; the library's own parser knows only one host and no deployments. Invariant: no error
//! repeats any part of the URL, because it may contain a password.

use percent_encoding::percent_decode_str;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A user and a password. Without a user, the default user.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    pub(super) password: String,
}

// By hand, so that it never shows the password.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Credentials");
        shown.field("user", &self.user).finish_non_exhaustive()
    }
}

/// What the servers of a URL are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deployment {
    /// One server.
    Single,
    /// Sentinels, which know the address of the current master.
    Sentinel {
        master: String,
        credentials: Option<Credentials>,
    },
    /// Some servers of a Redis Cluster.
    Cluster,
}

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) deployment: Deployment,
    pub(super) tls: bool,
    pub(super) servers: Vec<Server>,
    pub(super) credentials: Option<Credentials>,
    pub(super) database: i64,
}

/// Why a URL is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    #[error(
        "the URL must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, \
         redis+cluster:// or rediss+cluster://"
    )]
    Scheme,
    #[error("the user or password is not UTF-8 after percent-decoding")]
    Credentials,
    #[error("a host is empty; write servers as host:port, and IPv6 addresses in brackets")]
    Host,
    #[error("a port is not a number from 1 to 65535; percent-encode a password with @, / or ?")]
    Port,
    #[error("several servers require redis+sentinel:// or redis+cluster://")]
    Several,
    #[error("the name of the master is missing; write redis+sentinel://host:port/NAME")]
    Master,
    #[error("the database is not a number")]
    Database,
    #[error("a Redis Cluster has only the database 0")]
    ClusterDatabase,
    #[error("the path has too many parts")]
    Path,
    #[error("the only parameters are sentinel_user and sentinel_password, with redis+sentinel://")]
    Parameter,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let (family, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match family {
            "redis" => false,
            "rediss" => true,
            _ => return Err(UrlError::Scheme),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, servers) = match authority.rsplit_once('@') {
            Some((credentials, servers)) => (Some(Credentials::parse(credentials)?), servers),
            None => (None, authority),
        };
        let port = if kind == "sentinel" { 26379 } else { 6379 };
        let servers = servers.split(',').map(|server| Server::parse(server, port));
        let servers = servers.collect::<Result<Vec<_>, _>>()?;
        let mut target = Self {
            deployment: Deployment::Single,
            tls,
            servers,
            credentials,
            database: 0,
        };
        match kind {
            "" => target.database = database(path)?,
            "sentinel" => target.read_sentinel(path, query)?,
            "cluster" => {
                target.deployment = Deployment::Cluster;
                target.database = database(path)?;
            }
            _ => return Err(UrlError::Scheme),
        }
        target.check(query)
    }

    /// Reads the name of the master and the credentials of the sentinels.
    fn read_sentinel(&mut self, path: &str, query: &str) -> Result<(), UrlError> {
        let (master, rest) = path.split_once('/').unwrap_or((path, ""));
        if master.is_empty() {
            return Err(UrlError::Master);
        }
        self.database = database(rest)?;
        self.deployment = Deployment::Sentinel {
            master: decode(master)?,
            credentials: Credentials::from_query(query)?,
        };
        Ok(())
    }

    fn check(self, query: &str) -> Result<Self, UrlError> {
        match self.deployment {
            Deployment::Single if self.servers.len() > 1 => Err(UrlError::Several),
            Deployment::Cluster if self.database != 0 => Err(UrlError::ClusterDatabase),
            Deployment::Single | Deployment::Cluster if !query.is_empty() => {
                Err(UrlError::Parameter)
            }
            _ => Ok(self),
        }
    }
}

impl Server {
    /// Reads `host`, `host:port`, `[host]` or `[host]:port`.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self, UrlError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(UrlError::Host)?;
                (
                    host,
                    rest.strip_prefix(':').or(rest.is_empty().then_some("")),
                )
            }
            None => match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => return Err(UrlError::Host),
                Some((host, port)) => (host, Some(port)),
                None => (text, Some("")),
            },
        };
        let port = match port.ok_or(UrlError::Port)? {
            "" => default_port,
            port => port.parse().map_err(|_| UrlError::Port)?,
        };
        match (host, port) {
            ("", _) => Err(UrlError::Host),
            (_, 0) => Err(UrlError::Port),
            _ => Ok(Self {
                host: host.to_owned(),
                port,
            }),
        }
    }
}

impl Credentials {
    /// Reads `user:password`, `:password`, or `user`, whose password is empty.
    fn parse(text: &str) -> Result<Self, UrlError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self {
            user: (!user.is_empty()).then(|| decode(user)).transpose()?,
            password: decode(password)?,
        })
    }

    fn from_query(query: &str) -> Result<Option<Self>, UrlError> {
        let (mut user, mut password) = (None, None);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=').ok_or(UrlError::Parameter)? {
                ("sentinel_user", value) => user = Some(decode(value)?),
                ("sentinel_password", value) => password = Some(decode(value)?),
                _ => return Err(UrlError::Parameter),
            }
        }
        let given = user.is_some() || password.is_some();
        Ok(given.then(|| Self {
            user,
            password: password.unwrap_or_default(),
        }))
    }
}

fn database(path: &str) -> Result<i64, UrlError> {
    match path {
        "" => Ok(0),
        path if path.contains('/') => Err(UrlError::Path),
        path => path
            .parse::<u16>()
            .map(i64::from)
            .map_err(|_| UrlError::Database),
    }
}

fn decode(text: &str) -> Result<String, UrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| UrlError::Credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, port: u16) -> Server {
        let host = host.to_owned();
        Server { host, port }
    }

    #[test]
    fn a_single_server() {
        let target = Target::parse("rediss://us%40er:p%2fw@[::1]:7000/3").unwrap();
        assert!(target.tls);
        assert_eq!(target.servers, [server("::1", 7000)]);
        let credentials = target.credentials.unwrap();
        assert_eq!(credentials.user.as_deref(), Some("us@er"));
        assert_eq!(credentials.password, "p/w");
        assert_eq!(target.database, 3);
        let bare = Target::parse("redis://:secret@host").unwrap();
        assert_eq!(bare.servers, [server("host", 6379)]);
        assert_eq!(bare.credentials.unwrap().user, None);
    }

    #[test]
    fn sentinels() {
        let url = "redis+sentinel://u:p@a,b:2/my%20master/1?sentinel_password=s";
        let target = Target::parse(url).unwrap();
        assert_eq!(target.servers, [server("a", 26379), server("b", 2)]);
        assert_eq!(target.database, 1);
        let Deployment::Sentinel {
            master,
            credentials,
        } = target.deployment
        else {
            panic!("not {:?}", target.deployment);
        };
        assert_eq!(master, "my master");
        assert_eq!(credentials.unwrap().password, "s");
    }

    #[test]
    fn a_cluster() {
        let target = Target::parse("rediss+cluster://a:1,b:2/").unwrap();
        assert_eq!(target.deployment, Deployment::Cluster);
        assert_eq!(target.servers.len(), 2);
    }

    #[test]
    fn invalid_urls_are_explained() {
        let cases = [
            ("localhost:6379", UrlError::Scheme),
            ("http://a", UrlError::Scheme),
            ("redis+ring://a", UrlError::Scheme),
            ("redis://", UrlError::Host),
            ("redis://:1", UrlError::Host),
            ("redis://::1", UrlError::Host),
            ("redis://a:port", UrlError::Port),
            ("redis://a:0", UrlError::Port),
            ("redis://a,b", UrlError::Several),
            ("redis://a/x", UrlError::Database),
            ("redis://a/1/2", UrlError::Path),
            ("redis://a/?x=1", UrlError::Parameter),
            ("redis://a:%ff@b", UrlError::Credentials),
            ("redis+sentinel://a", UrlError::Master),
            ("redis+sentinel://a/m?user=1", UrlError::Parameter),
            ("redis+cluster://a/1", UrlError::ClusterDatabase),
        ];
        for (url, error) in cases {
            assert_eq!(Target::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = "redis+sentinel://u:hush@a/m?sentinel_password=hush";
        let shown = format!("{:?}", Target::parse(url).unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }
}
