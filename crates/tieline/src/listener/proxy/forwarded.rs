//! The client of a request that proxies have passed on.
//!
//! Owns both notations. Each proxy adds the address that it was called from at the end, so the list is read from
//! the right as long as it names proxies that are believed. What stands further left is what the first stranger has
//! claimed.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

use super::config::{ForwardedHeader, Proxies};

/// Those of a line from left to right; `None` is what is no address.
type Addresses = Vec<Option<SocketAddr>>;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address, with port 0 if the port is not said. `None` if the header does not say who the client is.
/// The request came from a proxy that is believed.
pub(in crate::listener) fn client(proxies: &Proxies, headers: &HeaderMap) -> Option<SocketAddr> {
    let (name, addresses): (_, fn(&str) -> Addresses) = match proxies.forwarded_header {
        ForwardedHeader::XForwardedFor => (X_FORWARDED_FOR, x_forwarded_for),
        ForwardedHeader::Forwarded => (header::FORWARDED, forwarded),
    };
    let mut nearest = None;
    for line in headers.get_all(name).iter().rev() {
        let addresses = line.to_str().map_or_else(|_| vec![None], addresses);
        for address in addresses.into_iter().rev() {
            let address = address?;
            if !proxies.forwards_from(address.ip()) {
                return Some(address);
            }
            nearest = Some(address);
        }
    }
    nearest
}

fn x_forwarded_for(line: &str) -> Addresses {
    line.split(',').map(|node| address(node.trim())).collect()
}

/// The parameters `for` of a line. A line that does not follow the grammar says nothing.
fn forwarded(line: &str) -> Addresses {
    let Some(elements) = split(line, ',') else {
        return vec![None];
    };
    elements
        .into_iter()
        .map(|element| of_element(&element))
        .collect()
}

fn of_element(element: &str) -> Option<SocketAddr> {
    let mut nodes = split(element, ';')?.into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim();
        let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| quoted.unwrap_or(value).to_owned())
    });
    match (nodes.next(), nodes.next()) {
        (Some(node), None) => address(&node),
        _ => None,
    }
}

/// Splits where no quoted text is; `None` if one does not end. An address needs no escapes, so a text with one is
/// none.
fn split(text: &str, separator: char) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    for character in text.chars() {
        match character {
            '\\' => return None,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        if character == separator && !is_quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    (!is_quoted).then_some(parts)
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`.
fn address(node: &str) -> Option<SocketAddr> {
    let bracketed = node.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let address = match (node.parse::<SocketAddr>(), bracketed) {
        (Ok(address), _) => address,
        (_, Some(address)) => SocketAddr::new(IpAddr::V6(address.parse().ok()?), 0),
        _ => SocketAddr::new(node.parse().ok()?, 0),
    };
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ForwardedHeader) -> Proxies {
        Proxies {
            forwarded: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            forwarded_header: header,
            ..Proxies::default()
        }
    }

    fn of(header: ForwardedHeader, name: &'static str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().unwrap());
        }
        client(&proxies(header), &headers).map(|address| address.to_string())
    }

    fn x(lines: &[&str]) -> Option<String> {
        of(ForwardedHeader::XForwardedFor, "x-forwarded-for", lines)
    }

    fn rfc(lines: &[&str]) -> Option<String> {
        of(ForwardedHeader::Forwarded, "forwarded", lines)
    }

    #[test]
    fn the_list_is_read_from_the_right_to_the_first_stranger() {
        let is = |lines: &[&str], expected: &str| assert_eq!(x(lines).as_deref(), Some(expected));
        is(&["192.0.2.1"], "192.0.2.1:0");
        is(&["127.0.0.1, 192.0.2.1"], "192.0.2.1:0");
        is(&["127.0.0.1, 192.0.2.1, 10.0.0.1,10.1.1.1"], "192.0.2.1:0");
        is(&["127.0.0.1", "192.0.2.1", "10.0.0.1"], "192.0.2.1:0");
        is(&["192.0.2.1:4711, [fd00::1]:80"], "192.0.2.1:4711");
        is(&["10.0.0.9, 10.0.0.8"], "10.0.0.9:0");
        is(&["nonsense, ::ffff:192.0.2.1"], "192.0.2.1:0");
        is(&["2001:db8::1"], "[2001:db8::1]:0");
        let rfc_is =
            |lines: &[&str], expected: &str| assert_eq!(rfc(lines).as_deref(), Some(expected));
        rfc_is(&["for=192.0.2.1;proto=https;by=10.0.0.1"], "192.0.2.1:0");
        rfc_is(
            &["For=\"[2001:db8::1]:4711\", for=10.0.0.1"],
            "[2001:db8::1]:4711",
        );
        rfc_is(
            &["for=127.0.0.1, for=192.0.2.1;host=\"a,b;c\""],
            "192.0.2.1:0",
        );
        rfc_is(&["for=\"127.0.0.1", "for=192.0.2.1"], "192.0.2.1:0");
    }

    #[test]
    fn what_does_not_say_who_the_client_is_says_nothing() {
        for lines in [
            &[][..],
            &[""],
            &["nonsense"],
            &["192.0.2.1, unknown"],
            &["192.0.2.1,"],
            &["192.0.2.1", "", "10.0.0.1"],
            &["192.0.2.1:70000"],
            &["[192.0.2.1]"],
        ] {
            assert_eq!(x(lines), None, "{lines:?}");
        }
        for lines in [
            &["for=unknown"][..],
            &["for=_hidden"],
            &["by=10.0.0.1"],
            &["for=\"127.0.0.1, for=192.0.2.1"],
            &["for=\"127\\.0.0.1\""],
            &["for=127.0.0.1;for=192.0.2.1"],
            &["192.0.2.1"],
        ] {
            assert_eq!(rfc(lines), None, "{lines:?}");
        }
        let other = of(
            ForwardedHeader::Forwarded,
            "x-forwarded-for",
            &["192.0.2.1"],
        );
        assert_eq!(other, None, "the other header may be the client's own");
    }
}
