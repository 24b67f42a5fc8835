use std::path::PathBuf;

use super::*;

/// The public halves of keys; the RSA one is no real key, which does not matter until it verifies.
const ES256: &str = r#"{"kty":"EC","crv":"P-256","kid":"es","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const RSA: &str = r#"{"kty":"RSA","kid":"rs","n":"sXch","e":"AQAB"}"#;

struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl File {
    fn new(keys: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Self {
            path: folder.path().join("keys.json"),
            _folder: folder,
        };
        file.write(keys);
        file
    }

    fn write(&self, keys: &[&str]) {
        let json = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        std::fs::write(&self.path, json).unwrap();
    }

    fn open(&self, algorithms: &[IssuerAlgorithm]) -> Result<Arc<Issuer>, IssuerError> {
        Issuer::open(IssuerSettings {
            issuer: "https://id.example".into(),
            keys: Source::File(self.path.clone()),
            algorithms: algorithms.to_vec(),
            audience: None,
        })
    }
}

const ALL: [IssuerAlgorithm; 3] = [
    IssuerAlgorithm::Rs256,
    IssuerAlgorithm::Es256,
    IssuerAlgorithm::EdDsa,
];

fn has(issuer: &Issuer, id: &str, algorithm: IssuerAlgorithm) -> bool {
    issuer.check(Some(id), algorithm, |_| true) == Checked::Passed
}

#[test]
fn each_key_is_for_its_own_algorithm() {
    let issuer = File::new(&[ES256, ED25519, RSA]).open(&ALL).unwrap();
    for (id, algorithm) in ["rs", "es", "ed"].into_iter().zip(ALL) {
        for other in ALL {
            assert_eq!(
                has(&issuer, id, other),
                other == algorithm,
                "{id} {other:?}"
            );
        }
    }
    assert!(!has(&issuer, "none", IssuerAlgorithm::Es256));
}

#[test]
fn keys_for_something_else_are_left_out() {
    let with = |key: &str, more: &str| key.replacen('{', &format!("{{{more},"), 1);
    for key in [
        r#"{"kty":"oct","kid":"es","k":"c2VjcmV0"}"#.to_owned(),
        r#"{"kty":"unheard of","kid":"es"}"#.into(),
        "5".into(),
        with(ES256, r#""use":"enc""#),
        with(ES256, r#""alg":"ES384""#),
        with(ES256, r#""alg":"HS256""#),
        ES256.replace("P-256", "P-384"),
    ] {
        let issuer = File::new(&[&key, ED25519]).open(&ALL).unwrap();
        assert!(
            has(&issuer, "ed", IssuerAlgorithm::EdDsa),
            "the others are still read"
        );
        assert!(
            ALL.iter().all(|algorithm| !has(&issuer, "es", *algorithm)),
            "{key}"
        );
    }
    let signing = with(ES256, r#""use":"sig","alg":"ES256""#);
    let issuer = File::new(&[&signing]).open(&ALL).unwrap();
    assert!(has(&issuer, "es", IssuerAlgorithm::Es256));
}

#[test]
fn an_issuer_without_a_key_that_it_may_use_is_an_error() {
    let file = File::new(&[ES256]);
    let error = file.open(&[IssuerAlgorithm::EdDsa]).unwrap_err();
    assert!(
        matches!(error, IssuerError::KeySet(_, KeySetError::NoKey)),
        "{error}"
    );
    std::fs::write(&file.path, "{}").unwrap();
    assert!(matches!(
        file.open(&ALL).unwrap_err(),
        IssuerError::KeySet(_, KeySetError::Json(_))
    ));
    std::fs::remove_file(&file.path).unwrap();
    assert!(matches!(
        file.open(&ALL).unwrap_err(),
        IssuerError::Read(..)
    ));
}

#[test]
fn a_set_has_a_hundred_keys_at_most() {
    let error = File::new(&[ES256; 101]).open(&ALL).unwrap_err();
    assert!(
        matches!(error, IssuerError::KeySet(_, KeySetError::TooMany)),
        "{error}"
    );
    File::new(&[ES256; 100]).open(&ALL).unwrap();
}

#[test]
fn without_a_key_id_each_key_of_the_algorithm_is_tried() {
    let other = ES256.replace(r#""kid":"es","#, "");
    let issuer = File::new(&[ES256, &other, ED25519]).open(&ALL).unwrap();
    let tried = std::cell::Cell::new(0);
    let refuse = |_: &DecodingKey| {
        tried.set(tried.get() + 1);
        false
    };
    // Perhaps the key has just been replaced.
    let checked = issuer.check(None, IssuerAlgorithm::Es256, refuse);
    assert_eq!(checked, Checked::UnknownKey);
    assert_eq!(tried.get(), 2);
    let with_id = issuer.check(Some("es"), IssuerAlgorithm::Es256, refuse);
    assert_eq!((with_id, tried.get()), (Checked::Failed, 3));
    assert_eq!(
        issuer.check(None, IssuerAlgorithm::Es256, |_| true),
        Checked::Passed
    );
}

#[tokio::test(start_paused = true)]
async fn keys_are_read_again_twice_a_minute_at_most_and_kept_if_that_fails() {
    let file = File::new(&[ES256]);
    let issuer = file.open(&ALL).unwrap();
    let (es256, ed25519) = (IssuerAlgorithm::Es256, IssuerAlgorithm::EdDsa);
    file.write(&[ED25519]);
    issuer.reread().await;
    assert!(has(&issuer, "ed", ed25519) && !has(&issuer, "es", es256));
    file.write(&[ES256]);
    tokio::time::advance(Duration::from_secs(29)).await;
    issuer.reread().await;
    assert!(has(&issuer, "ed", ed25519), "too early");
    tokio::time::advance(Duration::from_secs(1)).await;
    issuer.reread().await;
    assert!(has(&issuer, "es", es256) && !has(&issuer, "ed", ed25519));
    std::fs::write(&file.path, "garbage").unwrap();
    tokio::time::advance(INTERVAL).await;
    issuer.reread().await;
    assert!(has(&issuer, "es", es256), "kept");
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_no_read() {
    let file = File::new(&[ES256]);
    let issuer = file.open(&ALL).unwrap();
    file.write(&[ED25519]);
    let mut hangs_up = Box::pin(issuer.reread());
    assert!(futures_util::poll!(&mut hangs_up).is_pending());
    drop(hangs_up);
    // It was the one read of the interval, and brings the keys to those who wait for it.
    issuer.reread().await;
    assert!(has(&issuer, "ed", IssuerAlgorithm::EdDsa));
}
