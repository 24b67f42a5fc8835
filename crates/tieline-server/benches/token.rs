//! The cost of checking a client's token (HS256), beside that of the signature alone.
//!
//! The server is a program, not a library, so its modules are compiled into this one. They use only a few of
//! their items here.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]
#![allow(
    dead_code,
    unused_imports,
    reason = "of the modules of the server, this needs the check of tokens only"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation ends the benchmark, with its position"
)]

#[path = "../src/app/mod.rs"]
mod app;
#[path = "../src/config/mod.rs"]
mod config;
#[path = "../src/http_client.rs"]
mod http_client;
#[path = "../src/traces/mod.rs"]
mod traces;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};

use self::app::{
    jwks::issuer::Issuers,
    key::{AccessKey, AccessKeys},
    token::{
        sign::{NewToken, now},
        verify::Verifier,
    },
};

const PATH: &str = "/client/hubs/chat";

/// As the SDKs make them: a user, two roles and a group.
fn token(key: &AccessKey, now: u64) -> String {
    let token = NewToken {
        aud: "http://127.0.0.1:8080/client/hubs/chat",
        sub: Some("ada"),
        role: &[
            "webpubsub.joinLeaveGroup".into(),
            "webpubsub.sendToGroup".into(),
        ],
        group: &["lobby".into()],
        iat: now,
        exp: now + 3600,
    };
    token.sign(key).unwrap()
}

fn check(criterion: &mut Criterion) {
    let (primary, secondary) = (
        AccessKey::generate().unwrap(),
        AccessKey::generate().unwrap(),
    );
    let now = now().unwrap();
    let (first, second) = (token(&primary, now), token(&secondary, now));
    let secret = DecodingKey::from_secret(primary.expose().as_bytes());
    let keys = AccessKeys {
        primary,
        secondary: Some(secondary),
    };
    let verifier = Verifier::new(Some(&keys), Issuers::default(), Vec::new());
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let now = now as f64;

    let mut group = criterion.benchmark_group("token");
    let (message, signature) = first.rsplit_once('.').unwrap();
    group.bench_function("signature", |bench| {
        bench.iter(|| {
            let message = black_box(message).as_bytes();
            crypto::verify(signature, message, &secret, Algorithm::HS256).unwrap()
        });
    });
    for (name, token) in [("primary key", &first), ("secondary key", &second)] {
        group.bench_function(name, |bench| {
            bench.iter(|| verifier.verify(black_box(token), PATH, now).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, check);
criterion_main!(benches);
