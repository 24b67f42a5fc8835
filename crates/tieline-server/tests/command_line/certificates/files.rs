//! The files of certificates, which change while the server runs.

use std::{
    net::TcpStream,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rcgen::CertificateParams;
use tieline_test_servers::{Authority, redis::Redis};

use super::{connect, der, issue, json_client, shown, write};
use crate::{
    admin::{Node, Page},
    kit::{Client, DEADLINE, run, tieline},
    served::{ConfigFile, Served},
};

const LISTEN: &str = "listen = \"127.0.0.1:0\"\nhub_defaults.anonymous = \"anyone\"\n";
const CERTIFICATE: &str = "[tls]\ncert = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\n";

/// Replaces a folder as Kubernetes replaces that of a secret: by a link to a new folder, in one step.
fn swap(folder: &Path, version: &str, certificate: &super::Pair) {
    let new = folder.join(version);
    std::fs::create_dir(&new).unwrap();
    write(&new, certificate);
    let link = folder.join("link");
    symlink(version, &link).unwrap();
    std::fs::rename(link, folder.join("tls")).unwrap();
}

fn start(file: &ConfigFile) -> Served {
    Served::start(tieline(&["serve", "--config", file.path()]))
}

/// Sends an event that no handler has, and reads the answer: the connection lives.
fn is_alive(client: &mut Client<super::Socket>) {
    client.send(r#"{"type":"joinGroup","group":"g","ackId":1}"#);
    assert!(client.text().contains(r#""success":true"#));
}

#[test]
fn a_secret_that_is_swapped_is_used_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let [old, new, last] = [(); 3].map(|()| issue(&authority, "node.test"));
    let file = ConfigFile::new(&format!("{LISTEN}{CERTIFICATE}check_interval = \"50ms\"\n"));
    let folder = file.folder.path();
    swap(folder, "1", &old);
    let served = start(&file);
    let open = || connect(&served.address, &authority, "node.test", None).unwrap();
    let socket = open();
    assert_eq!(shown(&socket), der(&old));
    let (mut client, _) = json_client(socket, "/client/hubs/chat", "");

    swap(folder, "2", &new);
    served.line("new certificates are in use");
    assert_eq!(shown(&open()), der(&new));
    // The chain of one certificate, and the key of another.
    swap(folder, "3", &(last.0.clone(), new.1.clone()));
    let line = served.line("the old ones stay in use");
    assert!(
        line.contains("cert.pem") && !line.contains("PRIVATE"),
        "{line}"
    );
    assert_eq!(shown(&open()), der(&new));
    swap(folder, "4", &last);
    served.line("can be used again");
    served.line("new certificates are in use");
    assert_eq!(shown(&open()), der(&last));
    is_alive(&mut client);
}

#[test]
fn sighup_looks_at_the_files_at_once_and_at_the_list() {
    let authority = Authority::new();
    let [old, new] = [(); 2].map(|()| issue(&authority, "node.test"));
    let other = issue(&authority, "other.test");
    let text = format!("{LISTEN}{CERTIFICATE}check_interval = \"0s\"\n");
    let file = ConfigFile::new(&text);
    let folder = file.folder.path();
    std::fs::create_dir_all(folder.join("tls")).unwrap();
    std::fs::create_dir_all(folder.join("other")).unwrap();
    write(&folder.join("tls"), &old);
    write(&folder.join("other"), &other);
    let served = start(&file);
    let open = |name| connect(&served.address, &authority, name, None);
    assert!(open("other.test").is_err(), "it has no such certificate");
    let (mut client, _) = json_client(open("node.test").unwrap(), "/client/hubs/chat", "");

    write(&folder.join("tls"), &new);
    let list = "[[tls.certificates]]\ncert = \"other/cert.pem\"\nkey = \"other/key.pem\"\n";
    file.write(&format!("{text}{list}"));
    served.reload();
    served.line("new certificates are in use");
    let line = served.line("configuration reloaded");
    assert!(line.contains("tls.certificates"), "{line}");
    assert_eq!(shown(&open("node.test").unwrap()), der(&new));
    assert_eq!(shown(&open("other.test").unwrap()), der(&other));

    std::fs::write(folder.join("other/key.pem"), "none").unwrap();
    served.reload();
    let line = served.line("not reloaded");
    assert!(line.contains("other/cert.pem"), "{line}");
    assert_eq!(shown(&open("other.test").unwrap()), der(&other));
    file.write(LISTEN);
    served.reload();
    served.line("turning TLS for clients on or off needs a restart");
    assert_eq!(shown(&open("node.test").unwrap()), der(&new));
    is_alive(&mut client);
}

#[test]
fn certificates_between_nodes_follow_their_files() {
    let (old, new) = (Authority::new(), Authority::new());
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let redis = runtime.block_on(Redis::start());
    let file = ConfigFile::new(&format!(
        "{LISTEN}tls.check_interval = \"50ms\"\n[cluster]\nregistry = \"{}\"\nlisten = \"127.0.0.1:0\"\n\
         tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\ntls_ca = \"ca.pem\"\n",
        redis.url()
    ));
    let folder = file.folder.path();
    let issue = |authority: &Authority| {
        std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        write(folder, &authority.issue());
    };
    issue(&old);
    let first = start(&file);
    issue(&new);
    first.line("new certificates are in use");
    // A node that was started with the new ones, which the first cannot reach by the old ones.
    let second = start(&file);
    let connect = |node: &Served| {
        let path = "/client/hubs/chat?user=ada";
        Client::connect_to(&node.address, path, Client::JSON)
    };
    let (mut here, mut there) = (connect(&first), connect(&second));
    for client in [&mut here, &mut there] {
        assert!(client.text().contains("connected"));
        client.send(r#"{"type":"joinGroup","group":"g","ackId":1}"#);
        assert!(client.text().contains(r#""success":true"#));
    }
    let begin = Instant::now();
    here.0
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    // Until the link is up, what is sent does not arrive.
    loop {
        assert!(begin.elapsed() < DEADLINE, "no message over the link");
        there.send(
            r#"{"type":"sendToGroup","group":"g","dataType":"text","data":"x","noEcho":true}"#,
        );
        if arrives(&here.0) {
            break;
        }
    }
    assert!(here.text().contains(r#""data":"x""#));
}

fn arrives(socket: &TcpStream) -> bool {
    socket.peek(&mut [0]).is_ok_and(|read| read > 0)
}

#[test]
fn operators_are_warned_of_a_certificate_that_expires_and_of_files_that_cannot_be_used() {
    const DAY: Duration = Duration::from_hours(24);
    let authority = Authority::new();
    let mut params = CertificateParams::new(["node.test".to_owned()]).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "certificates expire by that clock"
    )]
    let end = SystemTime::now() + 3 * DAY;
    params.not_after = end.into();
    let (soon, good) = (authority.sign(params), issue(&authority, "node.test"));
    let file = ConfigFile::new(&format!(
        "{LISTEN}{CERTIFICATE}check_interval = \"50ms\"\n[admin]\nlisten = \"127.0.0.1:0\"\n"
    ));
    let folder = file.folder.path();
    swap(folder, "1", &soon);
    let (code, stderr) = run(&["config", "check", file.path()]);
    let warning = "a certificate for clients expires on ";
    assert!(code == Some(0) && stderr.contains(warning), "{stderr}");

    let node = Node::start(tieline(&["serve", "--config", file.path()]));
    let expiry = |page: &Page| {
        let at = page.value("tieline_certificate_expiry_timestamp_seconds{of=\"clients\"}");
        UNIX_EPOCH + Duration::from_secs_f64(at.unwrap())
    };
    let failed = |page: &Page| page.value("tieline_certificate_reload_failed");
    let page = node.page();
    assert!(expiry(&page) <= end && expiry(&page) > end - DAY);
    assert_eq!(failed(&page), Some(0.0));
    // The chain of one certificate, and the key of another.
    swap(folder, "2", &(soon.0, good.1.clone()));
    node.page_with(|page| failed(page) == Some(1.0));
    swap(folder, "3", &good);
    node.page_with(|page| failed(page) == Some(0.0) && expiry(page) > end + DAY);
    let (_, stderr) = run(&["config", "check", file.path()]);
    assert!(!stderr.contains(warning), "{stderr}");
}
