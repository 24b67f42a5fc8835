//! Tokens of issuers, signed with real keys.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use jsonwebtoken::jwk::Jwk;
use serde_json::{Value, json};

use super::*;
use crate::{
    app::jwks::{issuer::IssuerSettings, source::Source},
    config::sections::issuers::IssuerAlgorithm,
};

const ISSUER: &str = "https://id.example";

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A private key that signs with one algorithm.
struct Signer {
    algorithm: &'static str,
    jwk: Value,
    sign: Sign,
}

impl Signer {
    fn es256() -> Self {
        let random = SystemRandom::new();
        let how = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(how, pkcs8.as_ref()).unwrap();
        let public = EncodingKey::from_ec_der(pkcs8.as_ref());
        Self {
            algorithm: "ES256",
            jwk: json!(Jwk::from_encoding_key(&public, Algorithm::ES256).unwrap()),
            sign: Box::new(move |message| key.sign(&random, message).unwrap().as_ref().to_vec()),
        }
    }

    fn ed25519() -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let public = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        Self {
            algorithm: "EdDSA",
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": public}),
            sign: Box::new(move |message| key.sign(message).as_ref().to_vec()),
        }
    }

    fn rs256() -> Self {
        let key = signature::RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = key.public_key();
        let [n, e] = [public.modulus(), public.exponent()]
            .map(|number| URL_SAFE_NO_PAD.encode(number.big_endian_without_leading_zero()));
        Self {
            algorithm: "RS256",
            jwk: json!({"kty": "RSA", "n": n, "e": e}),
            sign: Box::new(move |message| {
                let mut signed = vec![0; key.public_modulus_len()];
                let how = &signature::RSA_PKCS1_SHA256;
                key.sign(how, &SystemRandom::new(), message, &mut signed)
                    .unwrap();
                signed
            }),
        }
    }

    /// A token of the issuer, with changed claims and further headers.
    fn token(&self, headers: Value, changes: Value) -> String {
        let mut header = json!({"alg": self.algorithm, "kid": "k"});
        header.as_object_mut().unwrap().extend(object(headers));
        let mut claims = with(json!({"iss": ISSUER, "sub": "ada"}));
        claims.as_object_mut().unwrap().extend(object(changes));
        let message = format!(
            "{}.{}",
            part(&header.to_string()),
            part(&claims.to_string())
        );
        let signature = URL_SAFE_NO_PAD.encode((self.sign)(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn jwk(&self) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = json!("k");
        jwk
    }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn issuer(algorithms: &[&str], keys: &[Value], audience: Option<&str>) -> Arc<Issuer> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({"keys": keys}).to_string()).unwrap();
    let algorithms = algorithms.iter().map(|name| name.parse().unwrap());
    let settings = IssuerSettings {
        issuer: ISSUER.into(),
        keys: Source::File(file.path().into()),
        algorithms: algorithms.collect::<Vec<IssuerAlgorithm>>(),
        audience: audience.map(str::to_owned),
    };
    Issuer::open(settings).unwrap()
}

fn accepts(issuer: Arc<Issuer>) -> Verifier {
    let mut verifier = verifier();
    verifier.issuers = Issuers::new(vec![issuer]);
    verifier
}

#[test]
fn each_algorithm_verifies_what_it_signed() {
    for signer in [Signer::es256(), Signer::ed25519(), Signer::rs256()] {
        let verifier = accepts(issuer(&[signer.algorithm], &[signer.jwk()], None));
        let token = signer.token(json!({}), json!({}));
        let identity = verifier.verify(&token, PATH, NOW).unwrap();
        assert_eq!(
            identity.user.as_deref(),
            Some("ada"),
            "{}",
            signer.algorithm
        );
        // Other claims under the same signature.
        let mut forged: Vec<_> = token.split('.').map(str::to_owned).collect();
        forged[1] = part(&with(json!({"iss": ISSUER, "sub": "eve"})).to_string());
        let refused = verifier.verify(&forged.join("."), PATH, NOW);
        assert_eq!(refused, Err(TokenError::Signature), "{}", signer.algorithm);
    }
}

