//! Errors in terms of flags.
//!
//! Owns which flag an error of the library or of a listener suggests, and which errors are those of the
//! command line, which have their own exit code. Must not know when an error occurred: its type decides.

use tieline::{ClusterError, SecurityError};

use crate::{config::error::ConfigErrors, supervisor::listen::ListenError};

/// How to protect the peer port.
const PROTECT_PEERS: &str = "set --peer-tls-cert, --peer-tls-key and --peer-tls-ca, or listen on 127.0.0.1, or \
                             set --peers-plaintext if the network is trusted";

/// Whether the command line or the configuration is at fault, rather than what happened later.
pub(crate) fn is_usage_error(error: &anyhow::Error) -> bool {
    let invalid = error.downcast_ref::<ConfigErrors>();
    invalid.is_some_and(|errors| !errors.is_unreadable()) || error.is::<tieline_bench::cli::Usage>()
}

/// Adds to an error of a command which flag to change. `listen_flag` names the flag that a place to listen on comes
/// from.
pub(super) fn in_terms_of_flags(
    error: anyhow::Error,
    listen_flag: impl Fn(&str) -> &'static str,
) -> anyhow::Error {
    let error = match error.downcast::<ListenError>() {
        Ok(error) => {
            let flag = listen_flag(&error.place);
            let is_path = error.place.starts_with("unix:");
            let what = if is_path { "path" } else { "address" };
            let hint = format!("{}choose another {what} with {flag}", error.remedy);
            return with_hint(error, &hint);
        }
        Err(error) => error,
    };
    match error.downcast::<ClusterError>() {
        Ok(error) => cluster_error(error),
        Err(error) => error,
    }
}

/// A cluster's error, with the flag to change.
pub(super) fn cluster_error(error: ClusterError) -> anyhow::Error {
    match error {
        ClusterError::Listen(..) => with_hint(error, "choose another address with --peers-listen"),
        ClusterError::Security(SecurityError::Open(address)) => usage(format!(
            "refusing to listen for peers on {address}: anyone could join the cluster; {PROTECT_PEERS}"
        )),
        ClusterError::Security(SecurityError::Unencrypted(address)) => usage(format!(
            "refusing to listen for peers on {address}: messages would be readable on the network; \
             {PROTECT_PEERS}"
        )),
        ClusterError::Security(SecurityError::Tls { .. }) => with_hint(
            error,
            "check --peer-tls-cert, --peer-tls-key, --peer-tls-ca and --peer-tls-name",
        ),
        ClusterError::Address {
            address,
            instead: Some(instead),
        } => usage(format!(
            "invalid --advertise {address:?}: an IPv6 address needs brackets, as in {instead}"
        )),
        ClusterError::Address { address, .. } => usage(format!(
            "invalid --advertise {address:?}: use HOST:PORT at which other nodes reach this one, such as \
             10.0.0.1:9300"
        )),
        ClusterError::Overlap { .. } => with_hint(error, "choose it with --prefix"),
        ClusterError::Queue => usage(
            "--max-link-queue is too small for --max-message: raise it, or lower the other".into(),
        ),
        error @ (ClusterError::Time { .. } | ClusterError::Places { .. }) => {
            usage(error.to_string())
        }
        ClusterError::NoAddress => anyhow::anyhow!(
            "no address found at which other nodes can reach this machine; set one with --advertise"
        ),
        error => error.into(),
    }
}

fn usage(text: String) -> anyhow::Error {
    ConfigErrors::one(text).into()
}

/// One line: what happened, why, and what to do.
fn with_hint(error: impl Into<anyhow::Error>, hint: &str) -> anyhow::Error {
    anyhow::anyhow!("{:#}; {hint}", error.into())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::Arc};

    use tieline::{Cluster, ClusterConfig, Config, Hub, registry::MemoryRegistry};

    use super::*;

    #[tokio::test]
    async fn a_taken_peer_port_is_reported_with_its_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = ClusterConfig {
            listen: taken.local_addr().unwrap(),
            ..ClusterConfig::default()
        };
        let listen = config.listen.to_string();
        let hub = Hub::new(Config::default()).unwrap();
        let started = Cluster::start(hub, Arc::new(MemoryRegistry::new()), config).await;
        let error = in_terms_of_flags(started.unwrap_err().into(), |_| "--listen");
        let text = format!("{error:#}");
        assert!(text.contains(&listen), "{text}");
        assert!(text.contains("--peers-listen"), "{text}");
        assert!(text.contains("in use"), "{text}");
    }
}
