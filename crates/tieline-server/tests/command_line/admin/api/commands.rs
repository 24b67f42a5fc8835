//! `tieline top` and `tieline drain`.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::Value;

use super::{Nodes, list};
use crate::{
    admin::Node,
    kit::{run, tieline},
};

#[test]
fn top_shows_all_nodes_and_drain_ends_another() {
    let mut nodes = Nodes::start(&[]);
    let (client, _) = nodes.client("ada");
    let other = nodes.other();
    let url = format!("http://{}", nodes.first.admin);
    // No terminal: it prints one table also without --once.
    for arguments in [
        &["top", "--once", "--admin", &url][..],
        &["top", "--admin", &url],
    ] {
        let output = tieline(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.starts_with("2 nodes, 1 connections, "), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
        let row = text.lines().find(|line| line.starts_with(&other)).unwrap();
        let cells: Vec<_> = row.split_whitespace().collect();
        assert_eq!(
            (cells[1], cells[3], cells[4]),
            (env!("CARGO_PKG_VERSION"), "serving", "1")
        );
    }
    let output = tieline(&["drain", "--node", &other, "--admin", &url]).output();
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(output, format!("{other} drains\n"));
    drop(client);
    assert_eq!(nodes.second.server.exit_code(), Some(0));
    nodes.eventually("/api/nodes", |answer| {
        list(answer, "nodes").len() == 1 && list(answer, "missed").is_empty()
    });
    let (code, stderr) = run(&["drain", "--node", &other, "--admin", &url]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("there is no node") && stderr.contains(&other),
        "{stderr}"
    );
}

#[test]
fn a_registry_that_is_gone_is_named_by_every_node() {
    let mut nodes = Nodes::start(&["--lease", "5"]);
    let registries = |answer: &Value, is: &str| {
        let nodes = list(answer, "nodes");
        nodes.len() == 2 && nodes.iter().all(|node| node["registry"] == is)
    };
    nodes.eventually("/api/nodes", |answer| registries(answer, "up"));
    let other = nodes.other();
    nodes.redis.kill();
    nodes.eventually("/api/nodes", |answer| registries(answer, "down"));
    let url = format!("http://{}", nodes.first.admin);
    let output = tieline(&["top", "--admin", &url]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let named = format!("\nthe registry does not answer {other}\n");
    assert!(text.contains(&named), "{text}");
}

#[test]
fn a_certificate_may_be_its_own_authority_unless_it_is_for_one() {
    let folder = tempfile::tempdir().unwrap();
    for (is_ca, name) in [
        (IsCa::ExplicitNoCa, "server"),
        (IsCa::Ca(BasicConstraints::Unconstrained), "authority"),
    ] {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let [cert, private] = [
            ("cert", params.self_signed(&key).unwrap().pem()),
            ("key", key.serialize_pem()),
        ]
        .map(|(kind, pem)| {
            let path = folder.path().join(format!("{name}.{kind}"));
            std::fs::write(&path, pem).unwrap();
            path.to_str().unwrap().to_owned()
        });
        let tls = ["--tls-cert", &cert, "--tls-key", &private, "--admin-tls"];
        let node = Node::serve(&[&tls[..], &["--admin-listen", "127.0.0.1:0"]].concat());
        let top = |scheme: &str| {
            let url = format!("{scheme}://{}", node.admin);
            run(&["top", "--once", "--ca", &cert, "--admin", &url])
        };
        let (code, stderr) = top("https");
        if name == "server" {
            assert_eq!((code, stderr.as_str()), (Some(0), ""));
        } else {
            assert_eq!(code, Some(1));
            assert!(stderr.contains("CA:FALSE"), "{stderr}");
        }
        let (code, stderr) = top("http");
        assert_eq!(code, Some(1));
        assert!(stderr.contains("use an https:// URL"), "{stderr}");
    }
}

#[test]
fn commands_send_the_token_and_show_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let token = file("token", "0123456789abcdef0123\n");
    let wrong = file("wrong", "0123456789abcdef0124\n");
    let node = Node::serve(&[
        "--admin-listen",
        "127.0.0.1:0",
        "--admin-token-file",
        &token,
    ]);
    let url = format!("http://{}", node.admin);
    let top = |more: &[&str]| run(&[&["top", "--once", "--admin", &url], more].concat());
    assert_eq!(top(&["--token-file", &token]).0, Some(0));
    let (code, stderr) = top(&["--token-file", &wrong]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("401") && !stderr.contains("0123456789"),
        "{stderr}"
    );
    assert!(top(&[]).1.contains("a token is required"));
    let (code, stderr) = run(&["top", "--once", "--admin", "http://127.0.0.1:1"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("--admin"), "{stderr}");
}
