//! Certificates of clients, as who they are.

use std::net::TcpStream;

use rcgen::{CertificateParams, DnType};
use serde_json::json;
use tieline_test_servers::Authority;

use super::{Pair, connect, issue, json_client, upgrade, write};
use crate::{
    kit::{DEADLINE, tieline},
    served::{ConfigFile, Served},
    tokens::{KEY, token},
    webhooks::handler::{Handler, Reply},
};

const PATH: &str = "/client/hubs/chat";

/// A server whose clients may have certificates, and what it takes to connect.
struct Mutual {
    served: Served,
    own: Authority,
    clients: Authority,
    _file: ConfigFile,
}

impl Mutual {
    /// `settings` go into the table `tls`, and what comes before it at the top.
    fn start(top: &str, settings: &str) -> Self {
        let file = ConfigFile::new(&format!(
            "listen = \"127.0.0.1:0\"\n{top}[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nclient_ca = \
             \"ca.pem\"\n{settings}"
        ));
        let folder = file.folder.path();
        let (own, clients) = (Authority::new(), Authority::new());
        write(folder, &issue(&own, "node.test"));
        std::fs::write(folder.join("ca.pem"), clients.pem()).unwrap();
        let mut command = tieline(&["serve", "--config", file.path()]);
        command.env("TIELINE_KEY", KEY);
        Self {
            served: Served::start(command),
            own,
            clients,
            _file: file,
        }
    }

    fn certificate(&self, common_names: &[&str]) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common_names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        self.clients.sign(params)
    }

    fn connect(&self, own: Option<&Pair>) -> std::io::Result<super::Socket> {
        connect(&self.served.address, &self.own, "node.test", own)
    }

    /// The status and body line of an upgrade that need not be let in.
    fn status(&self, own: Option<&Pair>, query: &str, headers: &str) -> u16 {
        let mut socket = self.connect(own).unwrap();
        let head = upgrade(&mut socket, &format!("{PATH}{query}"), headers).unwrap();
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

#[test]
fn a_certificate_names_its_user_and_needs_no_token() {
    let roles = "client_roles = [\"webpubsub.joinLeaveGroup\"]\n";
    let settings = format!("client_certificates = \"optional\"\nclient_user = \"cn\"\n{roles}");
    let server = Mutual::start("", &settings);
    let ada = server.certificate(&["ada"]);
    let socket = server.connect(Some(&ada)).unwrap();
    // It cannot be someone else by choice.
    let (mut client, connected) = json_client(socket, &format!("{PATH}?user=eve"), "");
    assert!(connected.contains(r#""userId":"ada""#), "{connected}");
    client.send(r#"{"type":"joinGroup","group":"g","ackId":1}"#);
    assert!(client.text().contains(r#""success":true"#));
    client.send(r#"{"type":"sendToGroup","group":"g","dataType":"text","data":"x","ackId":2}"#);
    assert!(client.text().contains("Forbidden"), "it has no such role");
    // Without one, everything is as without certificates.
    assert_eq!(server.status(None, "", ""), 401);
    let by_token = format!("?access_token={}", token(json!({"sub": "bob"})));
    assert_eq!(server.status(None, &by_token, ""), 101);
}

#[test]
fn a_token_beside_a_certificate_is_for_the_same_user() {
    let settings = "client_certificates = \"optional\"\nclient_user = \"cn\"\n";
    let server = Mutual::start("", settings);
    let ada = server.certificate(&["ada"]);
    let query = |claims| format!("?access_token={}", token(claims));
    assert_eq!(
        server.status(Some(&ada), &query(json!({"sub": "eve"})), ""),
        401
    );
    assert_eq!(server.status(Some(&ada), "?access_token=none", ""), 401);
    for claims in [json!({"sub": "ada", "role": "r"}), json!({})] {
        let socket = server.connect(Some(&ada)).unwrap();
        let (_, connected) = json_client(socket, &format!("{PATH}{}", query(claims)), "");
        assert!(connected.contains(r#""userId":"ada""#), "{connected}");
    }
}

#[test]
fn a_certificate_without_exactly_one_name_is_refused() {
    let settings = "client_certificates = \"optional\"\nclient_user = \"cn\"\n";
    let server = Mutual::start("hub_defaults.anonymous = \"anyone\"\n", settings);
    assert_eq!(server.status(None, "", ""), 101, "anybody may connect");
    for names in [&[][..], &[""]] {
        let certificate = server.certificate(names);
        assert_eq!(server.status(Some(&certificate), "", ""), 403, "{names:?}");
        let by_token = format!("?access_token={}", token(json!({"sub": "ada"})));
        assert_eq!(server.status(Some(&certificate), &by_token, ""), 403);
    }
}

#[test]
fn a_page_of_another_site_cannot_use_the_certificate_of_its_visitor() {
    let server = Mutual::start("", "client_user = \"cn\"\n");
    let ada = server.certificate(&["ada"]);
    let foreign = "Origin: https://evil.example\r\n";
    assert_eq!(server.status(Some(&ada), "", foreign), 403);
    assert_eq!(
        server.status(Some(&ada), "", "Origin: https://node.test\r\n"),
        101
    );
    let by_token = format!("?access_token={}", token(json!({"sub": "ada"})));
    assert_eq!(server.status(Some(&ada), &by_token, foreign), 101);
}

#[test]
fn a_required_certificate_is_required_of_everybody_and_alone_admits_nobody() {
    let server = Mutual::start("", "");
    let certificate = server.certificate(&["ada"]);
    // With TLS 1.3, the refusal comes after the handshake.
    let refused = server
        .connect(None)
        .and_then(|mut socket| upgrade(&mut socket, "/healthz", ""));
    assert!(refused.is_err(), "{refused:?}");
    let strange = issue(&Authority::new(), "ada");
    let refused = server.connect(Some(&strange));
    let refused = refused.and_then(|mut socket| upgrade(&mut socket, "/healthz", ""));
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(
        server.status(Some(&certificate), "", ""),
        401,
        "no user is read in it"
    );
    let query = format!("?access_token={}", token(json!({"sub": "bob"})));
    let socket = server.connect(Some(&certificate)).unwrap();
    let (_, connected) = json_client(socket, &format!("{PATH}{query}"), "");
    assert!(connected.contains(r#""userId":"bob""#), "{connected}");
    // Nor does plain HTTP get an answer.
    let mut plain = TcpStream::connect(&server.served.address).unwrap();
    plain.set_read_timeout(Some(DEADLINE)).unwrap();
    assert!(upgrade(&mut plain, PATH, "").is_err());
}

#[test]
fn the_event_handler_learns_the_thumbprint_of_the_certificate() {
    let handler = Handler::start(|_| Reply::nothing());
    let handlers = format!(
        "[[hub_defaults.event_handlers]]\nurl = \"{}\"\nsystem_events = [\"connect\"]\n",
        handler.url("/")
    );
    let server = Mutual::start("", &format!("client_user = \"cn\"\n{handlers}"));
    let ada = server.certificate(&["ada"]);
    let (_, connected) = json_client(server.connect(Some(&ada)).unwrap(), PATH, "");
    assert!(connected.contains(r#""userId":"ada""#), "{connected}");
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        &super::der(&ada),
    );
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02X}"));
    let thumbprint = digits.collect::<Vec<_>>().concat();
    let asked = handler.expect("connect");
    let expected = format!(r#""clientCertificates":[{{"thumbprint":"{thumbprint}"}}]"#);
    assert!(asked.text().contains(&expected), "{}", asked.text());
}
