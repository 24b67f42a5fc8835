//! Where the node listens, as far as that is safe and makes sense.
//!
//! Owns the checks of addresses against who may connect and against the certificates. Must not open anything.

use std::net::SocketAddr;

use crate::config::{
    error::ConfigErrors,
    listen::{Listen, Listeners},
    sections::hub::Anonymous,
    settings::Settings,
};

/// Who may connect without a token or a certificate, unless said otherwise. If there are any, nobody: a proxy on this
/// machine may send its own loopback address as the host of every request.
pub(super) fn default_anonymous(has_proofs: bool) -> Anonymous {
    if has_proofs {
        Anonymous::Never
    } else {
        Anonymous::Loopback
    }
}

/// Where to listen, as [`check_listen`] has it, or all that is wrong with it. What systemd has opened is not known yet, and
/// counts as public. So does a Unix socket: behind it is a proxy, whose clients are anywhere. `default` is `None` if it is
/// not known who may connect.
pub(super) fn check_all(
    settings: &Settings,
    has_certificate: bool,
    default: Option<Anonymous>,
) -> Result<Listeners, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let listeners = &settings.general.listen;
    for (index, listen) in listeners.iter().enumerate() {
        let is_loopback = match listen {
            Listen::Address(address, _) => address.ip().is_loopback(),
            Listen::Unix(_) | Listen::Systemd(_) => false,
        };
        if let Some(default) = default {
            errors.take(check_loopback(settings, listen, is_loopback, default));
        }
        let mut before = listeners.iter().take(index);
        match before.find(|before| before.is_same(listen)) {
            Some(Listen::Address(before, _)) if !listen.is_at(*before) => errors.add(format!(
                "{listen} and {before} of --listen cannot both be opened; leave one out"
            )),
            Some(_) => errors.add(format!("--listen has {listen} twice; leave one out")),
            None => {}
        }
    }
    errors.take(check_tls(settings, has_certificate));
    errors.into_result(listeners.clone())
}

/// A certificate is used, and not missed.
fn check_tls(settings: &Settings, has_certificate: bool) -> Result<(), ConfigErrors> {
    let is_tls = |listen: &&Listen| listen.is_tls(has_certificate);
    match settings.general.listen.iter().find(is_tls) {
        Some(listen) if !has_certificate => Err(ConfigErrors::one(format!(
            "{listen} of --listen needs a certificate: set --tls-cert and --tls-key"
        ))),
        None if has_certificate && !settings.admin.tls => {
            let text = "the certificate of --tls-cert is not used: all of --listen are http:// or Unix sockets, which \
                        have no TLS; add an address with https://, use it for operators with --admin-tls, or leave it \
                        out";
            Err(ConfigErrors::one(text))
        }
        _ => Ok(()),
    }
}

/// The address, unless anonymous clients of some hub could reach it from other machines against the
/// operator's intention.
pub(super) fn check_listen(
    settings: &Settings,
    address: SocketAddr,
    default: Anonymous,
) -> Result<SocketAddr, ConfigErrors> {
    let is_loopback = address.ip().is_loopback();
    check_loopback(settings, &address, is_loopback, default)?;
    Ok(address)
}

fn check_loopback(
    settings: &Settings,
    place: &dyn std::fmt::Display,
    is_loopback: bool,
    default: Anonymous,
) -> Result<(), ConfigErrors> {
    let mut hubs = settings.hubs.iter();
    let for_this_machine =
        hubs.find(|(_, hub)| hub.anonymous.unwrap_or(default) == Anonymous::Loopback);
    match for_this_machine {
        Some((hub, _)) if !is_loopback => {
            let of_hub = hub.map_or_else(String::new, |hub| format!(" of the hub {hub}"));
            Err(ConfigErrors::one(format!(
                "refusing to listen on {place}: clients{of_hub} could impersonate anyone; use 127.0.0.1, an \
                 access key (--key-file) or --anonymous"
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_requires_explicit_anonymous_access() {
        let check = |variables: &[(&str, &str)], address: &str, has_tokens| {
            let settings = Settings::of_variables(variables);
            let checked = check_listen(
                &settings,
                address.parse().unwrap(),
                default_anonymous(has_tokens),
            );
            checked.map_err(|error| error.to_string())
        };
        let public = "0.0.0.0:8080";
        assert!(check(&[], public, false).is_err());
        assert!(check(&[], "[::1]:8080", false).is_ok());
        assert!(check(&[], public, true).is_ok());
        let anyone = ("TIELINE_ANONYMOUS", "anyone");
        assert!(check(&[anyone], public, false).is_ok());
        let one = ("TIELINE_HUB__NEWS__ANONYMOUS", "loopback");
        let error = check(&[anyone, one], public, false).unwrap_err();
        assert!(error.contains("of the hub news"), "{error}");
        // Those without a table do not exist.
        let only = ("TIELINE_ONLY_LISTED_HUBS", "true");
        let one = ("TIELINE_HUB__NEWS__ANONYMOUS", "never");
        assert!(check(&[only, one], public, false).is_ok());
        assert!(check(&[one], public, false).is_err());
    }
}
