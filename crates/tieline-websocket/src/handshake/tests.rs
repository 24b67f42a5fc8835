//! RFC 6455, section 4.2, and RFC 7692, section 7.1.

use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, Method, StatusCode, Version};

use super::{HandshakeError, Request};

/// The request of RFC 6455, section 1.3.
const SAMPLE: [(&str, &str); 5] = [
    ("host", "server.example.com"),
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
];

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a header name");
        headers.append(name, value.parse().expect("a header value"));
    }
    headers
}

fn parse(headers: &HeaderMap) -> Result<Request, HandshakeError> {
    Request::parse(&Method::GET, Version::HTTP_11, headers)
}

/// The sample with more headers.
fn with(fields: &[(&str, &str)]) -> Result<Request, HandshakeError> {
    parse(&headers(&[&SAMPLE, fields].concat()))
}

/// The error of the sample with one header replaced, or removed for `None`.
fn changed(name: &'static str, value: Option<&str>) -> HandshakeError {
    let mut headers = headers(&SAMPLE);
    headers.remove(name);
    if let Some(value) = value {
        headers.insert(name, value.parse().expect("a header value"));
    }
    parse(&headers).expect_err("a faulty request")
}

#[test]
fn sample_of_section_1_3_is_answered() {
    let request = with(&[]).expect("a valid request");
    let response = request.respond(None, true);
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers();
    assert_eq!(headers["upgrade"], "websocket");
    assert_eq!(headers["connection"], "Upgrade");
    assert_eq!(
        headers["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(headers.len(), 3, "nothing that was not offered");
}

#[test]
fn only_get_over_http_1_1_is_upgraded() {
    let sample = headers(&SAMPLE);
    for method in [Method::POST, Method::HEAD, Method::CONNECT] {
        let error = Request::parse(&method, Version::HTTP_11, &sample);
        assert_eq!(error.err(), Some(HandshakeError::Method));
    }
    for version in [Version::HTTP_09, Version::HTTP_10, Version::HTTP_2] {
        let error = Request::parse(&Method::GET, version, &sample);
        assert_eq!(error.err(), Some(HandshakeError::HttpVersion));
    }
}

#[test]
fn tokens_are_found_in_lists_and_in_any_case() {
    let mut headers = headers(&SAMPLE);
    for (upgrade, connection) in [
        ("WebSocket", "keep-alive, Upgrade"),
        ("h2c , WEBSOCKET", "UPGRADE"),
        ("websocket", "close,,\tupgrade ,"),
    ] {
        headers.insert("upgrade", HeaderValue::from_static(upgrade));
        headers.insert("connection", HeaderValue::from_static(connection));
        assert!(parse(&headers).is_ok(), "{upgrade} {connection}");
    }
    headers.insert("connection", HeaderValue::from_static("keep-alive"));
    headers.append("connection", HeaderValue::from_static("upgrade"));
    assert!(parse(&headers).is_ok(), "spread over two headers");
}

#[test]
fn missing_upgrade_and_missing_connection_differ() {
    let error = HandshakeError::NotAnUpgrade;
    assert_eq!(changed("upgrade", None), error);
    assert_eq!(changed("upgrade", Some("websockets")), error);
    assert_eq!(changed("upgrade", Some("h2c")), error);
    let error = HandshakeError::ConnectionNotUpgrade;
    assert_eq!(changed("connection", None), error);
    assert_eq!(changed("connection", Some("keep-alive")), error);
}

#[test]
fn host_key_and_version_must_appear_once() {
    let name = HeaderName::from_static;
    for missing in ["host", "sec-websocket-key"] {
        let error = HandshakeError::Missing(name(missing));
        assert_eq!(changed(missing, None), error);
    }
    for repeated in ["host", "sec-websocket-key", "sec-websocket-version"] {
        let error = HandshakeError::Repeated(name(repeated));
        let value = headers(&SAMPLE)[repeated].clone();
        let value = value.to_str().expect("visible ASCII");
        assert_eq!(with(&[(repeated, value)]).err(), Some(error));
    }
}

#[test]
fn version_must_be_13() {
    for version in [None, Some("8"), Some("0"), Some("14"), Some("13, 8")] {
        let error = HandshakeError::VersionNotSupported;
        assert_eq!(changed("sec-websocket-version", version), error);
    }
}

#[test]
fn key_must_be_16_bytes_in_base64() {
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZSE=",
        "dGhlIHNhbXBsZSBub25jZSEh",
        "dGhlIHNhbXBsZSBub25jZ!==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        let error = HandshakeError::InvalidKey;
        assert_eq!(changed("sec-websocket-key", Some(key)), error, "{key}");
    }
    let huge = "A".repeat(100_000);
    let error = HandshakeError::InvalidKey;
    assert_eq!(changed("sec-websocket-key", Some(&huge)), error);
}

#[test]
fn key_with_unused_bits_is_accepted_as_it_was_sent() {
    let mut headers = headers(&SAMPLE);
    let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZR==");
    headers.insert("sec-websocket-key", key);
    let request = parse(&headers).expect("16 bytes");
    let accept = &request.respond(None, false).headers()["sec-websocket-accept"].clone();
    assert_ne!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn subprotocols_keep_the_clients_order_over_several_headers() {
    let name = "sec-websocket-protocol";
    let request = with(&[(name, "b, a"), (name, "c,,A")]).expect("valid");
    assert_eq!(
        request.subprotocols().collect::<Vec<_>>(),
        ["b", "a", "c", "A"]
    );
    let request = with(&[(name, "")]).expect("valid");
    assert_eq!(request.subprotocols().count(), 0);
}

#[test]
fn malformed_subprotocols_are_refused() {
    let name = "sec-websocket-protocol";
    for value in ["a b", "a;b", "a, a", "\"a\"", "a/b", "ü"] {
        let error = with(&[(name, value)]).err();
        assert_eq!(error, Some(HandshakeError::InvalidSubprotocols), "{value}");
    }
    let error = with(&[(name, "a"), (name, "b, a")]).err();
    assert_eq!(error, Some(HandshakeError::InvalidSubprotocols));
}

#[test]
fn only_an_offered_subprotocol_is_answered() {
    let request = with(&[("sec-websocket-protocol", "chat, v2.chat")]).expect("valid");
    let response = request.respond(Some("v2.chat"), false);
    assert_eq!(response.headers()["sec-websocket-protocol"], "v2.chat");
    for made_up in ["Chat", "other", "", "no\r\nheader", "\0"] {
        let response = request.respond(Some(made_up), false);
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
    }
}

/// The response to these extension headers if the server wants to compress.
fn extensions(values: &[&str]) -> Result<Option<String>, HandshakeError> {
    let fields: Vec<_> = values
        .iter()
        .map(|value| ("sec-websocket-extensions", *value))
        .collect();
    let request = with(&fields)?;
    let response = request.respond(None, true);
    let answer = response.headers().get("sec-websocket-extensions");
    assert_eq!(request.offers_deflate(), answer.is_some());
    let plain = request.respond(None, false);
    assert!(!plain.headers().contains_key("sec-websocket-extensions"));
    Ok(answer.map(|it| it.to_str().expect("visible ASCII").to_owned()))
}

const ACCEPTED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
fn acceptable_offers_of_deflate_are_accepted() {
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits=8",
        "permessage-deflate ; client_max_window_bits = \"1\\0\"",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "x-webkit-deflate-frame, permessage-deflate",
        "unknown; a=b; c=\"d\", , permessage-deflate;\tclient_max_window_bits=15 ,",
    ] {
        assert_eq!(extensions(&[offer]), Ok(Some(ACCEPTED.into())), "{offer}");
    }
    let spread = ["unknown", "permessage-deflate"];
    assert_eq!(extensions(&spread), Ok(Some(ACCEPTED.into())));
}

#[test]
fn window_of_the_server_is_repeated_when_it_is_the_full_one() {
    let answer = format!("{ACCEPTED}; server_max_window_bits=15");
    let offer = "permessage-deflate; server_max_window_bits=15";
    assert_eq!(extensions(&[offer]), Ok(Some(answer)));
}

#[test]
fn unacceptable_offers_of_deflate_are_declined() {
    for offer in [
        "",
        "permessage-bzip2",
        "Permessage-Deflate",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=14",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=015",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ] {
        assert_eq!(extensions(&[offer]), Ok(None), "{offer}");
    }
}

#[test]
fn next_offer_is_tried_when_one_is_declined() {
    let offers = "permessage-deflate; server_max_window_bits=10, permessage-deflate";
    assert_eq!(extensions(&[offers]), Ok(Some(ACCEPTED.into())));
    let offers = [
        "permessage-deflate; unknown",
        "permessage-deflate; client_max_window_bits",
    ];
    assert_eq!(extensions(&offers), Ok(Some(ACCEPTED.into())));
}

#[test]
fn extensions_that_break_the_grammar_are_refused() {
    for value in [
        ";",
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; a=",
        "permessage-deflate; a=\"",
        "permessage-deflate; a=\"\"",
        "permessage-deflate; a=\"b c\"",
        "permessage-deflate; a=\"b\\",
        "permessage-deflate; a=\"b\"c",
        "permessage-deflate client_max_window_bits",
        "permessage-deflate=1",
        "\"permessage-deflate\"",
        "ü",
    ] {
        let error = HandshakeError::InvalidExtensions;
        assert_eq!(extensions(&[value]), Err(error), "{value}");
    }
}

#[test]
fn errors_answer_with_status_headers_and_advice() {
    let response = HandshakeError::Method.response();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET");

    for error in [
        HandshakeError::NotAnUpgrade,
        HandshakeError::VersionNotSupported,
    ] {
        let response = error.response();
        assert_eq!(response.status(), 426);
        assert_eq!(response.headers()["sec-websocket-version"], "13");
        assert_eq!(response.headers()["upgrade"], "websocket");
        assert_eq!(response.headers()["connection"], "Upgrade");
    }
    for error in [
        HandshakeError::HttpVersion,
        HandshakeError::ConnectionNotUpgrade,
        HandshakeError::Missing(http::header::HOST),
        HandshakeError::Repeated(http::header::HOST),
        HandshakeError::InvalidKey,
        HandshakeError::InvalidSubprotocols,
        HandshakeError::InvalidExtensions,
    ] {
        let response = error.response();
        assert_eq!(response.status(), 400);
        let body = response.body();
        assert!(body.starts_with(&error.to_string()) && body.ends_with('\n'));
        assert_eq!(body.lines().count(), 1);
    }
}
