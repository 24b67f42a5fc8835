//! Parsers of flag values, with errors that show the syntax.
//!
//! Owns the syntax of rates, times, URLs, headers, ratios and addresses. Each value is checked by
//! itself: must not know the values of other flags.

use std::{net::SocketAddr, time::Duration};

use crate::url::Scheme;

/// The rate of an open loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    /// Messages per second.
    PerSecond(f64),
    /// Half of the maximum rate of the slower of two servers.
    Half,
}

pub(super) fn rate(text: &str) -> Result<Rate, String> {
    if text == "half" {
        return Ok(Rate::Half);
    }
    let rate = per_second(text).map_err(|how| format!("{how}; in compare also half"))?;
    Ok(Rate::PerSecond(rate))
}

pub(super) fn per_second(text: &str) -> Result<f64, String> {
    match text.replace(['_', ','], "").parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("write a number per second above zero, such as 20000".into()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const HOW: &str = "write a time with its unit, such as 500ms, 5s or 1m";
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).ok_or(HOW)?;
    let (number, unit) = text.split_at(unit);
    let factor = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(HOW.into()),
    };
    let number: f64 = number.trim().parse().map_err(|_| HOW)?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| HOW.into())
}

/// Checks that a URL has a scheme of this kind, and suggests one that has.
pub(super) fn url(text: &str, kind: Scheme) -> Result<(), String> {
    let (what, [plain, encrypted], others) = match kind {
        Scheme::WebSocket => ("a WebSocket URL", ["ws", "wss"], ["http", "https"]),
        Scheme::Http => ("the URL of requests", ["http", "https"], ["ws", "wss"]),
    };
    let rule = format!("{what} starts with {plain}:// or {encrypted}://");
    let instead = match text.split_once("://") {
        Some((scheme, _)) if scheme == plain || scheme == encrypted => return Ok(()),
        Some((scheme, rest)) if scheme == others[0] => format!("{plain}://{rest}"),
        Some((scheme, rest)) if scheme == others[1] => format!("{encrypted}://{rest}"),
        Some(_) => return Err(rule),
        None => format!("{plain}://{text}"),
    };
    Err(format!("{rule}; did you mean {instead}?"))
}

pub(super) fn header(text: &str) -> Result<String, String> {
    const HOW: &str = "write name and value, such as 'Authorization: Bearer abc'";
    let (name, value) = text.split_once(':').ok_or(HOW)?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) || value.contains(['\r', '\n']) {
        return Err(HOW.into());
    }
    Ok(text.into())
}

pub(super) fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text
        .parse()
        .ok()
        .filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0);
    ratio.ok_or_else(|| "write a number above zero, such as 0.5".into())
}

/// Addresses are numeric: a host name may resolve to several.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write address and port, such as 127.0.0.1:9200".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for text in ["", "5", "s", "-1s", "5 parsecs", "1e400s", "5µs"] {
            assert!(duration(text).unwrap_err().contains("500ms"), "{text}");
        }
    }

    #[test]
    fn rates_are_numbers_or_half() {
        assert_eq!(rate("20_000"), Ok(Rate::PerSecond(20_000.0)));
        assert_eq!(rate("half"), Ok(Rate::Half));
        for text in ["0", "-1", "inf", "fast"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_of_the_other_kind_is_corrected() {
        assert_eq!(url("wss://h/x", Scheme::WebSocket), Ok(()));
        assert_eq!(url("https://h/x", Scheme::Http), Ok(()));
        for (kind, wrong, right) in [
            (Scheme::WebSocket, "http://h:1/x", "ws://h:1/x"),
            (Scheme::WebSocket, "https://h/x", "wss://h/x"),
            (Scheme::WebSocket, "h:1", "ws://h:1"),
            (Scheme::Http, "ws://h:1/x", "http://h:1/x"),
            (Scheme::Http, "h:1", "http://h:1"),
        ] {
            let error = url(wrong, kind).unwrap_err();
            assert!(error.contains(&format!("mean {right}?")), "{error}");
        }
        assert!(!url("ftp://h", Scheme::Http).unwrap_err().contains("mean"));
    }

    #[test]
    fn headers_have_a_name_and_one_line() {
        assert!(header("X-Key: a:b").is_ok());
        for text in ["X-Key", ": a", "a b: c", "a: b\r\nc: d"] {
            assert!(header(text).is_err(), "{text:?}");
        }
    }
}
