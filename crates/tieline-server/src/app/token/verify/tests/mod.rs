//! Tokens of access keys.

mod issuers;

use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::*;
use crate::app::key::AccessKey;

const NOW: Seconds = 1_800_000_000.0;
const KEY: &str = "an access key of thirty-two bytes";
const SECONDARY: &str = "a second key, valid while the first is replaced";
const PATH: &str = "/client/hubs/chat";

fn verifier() -> Verifier {
    let key = |text| AccessKey::new(text).unwrap();
    let keys = AccessKeys {
        primary: key(KEY),
        secondary: Some(key(SECONDARY)),
    };
    Verifier::new(Some(&keys), Issuers::default(), Vec::new())
}

fn part(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// A token with any header and claims, signed with HMAC and SHA-256 whatever the header says.
fn signed(header: &str, claims: &str, key: &str) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(key.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn token(claims: &Value) -> String {
    signed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string(), KEY)
}

fn valid() -> Value {
    json!({"aud": "http://h/client/hubs/chat", "exp": NOW + 60.0})
}

/// Valid claims with others in their place.
fn with(changes: Value) -> Value {
    let (mut claims, Value::Object(changes)) = (valid(), changes) else {
        panic!("claims are an object");
    };
    claims.as_object_mut().unwrap().extend(changes);
    claims
}

fn refusal(token: &str, path: &str) -> TokenError {
    verifier().verify(token, path, NOW).unwrap_err()
}

#[test]
fn claims_are_read_as_every_sdk_writes_them() {
    let named = |user: Option<&str>, roles: &[&str], groups: &[&str]| Identity {
        user: user.map(str::to_owned),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
    };
    for (claims, expected) in [
        (json!({}), named(None, &[], &[])),
        (json!({"sub": ""}), named(None, &[], &[])),
        (json!({"sub": null, "role": null}), named(None, &[], &[])),
        (
            json!({"sub": "ada", "iat": NOW, "nbf": NOW, "role": ["a", "b"], "webpubsub.group": ["g"]}),
            named(Some("ada"), &["a", "b"], &["g"]),
        ),
        (
            json!({"sub": "ada", "role": "a", "webpubsub.group": "g", "other": [1]}),
            named(Some("ada"), &["a"], &["g"]),
        ),
        (
            json!({"aud": ["x", "http://h/client/hubs/chat"]}),
            named(None, &[], &[]),
        ),
    ] {
        let verified = verifier().verify(&token(&with(claims.clone())), PATH, NOW);
        assert_eq!(verified, Ok(expected), "{claims}");
    }
}

#[test]
fn either_key_signs_and_no_other() {
    let claims = valid().to_string();
    // As the Java SDK writes it.
    let header = r#"{"alg":"HS256"}"#;
    for key in [KEY, SECONDARY] {
        assert!(
            verifier()
                .verify(&signed(header, &claims, key), PATH, NOW)
                .is_ok()
        );
    }
    for key in ["another key of more than thirty-two bytes", &KEY[1..], "x"] {
        assert_eq!(
            refusal(&signed(header, &claims, key), PATH),
            TokenError::Signature
        );
    }
    let mut without_secondary = verifier();
    without_secondary.keys.truncate(1);
    let refused = without_secondary.verify(&signed(header, &claims, SECONDARY), PATH, NOW);
    assert_eq!(refused, Err(TokenError::Signature));
}

#[test]
fn no_other_algorithm_is_accepted_even_with_the_right_key() {
    let claims = valid().to_string();
    for algorithm in [
        "none", "None", "", "hs256", "HS384", "HS512", "RS256", "ES256", "EdDSA",
    ] {
        let header = json!({"alg": algorithm, "typ": "JWT"}).to_string();
        assert_eq!(
            refusal(&signed(&header, &claims, KEY), PATH),
            TokenError::Algorithm
        );
        let unsigned = format!("{}.{}.", part(&header), part(&claims));
        assert_eq!(refusal(&unsigned, PATH), TokenError::Algorithm);
    }
    let unsigned = format!("{}.{}.", part(r#"{"alg":"HS256"}"#), part(&claims));
    assert_eq!(refusal(&unsigned, PATH), TokenError::Signature);
}

#[test]
fn changed_claims_need_another_signature() {
    let genuine = token(&with(json!({"sub": "ada"})));
    let mut parts: Vec<_> = genuine.split('.').map(str::to_owned).collect();
    parts[1] = part(&with(json!({"sub": "eve"})).to_string());
    assert_eq!(refusal(&parts.join("."), PATH), TokenError::Signature);
}

#[test]
fn times_have_five_minutes_of_skew_and_not_a_second_more() {
    for (claims, expected) in [
        (json!({"exp": NOW - 299.0}), None),
        (json!({"exp": NOW - 300.0}), Some(TokenError::Expired)),
        (json!({"exp": 0}), Some(TokenError::Expired)),
        (json!({"exp": -1}), Some(TokenError::Expired)),
        (json!({"exp": 1e300}), None),
        (json!({"nbf": NOW + 300.0}), None),
        (json!({"nbf": NOW + 301.0}), Some(TokenError::Early)),
        (json!({"exp": null}), Some(TokenError::NoExpiry)),
        (json!({"exp": "1900000000"}), Some(TokenError::Malformed)),
        (json!({"nbf": true}), Some(TokenError::Malformed)),
    ] {
        let verified = verifier().verify(&token(&with(claims.clone())), PATH, NOW);
        assert_eq!(verified.err(), expected, "{claims}");
    }
    let no_expiry = token(&json!({"aud": "http://h/client/hubs/chat"}));
    assert_eq!(refusal(&no_expiry, PATH), TokenError::NoExpiry);
}

#[test]
fn a_token_opens_its_own_path_only() {
    let client = token(&valid());
    let rest = "http://h/api/hubs/chat/users/a+b@c:d/:send?api-version=2024-12-01";
    let rest = token(&with(json!({"aud": rest})));
    let rest_path = "/api/hubs/chat/users/a+b%40c:d/:send";
    assert!(verifier().verify(&client, PATH, NOW).is_ok());
    assert!(verifier().verify(&rest, rest_path, NOW).is_ok());
    for (token, path) in [
        (&client, rest_path),
        (&client, "/api/hubs/chat"),
        (&client, "/client/hubs/other"),
        (&rest, PATH),
        (&rest, "/api/hubs/chat/users/ab/:send"),
    ] {
        assert_eq!(refusal(token, path), TokenError::Audience, "{path}");
    }
    for no_audience in [json!({"aud": null}), json!({"aud": []})] {
        assert_eq!(
            refusal(&token(&with(no_audience)), PATH),
            TokenError::Audience
        );
    }
}

#[test]
fn public_endpoints_narrow_the_audience() {
    let mut verifier = verifier();
    verifier.endpoints = vec!["https://h".parse().unwrap()];
    let refused = verifier.verify(&token(&valid()), PATH, NOW);
    assert_eq!(refused, Err(TokenError::Endpoint));
    let public = with(json!({"aud": "https://H/client/hubs/chat"}));
    assert!(verifier.verify(&token(&public), PATH, NOW).is_ok());
}

#[test]
fn what_is_no_token_is_malformed() {
    let claims = valid().to_string();
    let hs256 = r#"{"alg":"HS256"}"#;
    for token in [
        String::new(),
        "null".into(),
        "a.b".into(),
        "...".into(),
        format!("{}.{}", part(hs256), part(&claims)),
        format!("x.{}", signed(hs256, &claims, KEY)),
        format!("{}.x", signed(hs256, &claims, KEY)),
        signed("", &claims, KEY),
        signed("{}", &claims, KEY),
        signed(r#"{"alg":1}"#, &claims, KEY),
        signed(r#"{"alg":"HS256","alg":"none"}"#, &claims, KEY),
        signed(r#"{"alg":"HS256","crit":["exp"]}"#, &claims, KEY),
        signed(hs256, "[]", KEY),
        signed(hs256, "", KEY),
        signed(hs256, r#"{"exp":1900000000,"sub":5}"#, KEY),
        signed(hs256, r#"{"exp":1900000000,"sub":"a","sub":"b"}"#, KEY),
        signed(hs256, r#"{"exp":1900000000,"role":{"a":1}}"#, KEY),
        signed(hs256, &"[".repeat(3000), KEY),
    ] {
        assert_eq!(refusal(&token, PATH), TokenError::Malformed, "{token}");
    }
    let longest = token(&with(json!({"sub": "u".repeat(5900)})));
    assert!(longest.len() <= MAX_LENGTH && verifier().verify(&longest, PATH, NOW).is_ok());
    let too_long = token(&with(json!({"sub": "u".repeat(6200)})));
    assert_eq!(refusal(&too_long, PATH), TokenError::TooLong);
}

#[test]
fn addresses_of_keys_in_a_token_are_ignored() {
    let header = r#"{"alg":"HS256","kid":"k","jku":"http://evil.example/","x5u":"http://evil.example/","jwk":{"kty":"oct","k":"eA"}}"#;
    let by_own_key = signed(header, &valid().to_string(), "x");
    assert_eq!(refusal(&by_own_key, PATH), TokenError::Signature);
    assert!(
        verifier()
            .verify(&signed(header, &valid().to_string(), KEY), PATH, NOW)
            .is_ok()
    );
}

#[test]
fn a_signed_token_is_verified() {
    let [roles, groups] = ["a", "g"].map(|name| vec![name.to_owned()]);
    let new = crate::app::token::sign::NewToken {
        aud: "https://h/client/hubs/Chat",
        sub: Some("ada"),
        role: &roles,
        group: &groups,
        iat: 1_800_000_000,
        exp: 1_800_003_600,
    };
    let token = new.sign(&AccessKey::new(KEY).unwrap()).unwrap();
    let identity = verifier().verify(&token, PATH, NOW).unwrap();
    assert_eq!(identity.user.as_deref(), Some("ada"));
    assert_eq!((identity.roles, identity.groups), (roles, groups));
}

#[test]
fn no_text_shows_a_key() {
    let text = format!("{:?}", verifier());
    let bytes = format!("{:?}", KEY.as_bytes());
    assert!(!text.contains(KEY) && !text.contains(&bytes), "{text}");
}
