//! Which pages may connect (RFC 6455, 10.2).
//!
//! Pure: compares headers with the configuration.

use http::{Uri, header};

use super::request::UpgradeRequest;
use crate::config::Origins;

impl Origins {
    /// Whether the page that a request comes from may connect. Clients other than browsers send no `Origin`, and
    /// may: they could send any. For a server whose pages depend on what the client asks for, with
    /// [`Accept::any_origin`](crate::Accept::any_origin); [`Config::origins`](crate::Config::origins) is checked
    /// without a call.
    ///
    /// ```
    /// use tieline::{Accept, Origins, Refusal, StatusCode, UpgradeRequest};
    ///
    /// /// Each tenant has pages of its own.
    /// async fn authorize(request: UpgradeRequest) -> Result<Accept<()>, Refusal> {
    ///     let tenant = request.query("tenant").unwrap_or_default();
    ///     let origins = Origins::List(vec![format!("https://{tenant}.example.org")]);
    ///     if !origins.allow(&request) {
    ///         return Err(Refusal::new(StatusCode::FORBIDDEN, "a page of another tenant\n"));
    ///     }
    ///     Ok(Accept::new(()).namespace(&*tenant).any_origin())
    /// }
    /// ```
    pub fn allow(&self, request: &UpgradeRequest) -> bool {
        if !request.headers().contains_key(header::ORIGIN) {
            return true;
        }
        let Some(origin) = request.header(header::ORIGIN) else {
            return false;
        };
        let host = || request.header(header::HOST).unwrap_or_default();
        match self {
            Self::Any => true,
            Self::List(list) => list
                .iter()
                .any(|o| o.trim_end_matches('/').eq_ignore_ascii_case(origin)),
            Self::SameHost => same_host(origin, host()),
        }
    }
}

/// Compares host and port; the default port of the scheme may be missing on either side.
fn same_host(origin: &str, host: &str) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(authority)) = (origin.scheme_str(), origin.authority()) else {
        return false;
    };
    let default_port = if scheme == "https" { 443 } else { 80 };
    let Ok(host) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    authority.host().eq_ignore_ascii_case(host.host())
        && authority.port_u16().unwrap_or(default_port) == host.port_u16().unwrap_or(default_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_with_their_ports() {
        assert!(same_host("http://example.org:8080", "example.org:8080"));
        assert!(same_host("https://Example.org", "example.org"));
        assert!(same_host("https://example.org", "example.org:443"));
        assert!(!same_host("http://example.org:8080", "example.org"));
        assert!(!same_host("http://evil.org", "example.org"));
        assert!(!same_host("http://example.org.evil.org", "example.org"));
        assert!(!same_host("null", "example.org"));
        assert!(!same_host("http://[::1]:80", "::1"));
        assert!(same_host("http://[::1]:81", "[::1]:81"));
    }
}
