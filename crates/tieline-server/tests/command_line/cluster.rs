//! The flags of a cluster, up to where a registry is needed.

use super::kit::{run, tieline};

const REGISTRY: [&str; 3] = ["serve", "--registry", "redis://:hunter2@127.0.0.1:1"];

fn with_registry(arguments: &[&'static str]) -> (Option<i32>, String) {
    run(&[&REGISTRY, arguments].concat())
}

#[test]
fn flags_of_a_cluster_need_a_registry() {
    for flags in [
        &["--prefix", "other"][..],
        &["--peers-listen", "127.0.0.1:9300"],
        &["--advertise", "10.0.0.1:9300"],
        &["--peer-secret", "hunter2"],
        &["--peer-secret-file", "secret"],
        &["--peers-plaintext"],
        &["--admit-go-nodes"],
        &["--lease", "10"],
        &["--audit-interval", "30"],
    ] {
        let (code, said) = run(&[&["serve"], flags].concat());
        assert_eq!(code, Some(2), "{flags:?}: {said}");
        assert!(said.contains("--registry"), "{flags:?}: {said}");
        assert!(!said.contains("hunter2"), "{flags:?}: {said}");
    }
}

#[test]
fn what_a_cluster_cannot_mean_is_a_usage_error() {
    for (flags, hint) in [
        (&["--prefix", ""][..], "--prefix"),
        (&["--lease", "0"], "--lease"),
        (&["--audit-interval", "0"], "--audit-interval"),
        (&["--advertise", "10.0.0.1"], "--advertise"),
        (&["--advertise", "0.0.0.0:9300"], "HOST:PORT"),
        (&["--peer-secret", "two words"], "--peer-secret"),
        (
            &["--peer-secret", "a", "--peer-secret-file", "b"],
            "--peer-secret-file",
        ),
        (
            &["--peer-tls-cert", "a", "--peer-tls-key", "b"],
            "--peer-tls-ca",
        ),
        (&["--peers-listen", "0.0.0.0:9300"], "--peers-plaintext"),
        (
            &["--peers-listen", "0.0.0.0:9300", "--peer-secret", "s"],
            "readable",
        ),
    ] {
        let (code, said) = with_registry(flags);
        assert_eq!(code, Some(2), "{flags:?}: {said}");
        assert!(said.contains(hint), "{flags:?}: {said}");
        assert!(!said.contains("hunter2"), "{flags:?}: {said}");
    }
}

#[test]
fn a_registry_is_named_by_a_url_that_is_known() {
    for command in ["serve", "demo"] {
        let (code, said) = run(&[command, "--registry", "mysql://:hunter2@db"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains("redis://") && said.contains("etcd://"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_registry_that_is_not_there_is_named_without_its_password() {
    for command in ["serve", "demo"] {
        let registry = ["--registry", REGISTRY[2], "--listen", "127.0.0.1:0"];
        let (code, said) = run(&[&[command], &registry[..]].concat());
        assert_eq!(code, Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("redis://127.0.0.1:1"), "{said}");
        assert!(said.contains("--registry"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_missing_file_is_named() {
    for flags in [
        &["--peer-secret-file", "no-such-file"][..],
        &[
            "--peer-tls-cert",
            "no-such-file",
            "--peer-tls-key",
            "k",
            "--peer-tls-ca",
            "c",
        ],
    ] {
        let (code, said) = with_registry(flags);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("cannot read no-such-file"), "{said}");
    }
}

#[test]
fn the_help_tells_no_secret_of_the_environment() {
    let mut serve = tieline(&["serve", "--help"]);
    serve
        .env("TIELINE_REGISTRY", REGISTRY[2])
        .env("TIELINE_PEER_SECRET", "hunter2");
    let help = String::from_utf8(serve.output().unwrap().stdout).unwrap();
    assert!(help.contains("TIELINE_REGISTRY") && help.contains("TIELINE_PEER_SECRET"));
    assert!(!help.contains("hunter2"), "{help}");
}
