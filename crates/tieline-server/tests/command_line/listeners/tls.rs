//! Addresses with TLS beside others without.

use std::net::TcpStream;

use tieline_test_servers::Authority;

use super::{ANYONE, check, client, connect as connect_unix, get, lives};
use crate::{
    certificates::{connect, der, issue, shown, write},
    kit::{DEADLINE, ask_on, tieline},
    served::{ConfigFile, Served},
};

const CERTIFICATE: &str = "[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";

fn connect_plain(address: &str) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// The addresses of all listeners, in their order.
fn addresses<const N: usize>(served: &Served) -> [String; N] {
    let mut first = Some(served.address.clone());
    [(); N].map(|()| {
        first.take().unwrap_or_else(|| {
            let line = served.line("listening");
            let (_, address) = line.split_once("address=").unwrap();
            address.split(' ').next().unwrap().to_owned()
        })
    })
}

#[test]
fn each_listener_has_tls_or_not_and_new_certificates_reach_all() {
    let authority = Authority::new();
    let [old, new] = [(); 2].map(|()| issue(&authority, "node.test"));
    let file = ConfigFile::new(&format!(
        "listen = [\"https://127.0.0.1:0\", \"http://127.0.0.1:0\", \"127.0.0.1:0\", \"unix:clients.sock\"]\n\
         {ANYONE}{CERTIFICATE}check_interval = \"0s\"\n"
    ));
    let folder = file.folder.path();
    write(folder, &old);
    let served = Served::start(tieline(&["serve", "--config", file.path()]));
    let [secure, plain, by_default, socket] = addresses(&served);
    assert!(socket.starts_with("unix:/"), "{socket}");
    let open = |address: &str| connect(address, &authority, "node.test", None).unwrap();
    for address in [&secure, &by_default] {
        let socket = open(address);
        assert_eq!(shown(&socket), der(&old), "{address}");
        lives(&mut client(socket, ""));
    }
    lives(&mut client(connect_plain(&plain), ""));
    lives(&mut client(connect_unix(&folder.join("clients.sock")), ""));
    let refused = connect(&plain, &authority, "node.test", None);
    assert!(refused.is_err(), "no TLS there");

    write(folder, &new);
    served.reload();
    served.line("new certificates are in use");
    for address in [&secure, &by_default] {
        assert_eq!(shown(&open(address)), der(&new), "{address}");
    }
    assert!(get(connect_plain(&plain), "/readyz").starts_with("HTTP/1.1 200"));
}

#[test]
fn health_is_asked_as_its_address_says() {
    let authority = Authority::new();
    let file = ConfigFile::new("");
    write(file.folder.path(), &issue(&authority, "node.test"));
    for scheme in ["http", "https"] {
        let listen = |first: &str| {
            let other = if scheme == "http" { "https" } else { "http" };
            format!(
                "listen = [\"{scheme}://{first}\", \"{other}://127.0.0.1:0\"]\n{ANYONE}{CERTIFICATE}"
            )
        };
        file.write(&listen("127.0.0.1:0"));
        let served = Served::start(tieline(&["serve", "--config", file.path()]));
        file.write(&listen(&served.address));
        let arguments = ["health", "--timeout", "20", "--config", file.path()];
        let output = tieline(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{scheme}: {output:?}");
    }
}

#[test]
fn an_app_for_tls_only_refuses_clients_of_a_plain_listener() {
    let authority = Authority::new();
    let file = ConfigFile::new(&format!(
        "listen = [\"https://127.0.0.1:0\", \"http://127.0.0.1:0\"]\n{CERTIFICATE}\
         [[pusher.app]]\nid = \"app\"\nkey = \"appkey\"\nsecret = {{ file = \"secret\" }}\ntls_only = true\n"
    ));
    write(file.folder.path(), &issue(&authority, "node.test"));
    std::fs::write(file.folder.path().join("secret"), "a secret of the app\n").unwrap();
    let mut command = tieline(&["serve", "--config", file.path()]);
    command.env("TIELINE_KEY", "an access key of thirty-two bytes");
    let served = Served::start(command);
    let [secure, plain] = addresses(&served);
    let path = "/app/appkey?protocol=7";
    let mut by_tls = connect(&secure, &authority, "node.test", None).unwrap();
    ask_on(&mut by_tls, "localhost", path, "").unwrap();
    let first = crate::kit::Client(by_tls).text();
    assert!(first.contains("connection_established"), "{first}");
    let mut without = connect_plain(&plain);
    ask_on(&mut without, "localhost", path, "").unwrap();
    let first = crate::kit::Client(without).text();
    assert!(first.contains("4000"), "{first}");
}

#[test]
fn a_certificate_that_is_missing_or_not_used_is_a_mistake() {
    let (code, err) = check(&format!("listen = \"https://127.0.0.1:0\"\n{ANYONE}"));
    assert_eq!(code, Some(2), "{err}");
    assert!(
        err.contains("https://127.0.0.1:0") && err.contains("needs a certificate"),
        "{err}"
    );
    let authority = Authority::new();
    let file = ConfigFile::new("");
    write(file.folder.path(), &issue(&authority, "node.test"));
    let check = |settings: &str| {
        file.write(settings);
        let output = tieline(&["config", "check", file.path()]).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for listen in ["http://127.0.0.1:0", "unix:clients.sock"] {
        let listen = format!("listen = \"{listen}\"\n{ANYONE}");
        let (code, err) = check(&format!("{listen}{CERTIFICATE}"));
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains("is not used"), "{err}");
        let (code, err) = check(&format!("{listen}admin.tls = true\n{CERTIFICATE}"));
        assert_eq!(code, Some(0), "{err}");
    }
    let admin = "admin.tls = true\nadmin.listen = \"unix:admin.sock\"\n";
    let (code, err) = check(&format!(
        "listen = \"127.0.0.1:0\"\n{ANYONE}{admin}{CERTIFICATE}"
    ));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("`admin.tls`"), "{err}");
    for listen in [
        "https://localhost:443",
        "https://127.0.0.1",
        "wss://127.0.0.1:443",
    ] {
        let (code, err) = check(&format!("listen = \"{listen}\"\n{ANYONE}{CERTIFICATE}"));
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains("\"https://\""), "{err}");
    }
}
