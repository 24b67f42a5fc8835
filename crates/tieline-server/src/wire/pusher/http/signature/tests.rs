//! Signatures as libraries make them, and as nobody may.

use super::*;
use crate::wire::pusher::http::tests::{KEY, app};

const THEN: u64 = 1_353_088_179;

/// The example of the documentation of Pusher Channels.
const BODY: &str = r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
const SIGNED: &str = "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0\
                      &body_md5=ec365a775a4cd0599faeb73354201b6f";
const SIGNATURE: &str = "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c";

/// Checks a request at this time.
fn check_at(now: u64, line: (&str, &str), query: &str, body: &str) -> Result<(), Unauthorized> {
    let query = Query::parse(query).unwrap();
    query.verify(&app(), line, now)?;
    query.verify_body(body.as_bytes())
}

fn check(line: (&str, &str), query: &str, body: &str) -> Result<(), Unauthorized> {
    check_at(THEN, line, query, body)
}

/// A GET with these parameters, signed over `text` as a library does, which sends them as `sent`.
fn get(signed_path: &str, text: &str, path: &str, sent: &str) -> Result<(), Unauthorized> {
    let signature = app().sign(format!("GET\n{signed_path}\n{text}").as_bytes());
    let query = format!("{sent}&auth_signature={signature}");
    check(("GET", path), &query, "")
}

const AUTH: &str = "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0";
const EVENTS: (&str, &str) = ("POST", "/apps/3/events");

#[test]
fn the_example_of_the_documentation_is_good_for_600_seconds_either_way() {
    let query = format!("{SIGNED}&auth_signature={SIGNATURE}");
    for (now, expected) in [
        (THEN, Ok(())),
        (THEN - 600, Ok(())),
        (THEN + 600, Ok(())),
        (THEN - 601, Err(Unauthorized::Timestamp)),
        (THEN + 601, Err(Unauthorized::Timestamp)),
    ] {
        assert_eq!(check_at(now, EVENTS, &query, BODY), expected, "{now}");
    }
}

#[test]
fn parameters_come_in_any_order_and_names_in_any_case() {
    let mut pairs: Vec<_> = SIGNED.split('&').collect();
    let signature = format!("auth_signature={SIGNATURE}");
    // Java has no order, Python puts the signature before the timestamp.
    for at in 0..=pairs.len() {
        pairs.reverse();
        let mut query = pairs.clone();
        query.insert(at, &signature);
        let query = query.join("&").replacen("auth_key", "Auth_KEY", 1);
        assert_eq!(check(EVENTS, &query, BODY), Ok(()), "{query}");
    }
}

#[test]
fn python_signs_the_md5_of_nothing() {
    let text = format!("{AUTH}&body_md5=d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(
        get("/apps/3/channels", &text, "/apps/3/channels", &text),
        Ok(())
    );
    let text = format!("{AUTH}&body_md5=ec365a775a4cd0599faeb73354201b6f");
    let wrong = get("/apps/3/channels", &text, "/apps/3/channels", &text);
    assert_eq!(wrong, Err(Unauthorized::Body));
}

#[test]
fn values_are_signed_bare_however_they_are_sent() {
    let path = "/apps/3/channels";
    let text = format!("{AUTH}&filter_by_prefix=a=b,c;d@e&info=user_count,subscription_count");
    let encoded =
        format!("info=user_count%2Csubscription_count&{AUTH}&filter_by_prefix=a%3Db%2cc%3Bd%40e");
    for sent in [&text, &encoded] {
        assert_eq!(get(path, &text, path, sent), Ok(()), "{sent}");
    }
    assert_eq!(
        get(path, &encoded, path, &text),
        Err(Unauthorized::Signature)
    );
    // A plus is a plus, and a value may be empty.
    let text = format!("{AUTH}&filter_by_prefix=a+b&info=");
    let sent = format!("{AUTH}&filter_by_prefix=a+b&info");
    assert_eq!(get(path, &text, path, &sent), Ok(()));
}

