//! Signatures that botocore made, and what becomes of changed ones.

use axum::http::{HeaderName, HeaderValue, Request};

use super::*;

const KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SCOPE: &str = "20261122/us-east-1/execute-api/aws4_request";
const URI: &str = "/prod/@connections/L0SM9cOFvHcCIhw%3D";
const SIGNATURE: &str = "5b6a10ffa9b3d624ce42d4b5e1481ca7d2273dd8c9cbed096c6c44c4d603bacd";

fn noon() -> SystemTime {
    humantime::parse_rfc3339("2026-11-22T12:00:00Z").unwrap()
}

fn authorization(scope: &str, signed_headers: &str, signature: &str) -> String {
    format!(
        "{ALGORITHM} Credential={KEY_ID}/{scope}, SignedHeaders={signed_headers}, Signature={signature}"
    )
}

fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The first example: a message.
fn post() -> Parts {
    let authorization = authorization(SCOPE, "host;x-amz-date", SIGNATURE);
    let headers = [
        ("host", "127.0.0.1:8080"),
        ("x-amz-date", "20261122T120000Z"),
        ("authorization", &authorization),
    ];
    request("POST", URI, &headers)
}

fn check(head: &Parts, body: &[u8]) -> Result<(), SignatureError> {
    check_at(noon(), head, body)
}

fn check_at(now: SystemTime, head: &Parts, body: &[u8]) -> Result<(), SignatureError> {
    Signature::of(head, KEY_ID, now)?.verify(head, body, SECRET)
}

#[test]
fn what_botocore_signs_is_verified() {
    assert_eq!(check(&post(), b"hello"), Ok(()));

    let uri = "/prod/%40connections/a%2Fb%20c~d?b=2&a=1&a=%2F&flag";
    let signature = "5c0494ab6ce9dcf463a8df7aa9f0be9b4ea5a5d95331e5da6431549e4c9267e5";
    let signed = authorization(SCOPE, "host;x-amz-date", signature);
    let headers = [
        ("host", "ws.example.org"),
        ("x-amz-date", "20261122T120000Z"),
        ("authorization", &signed),
    ];
    assert_eq!(check(&request("GET", uri, &headers), b""), Ok(()));

    let scope = "20261122/eu-west-1/execute-api/aws4_request";
    let signature = "cb3946b23fca3a19bf7e1f13d27e8b0331dc0cad95af44abb3d0bc3afafeba43";
    let signed = authorization(scope, "content-type;host;x-amz-date;x-amz-meta", signature);
    let headers = [
        ("host", "127.0.0.1:8080"),
        ("x-amz-date", "20261122T120000Z"),
        ("x-amz-meta", "two   words"),
        ("content-type", "application/octet-stream"),
        // What a proxy adds.
        ("x-forwarded-for", "192.0.2.1"),
        ("authorization", &signed.replace(", ", ",")),
    ];
    let delete = request("DELETE", "/prod/@connections/x", &headers);
    assert_eq!(check(&delete, b""), Ok(()));
}

#[test]
fn what_was_changed_does_not_match() {
    let mismatch = Err(SignatureError::Mismatch);
    assert_eq!(check(&post(), b"Hello"), mismatch);
    assert_eq!(check(&post(), b""), mismatch);
    let changed: [fn(&mut Parts); 5] = [
        |head| head.method = "DELETE".parse().unwrap(),
        |head| head.uri = URI.replace("prod", "test").parse().unwrap(),
        |head| head.uri = URI.replace('@', "%40").parse().unwrap(),
        |head| head.uri = format!("{URI}?a=1").parse().unwrap(),
        |head| set(head, "host", "127.0.0.1:8081"),
    ];
    for change in changed {
        let mut head = post();
        change(&mut head);
        assert_eq!(check(&head, b"hello"), mismatch, "{head:?}");
    }
    let mut head = post();
    let names = "host;x-amz-date;{}";
    let signed = authorization(SCOPE, names, SIGNATURE);
    set(&mut head, "authorization", &signed);
    assert_eq!(check(&head, b"hello"), mismatch, "{names}");
    let head = post();
    let signature = Signature::of(&head, KEY_ID, noon()).ok().unwrap();
    let other = SECRET.replace('w', "W");
    assert_eq!(signature.verify(&head, b"hello", &other), mismatch);
}

fn set(head: &mut Parts, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap();
    head.headers.insert(HeaderName::from_static(name), value);
}

