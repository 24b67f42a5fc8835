//! The address of a client behind proxies, as far as it decides something.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    process::Command,
};

use socket2::{Domain, Socket, Type};

use super::{
    kit::{DEADLINE, ask_on, run, tieline},
    served::{ConfigFile, Served},
};

const PROXY: &str = "127.0.0.2";
const STRANGER: &str = "127.0.0.3";
const LISTS: &str = "[proxy_protocol]\nfrom = [\"127.0.0.2\"]\n";

fn serve(settings: &str) -> Served {
    let file = ConfigFile::new(&format!(
        "listen = \"127.0.0.1:0\"\nlog.level = \"debug\"\n{settings}"
    ));
    let mut command: Command = tieline(&["serve", "--config", file.path()]);
    command.env_remove("TIELINE_KEY");
    Served::start(command)
}

fn connect(served: &Served, from: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: IpAddr = from.parse().unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    let to: SocketAddr = served.address.parse().unwrap();
    socket.connect(&to.into()).unwrap();
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// The status of an upgrade for localhost, after what a proxy sends first.
fn status(served: &Served, from: &str, first: &str, headers: &str) -> u16 {
    let mut socket = connect(served, from);
    socket.write_all(first.as_bytes()).unwrap();
    let head = ask_on(&mut socket, "localhost", "/client/hubs/chat", headers).unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn anonymous_access_from_this_machine_is_for_no_client_of_a_proxy() {
    let served = serve(&format!("{LISTS}[forwarded]\nfrom = [\"127.0.0.4\"]\n"));
    assert_eq!(
        status(&served, STRANGER, "", ""),
        101,
        "a program of this machine"
    );
    let announced = |address: &str| format!("PROXY TCP4 {address} 127.0.0.1 4711 80\r\n");
    assert_eq!(status(&served, PROXY, &announced("192.0.2.1"), ""), 403);
    let line = served.line("connection refused");
    assert!(
        line.contains("192.0.2.1:4711") && line.contains("not_loopback"),
        "{line}"
    );
    assert_eq!(status(&served, PROXY, "PROXY UNKNOWN\r\n", ""), 403);
    assert_eq!(status(&served, PROXY, &announced("127.0.0.1"), ""), 101);
    for from in [STRANGER, "127.0.0.4"] {
        for header in [
            "X-Forwarded-For: 127.0.0.1\r\n",
            "X-Forwarded-For: 192.0.2.1\r\n",
            "Forwarded: for=127.0.0.1\r\n",
            "X-Forwarded-For:\r\n",
        ] {
            assert_eq!(status(&served, from, "", header), 403, "{from} {header}");
        }
    }
    assert_eq!(
        status(&served, "127.0.0.4", "", ""),
        403,
        "the proxy does not say"
    );
}

#[test]
fn who_is_not_listed_cannot_announce_anybody() {
    let served = serve(LISTS);
    // What the stranger announces is no valid request.
    for (from, first, failure) in [
        (
            STRANGER,
            "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
            "reason=\"request\"",
        ),
        (PROXY, "", "no header of the PROXY protocol"),
    ] {
        let mut socket = connect(&served, from);
        let request =
            format!("{first}GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{from}");
        let line = served.line(failure);
        assert!(
            line.contains("connection failed before a request"),
            "{line}"
        );
    }
}

#[test]
fn a_network_with_bits_after_its_prefix_is_a_mistake() {
    let (code, err) = run(&["serve", "--forwarded-from", "10.0.0.1/8"]);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("--forwarded-from") && err.contains("10.0.0.0/8"),
        "{err}"
    );
}
