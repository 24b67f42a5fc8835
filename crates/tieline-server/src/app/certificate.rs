//! The users of clients that show a certificate.
//!
//! Owns where in a certificate its user stands. Must not check the certificate, which TLS has done. Invariant: of
//! several names none is chosen, so that whoever signs certificates decides who a client is, and nothing else.

use std::sync::Arc;

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::role::Roles;
use crate::config::sections::tls::ClientUser;

/// What a certificate makes of a client.
#[derive(Debug, Clone)]
pub(crate) struct CertificateUsers {
    place: ClientUser,
    /// What a client may do that shows no token beside its certificate.
    pub(super) roles: Arc<Roles>,
}

impl CertificateUsers {
    pub(crate) fn new(place: ClientUser, roles: Roles) -> Self {
        let roles = Arc::new(roles);
        Self { place, roles }
    }

    /// The user of a certificate in DER; `None` unless there is one name, and not an empty one.
    pub(super) fn user(&self, der: &[u8]) -> Option<String> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names: Vec<&str> = match self.place {
            ClientUser::CommonName => {
                let names = certificate.subject().iter_common_name();
                names
                    .map(|name| name.as_str().ok())
                    .collect::<Option<_>>()?
            }
            place => {
                let extension = certificate.subject_alternative_name().ok()??;
                let names = extension.value.general_names.iter();
                names.filter_map(|name| alternative(place, name)).collect()
            }
        };
        match names[..] {
            [name] if !name.is_empty() => Some(name.to_owned()),
            _ => None,
        }
    }
}

fn alternative<'a>(place: ClientUser, name: &GeneralName<'a>) -> Option<&'a str> {
    match (place, name) {
        (ClientUser::DnsName, GeneralName::DNSName(name))
        | (ClientUser::Email, GeneralName::RFC822Name(name))
        | (ClientUser::Uri, GeneralName::URI(name)) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn der(common_names: &[&str], alternative: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common_names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        params.subject_alt_names = alternative;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn user(place: ClientUser, der: &[u8]) -> Option<String> {
        CertificateUsers::new(place, Roles::default()).user(der)
    }

    #[test]
    fn each_kind_of_name_is_found_in_its_place() {
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let email = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
        let uri = |name: &str| SanType::URI(name.try_into().unwrap());
        let all = vec![dns("a.test"), email("a@b.test"), uri("spiffe://c/d")];
        let certificate = der(&["Ada L."], all);
        for (place, expected) in [
            (ClientUser::CommonName, "Ada L."),
            (ClientUser::DnsName, "a.test"),
            (ClientUser::Email, "a@b.test"),
            (ClientUser::Uri, "spiffe://c/d"),
        ] {
            assert_eq!(user(place, &certificate).as_deref(), Some(expected));
        }
    }

    #[test]
    fn no_name_an_empty_one_or_several_are_none() {
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let several = der(&[""], vec![dns("a.test"), dns("b.test")]);
        assert_eq!(user(ClientUser::DnsName, &several), None);
        assert_eq!(user(ClientUser::Uri, &several), None);
        assert_eq!(user(ClientUser::CommonName, &several), None);
        assert_eq!(user(ClientUser::CommonName, &der(&[], vec![])), None);
        assert_eq!(user(ClientUser::DnsName, &der(&["a"], vec![])), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_user() {
        let certificate = der(&["ada"], Vec::new());
        for end in 0..certificate.len() {
            assert_eq!(user(ClientUser::CommonName, &certificate[..end]), None);
        }
    }
}
