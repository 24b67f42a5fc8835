//! The flags of a cluster, as far as they work without a registry.

use super::kit::{run, tieline};

const REGISTRY: [&str; 3] = ["serve", "--registry", "redis://:hunter2@127.0.0.1:1"];

fn with_registry(arguments: &[&'static str]) -> (Option<i32>, String) {
    run(&[&REGISTRY, arguments].concat())
}

#[test]
fn cluster_flags_require_a_registry() {
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
        let (code, stderr) = run(&[&["serve"], flags].concat());
        assert_eq!(code, Some(2), "{flags:?}: {stderr}");
        assert!(stderr.contains("--registry"), "{flags:?}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{flags:?}: {stderr}");
    }
}

#[test]
fn invalid_cluster_flags_are_a_usage_error() {
    for (flags, hint) in [
        (&["--prefix", ""][..], "--prefix"),
        (&["--lease", "0"], "--lease"),
        (&["--audit-interval", "0"], "--audit-interval"),
        (&["--advertise", "10.0.0.1"], "--advertise"),
        (&["--advertise", "0.0.0.0:9300"], "HOST:PORT"),
        (&["--advertise", "fd00::5:9300"], "as in [fd00::5]:9300"),
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
        let (code, stderr) = with_registry(flags);
        assert_eq!(code, Some(2), "{flags:?}: {stderr}");
        assert!(stderr.contains(hint), "{flags:?}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{flags:?}: {stderr}");
    }
}

#[test]
fn an_unknown_registry_scheme_is_a_usage_error() {
    for command in ["serve", "demo"] {
        let (code, stderr) = run(&[command, "--registry", "mysql://:hunter2@db"]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(
            stderr.contains("redis://") && stderr.contains("etcd://"),
            "{stderr}"
        );
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

#[test]
fn an_unreachable_registry_is_reported_without_its_password() {
    for command in ["serve", "demo"] {
        let registry = ["--registry", REGISTRY[2], "--listen", "127.0.0.1:0"];
        let (code, stderr) = run(&[&[command], &registry[..]].concat());
        assert_eq!(code, Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("redis://127.0.0.1:1"), "{stderr}");
        assert!(stderr.contains("--registry"), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

#[test]
fn a_missing_file_is_reported() {
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
        let (code, stderr) = with_registry(flags);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("cannot read no-such-file"), "{stderr}");
    }
}

#[test]
fn the_help_shows_no_secret_from_the_environment() {
    let mut serve = tieline(&["serve", "--help"]);
    serve
        .env("TIELINE_REGISTRY", REGISTRY[2])
        .env("TIELINE_PEER_SECRET", "hunter2");
    let help = String::from_utf8(serve.output().unwrap().stdout).unwrap();
    assert!(help.contains("TIELINE_REGISTRY") && help.contains("TIELINE_PEER_SECRET"));
    assert!(!help.contains("hunter2"), "{help}");
}