#[test]
fn a_signature_is_of_now_give_or_take_five_minutes() {
    let seconds = Duration::from_secs;
    for (skew, expected) in [(300, Ok(())), (301, Err(SignatureError::Skew))] {
        for now in [noon() + seconds(skew), noon() - seconds(skew)] {
            assert_eq!(check_at(now, &post(), b"hello"), expected, "{skew}");
        }
    }
    for date in [
        "",
        "20261122",
        "2026-11-22T12:00:00Z",
        "20261122T120000",
        "20261122T12000+Z",
        "20261322T120000Z",
        "20261122T250000Z",
        "20261122T12000000Z",
    ] {
        let mut head = post();
        set(&mut head, DATE, date);
        let error = check(&head, b"hello").unwrap_err();
        let expected = [SignatureError::Date, SignatureError::Scope];
        assert!(expected.contains(&error), "{date}: {error:?}");
    }
    let mut head = post();
    head.headers
        .append(DATE, HeaderValue::from_static("20261122T120000Z"));
    assert_eq!(check(&head, b"hello"), Err(SignatureError::Date));
    head.headers.remove(DATE);
    assert_eq!(check(&head, b"hello"), Err(SignatureError::Date));
}

#[test]
fn the_scope_is_this_service_on_the_day_of_the_signature() {
    for scope in [
        "20261121/us-east-1/execute-api/aws4_request",
        "20261122/us-east-1/s3/aws4_request",
        "20261122/us-east-1/execute-api/aws3_request",
        "20261122//execute-api/aws4_request",
    ] {
        let mut head = post();
        let signed = authorization(scope, "host;x-amz-date", SIGNATURE);
        set(&mut head, "authorization", &signed);
        assert_eq!(
            check(&head, b"hello"),
            Err(SignatureError::Scope),
            "{scope}"
        );
    }
    let head = post();
    let other = Signature::of(&head, "AKIDOTHER", noon()).err();
    assert_eq!(other, Some(SignatureError::UnknownKey));
}

#[test]
fn headers_of_aws_must_be_signed_and_session_tokens_are_not_accepted() {
    for (name, expected) in [
        ("x-amz-target", SignatureError::UnsignedHeader),
        (SESSION_TOKEN, SignatureError::SessionToken),
    ] {
        let mut head = post();
        set(&mut head, name, "x");
        assert_eq!(check(&head, b"hello"), Err(expected), "{name}");
    }
    for signed in ["host", "x-amz-date", "", "x-amz-date;x-host"] {
        let mut head = post();
        set(
            &mut head,
            "authorization",
            &authorization(SCOPE, signed, SIGNATURE),
        );
        let error = check(&head, b"hello");
        assert_eq!(error, Err(SignatureError::UnsignedHeader), "{signed}");
    }
}

#[test]
fn what_is_no_authorization_header_is_refused() {
    let valid = authorization(SCOPE, "host;x-amz-date", SIGNATURE);
    let change = |from: &str, to: &str| {
        assert!(valid.contains(from), "{from}");
        valid.replace(from, to)
    };
    for (value, expected) in [
        (String::new(), SignatureError::Missing),
        ("Bearer x".to_owned(), SignatureError::Missing),
        (ALGORITHM.to_owned(), SignatureError::Malformed),
        (change("Signature=", "Signature"), SignatureError::Malformed),
        (change("Signature=", "Sign="), SignatureError::Malformed),
        (
            change("Signature=5b", "Signature=5"),
            SignatureError::Malformed,
        ),
        (
            change("Signature=5b", "Signature="),
            SignatureError::Malformed,
        ),
        (
            change("Signature=5b", "Signature=5B"),
            SignatureError::Malformed,
        ),
        (change("/aws4_request", ""), SignatureError::Malformed),
        (change("/us-east-1", "/us/east"), SignatureError::Malformed),
        (
            change("host;x-amz-date", "x-amz-date;host"),
            SignatureError::Malformed,
        ),
        (change("host;", "host;host;"), SignatureError::Malformed),
        (change("host;", "Host;"), SignatureError::Malformed),
        (
            format!("{valid}, SignedHeaders=host"),
            SignatureError::Malformed,
        ),
    ] {
        let mut head = post();
        set(&mut head, "authorization", &value);
        assert_eq!(check(&head, b"hello"), Err(expected), "{value}");
    }
    let mut twice = post();
    let value = HeaderValue::from_str(&valid).unwrap();
    twice.headers.append("authorization", value);
    assert_eq!(check(&twice, b"hello"), Err(SignatureError::Malformed));
    twice.headers.remove("authorization");
    assert_eq!(check(&twice, b"hello"), Err(SignatureError::Missing));
}