#[test]
fn the_algorithm_is_that_of_the_issuer_and_of_the_key() {
    let (es256, ed25519) = (Signer::es256(), Signer::ed25519());
    let keys = [es256.jwk(), ed25519.jwk()];
    let only_es256 = accepts(issuer(&["ES256"], &keys, None));
    let token = ed25519.token(json!({}), json!({}));
    assert_eq!(
        only_es256.verify(&token, PATH, NOW),
        Err(TokenError::Algorithm)
    );
    for name in ["none", "ES384", "RS256", "PS256", "HS384"] {
        let token = es256.token(json!({"alg": name}), json!({}));
        assert_eq!(
            only_es256.verify(&token, PATH, NOW),
            Err(TokenError::Algorithm),
            "{name}"
        );
    }
}

#[test]
fn a_public_key_is_no_secret_of_hs256() {
    let rsa = Signer::rs256();
    let verifier = accepts(issuer(&["RS256"], &[rsa.jwk()], None));
    let claims = with(json!({"iss": ISSUER})).to_string();
    let modulus = rsa.jwk["n"].as_str().unwrap();
    for secret in [modulus, &rsa.jwk().to_string()] {
        let token = signed(r#"{"alg":"HS256","kid":"k"}"#, &claims, secret);
        assert_eq!(
            verifier.verify(&token, PATH, NOW),
            Err(TokenError::Signature)
        );
        let token = signed(r#"{"alg":"RS256","kid":"k"}"#, &claims, secret);
        assert_eq!(
            verifier.verify(&token, PATH, NOW),
            Err(TokenError::Signature)
        );
    }
}

#[test]
fn issuer_key_id_times_and_path_are_checked() {
    let signer = Signer::es256();
    let verifier = accepts(issuer(&["ES256"], &[signer.jwk()], None));
    let check = |headers, changes, path| {
        verifier
            .verify(&signer.token(headers, changes), path, NOW)
            .err()
    };
    let rest = "http://h/api/hubs/chat/:send";
    for (headers, claims, path, expected) in [
        (json!({}), json!({}), PATH, None),
        (json!({"kid": null}), json!({}), PATH, None),
        (
            json!({"kid": "other"}),
            json!({}),
            PATH,
            Some(TokenError::UnknownKey),
        ),
        (
            json!({}),
            json!({"iss": "https://evil.example"}),
            PATH,
            Some(TokenError::Issuer),
        ),
        (
            json!({}),
            json!({"iss": null}),
            PATH,
            Some(TokenError::Issuer),
        ),
        (
            json!({}),
            json!({"exp": NOW - 300.0}),
            PATH,
            Some(TokenError::Expired),
        ),
        (
            json!({}),
            json!({"exp": null}),
            PATH,
            Some(TokenError::NoExpiry),
        ),
        (
            json!({}),
            json!({"nbf": NOW + 301.0}),
            PATH,
            Some(TokenError::Early),
        ),
        (
            json!({}),
            json!({"aud": "http://h/client/hubs/other"}),
            PATH,
            Some(TokenError::Audience),
        ),
        // An issuer signs for clients, not for backends.
        (
            json!({}),
            json!({"aud": rest}),
            "/api/hubs/chat/:send",
            Some(TokenError::Algorithm),
        ),
        // Where a token says that its key is found does not matter.
        (
            json!({"kid": "other", "jku": "http://evil.example", "jwk": signer.jwk()}),
            json!({}),
            PATH,
            Some(TokenError::UnknownKey),
        ),
    ] {
        assert_eq!(
            check(headers.clone(), claims.clone(), path),
            expected,
            "{headers} {claims}"
        );
    }
    let without_id = Signer::es256().token(json!({"kid": null}), json!({}));
    assert_eq!(
        verifier.verify(&without_id, PATH, NOW),
        Err(TokenError::UnknownKey)
    );
    assert_eq!(
        verifier.issuer(&without_id).map(|issuer| issuer.name()),
        Some(ISSUER)
    );
}

#[test]
fn an_audience_of_the_issuer_replaces_the_url() {
    let signer = Signer::ed25519();
    let verifier = accepts(issuer(&["EdDSA"], &[signer.jwk()], Some("chat-app")));
    for (audience, expected) in [
        (json!("chat-app"), None),
        (json!(["x", "chat-app"]), None),
        (json!("chat"), Some(TokenError::Service)),
        (json!(null), Some(TokenError::Service)),
        (
            json!("http://h/client/hubs/chat"),
            Some(TokenError::Service),
        ),
    ] {
        let token = signer.token(json!({}), json!({"aud": audience}));
        assert_eq!(
            verifier.verify(&token, PATH, NOW).err(),
            expected,
            "{audience}"
        );
    }
}