#[test]
fn a_path_is_signed_as_it_is_sent_or_decoded() {
    let bare = "/apps/3/users/auth0|1/terminate_connections";
    let encoded = "/apps/3/users/auth0%7C1/terminate_connections";
    for (signed, sent) in [(bare, bare), (bare, encoded), (encoded, encoded)] {
        assert_eq!(get(signed, AUTH, sent, AUTH), Ok(()), "{signed} {sent}");
    }
    assert_eq!(get(encoded, AUTH, bare, AUTH), Err(Unauthorized::Signature));
    let twice = encoded.replace('%', "%25");
    assert_eq!(get(bare, AUTH, &twice, AUTH), Err(Unauthorized::Signature));
}

#[test]
fn what_is_not_signed_so_is_refused() {
    let good = format!("{SIGNED}&auth_signature={SIGNATURE}");
    let change = |from: &str, to: &str| {
        let query = good.replace(from, to);
        assert_ne!(query, good);
        check(EVENTS, &query, BODY).unwrap_err()
    };
    let upper = SIGNATURE.to_uppercase();
    for signature in [&upper, "", &SIGNATURE[1..], &SIGNATURE[2..], "ä", "%00"] {
        assert_eq!(change(SIGNATURE, signature), Unauthorized::Signature);
    }
    assert_eq!(change(KEY, "278d425bdf160c739804"), Unauthorized::Key);
    assert_eq!(change(KEY, ""), Unauthorized::Key);
    assert_eq!(change("=1.0", "=1.1"), Unauthorized::Version);
    for timestamp in [
        "",
        "-1",
        "x",
        "1353088179.0",
        "1353088179000",
        "99999999999999999999",
    ] {
        assert_eq!(change("1353088179", timestamp), Unauthorized::Timestamp);
    }
    for name in [
        "auth_key",
        "auth_timestamp",
        "auth_version",
        "auth_signature",
    ] {
        assert_eq!(change(name, "x"), Unauthorized::Missing, "{name}");
    }
    // What is added is signed too.
    assert_eq!(
        change("&auth_version", "&a=b&auth_version"),
        Unauthorized::Signature
    );
    assert_eq!(
        check(("GET", EVENTS.1), &good, BODY),
        Err(Unauthorized::Signature)
    );
    assert_eq!(
        check(("POST", "/apps/4/events"), &good, BODY),
        Err(Unauthorized::Signature)
    );
}

#[test]
fn the_body_is_the_one_that_was_signed() {
    let good = format!("{SIGNED}&auth_signature={SIGNATURE}");
    for body in ["", "{}", &BODY[1..], &format!("{BODY} ")] {
        assert_eq!(
            check(EVENTS, &good, body),
            Err(Unauthorized::Body),
            "{body}"
        );
    }
    let with_md5 = |md5: &str| {
        let text = format!("{AUTH}{md5}");
        let signature = app().sign(format!("POST\n/apps/3/events\n{text}").as_bytes());
        check(EVENTS, &format!("{text}&auth_signature={signature}"), BODY)
    };
    assert_eq!(
        with_md5("&body_md5=ec365a775a4cd0599faeb73354201b6f"),
        Ok(())
    );
    for md5 in [
        "",
        "&body_md5=",
        "&body_md5=EC365A775A4CD0599FAEB73354201B6F",
        "&body_md5=ec365a775a4cd0599faeb73354201b6",
        "&body_md5=ec365a775a4cd0599faeb73354201b6f0",
        "&body_md5=d41d8cd98f00b204e9800998ecf8427e",
    ] {
        assert_eq!(with_md5(md5), Err(Unauthorized::Body), "{md5}");
    }
}

#[test]
fn a_query_that_can_be_read_in_two_ways_is_refused() {
    for query in ["a=1&a=1", "a=1&b=2&A=1", "a=1&%61=2", "a&a"] {
        assert_eq!(
            Query::parse(query).unwrap_err(),
            InvalidQuery::Twice,
            "{query}"
        );
    }
    assert_eq!(Query::parse("a=%ff").unwrap_err(), InvalidQuery::NotUtf8);
    let query = Query::parse("&b=x%3Dy=z&&A=1&").unwrap();
    assert_eq!((query.get("a"), query.get("b")), (Some("1"), Some("x=y=z")));
    assert_eq!((query.get("B"), query.get("")), (None, None));
}
