//! Headers over a real socket: every way to cut them, and every way to get them wrong.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// What is read of these pieces, each in a packet of its own, and what is left behind.
async fn read(pieces: &[&[u8]]) -> (io::Result<Announced>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut proxy = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    proxy.set_nodelay(true).unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let write = async {
        for piece in pieces {
            proxy.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        drop(proxy);
    };
    let read = async {
        let announced = receive(&mut server).await;
        let mut rest = Vec::new();
        let _ = server.read_to_end(&mut rest).await;
        (announced, rest)
    };
    tokio::join!(write, read).1
}

fn client(address: &str) -> Announced {
    Announced::Client(address.parse().unwrap())
}

/// A header of version 2.
fn v2(version: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[version, family], &length, rest].concat()
}

fn ipv4() -> Vec<u8> {
    let addresses = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
    v2(0x21, 0x11, &addresses)
}

fn ipv6(address: &str) -> Vec<u8> {
    let address: Ipv6Addr = address.parse().unwrap();
    v2(
        0x21,
        0x21,
        &[&address.octets()[..], &[0; 16], &[0x12, 0x67, 0, 80]].concat(),
    )
}

#[tokio::test]
async fn every_kind_of_header_is_read_to_its_last_byte_however_it_is_cut() {
    let with_more = {
        let addresses = ipv4()[16..].to_vec();
        v2(0x21, 0x11, &[addresses, vec![0xee; 600]].concat())
    };
    for (header, expected) in [
        (
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n".to_vec(),
            client("192.0.2.1:4711"),
        ),
        (
            b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n".to_vec(),
            client("[2001:db8::1]:1"),
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n".to_vec(),
            client("192.0.2.1:1"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), Announced::Unknown),
        (
            b"PROXY UNKNOWN 127.0.0.1 what ever\r\n".to_vec(),
            Announced::Unknown,
        ),
        (ipv4(), client("192.0.2.1:4711")),
        (with_more, client("192.0.2.1:4711")),
        (ipv6("2001:db8::1"), client("[2001:db8::1]:4711")),
        (ipv6("::ffff:192.0.2.1"), client("192.0.2.1:4711")),
        (v2(0x20, 0, &[]), Announced::Proxy),
        (v2(0x20, 0x11, &[127, 0, 0, 1]), Announced::Proxy),
        (v2(0x21, 0x00, &[1, 2, 3]), Announced::Unknown),
        (v2(0x21, 0x31, &[0; 216]), Announced::Unknown),
        (v2(0x21, 0x12, &[127; 12]), Announced::Unknown),
    ] {
        let all = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
        for cut in [
            1,
            5,
            12,
            14,
            15,
            16,
            header.len() - 1,
            header.len(),
            header.len() + 1,
        ] {
            let (first, second) = all.split_at(cut.min(all.len()));
            let (announced, rest) = read(&[first, second]).await;
            let text = String::from_utf8_lossy(&header);
            assert_eq!(announced.unwrap(), expected, "{text} cut at {cut}");
            assert_eq!(rest, b"GET / HTTP/1.1\r\n", "{text} cut at {cut}");
        }
        let bytes: Vec<_> = all.chunks(1).collect();
        assert_eq!(read(&bytes).await.0.unwrap(), expected);
    }
}

#[tokio::test]
async fn what_is_no_header_is_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_LINE));
    for hostile in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03xxxxxxxxx",
        b"PROXY TCP4 127.0.0.1 10.0.0.1 1 2\n",
        b"PROXY TCP4 127.0.0.1 10.0.0.1 1\r\n",
        b"PROXY TCP4 127.0.0.1 10.0.0.1 1 2 3\r\n",
        b"PROXY TCP4 127.0.0.1  10.0.0.1 1 2\r\n",
        b"PROXY TCP4 127.0.0.1 10.0.0.1 1 65536\r\n",
        b"PROXY TCP4 127.0.0.1 10.0.0.1 +1 2\r\n",
        b"PROXY TCP4 ::1 10.0.0.1 1 2\r\n",
        b"PROXY TCP6 127.0.0.1 10.0.0.1 1 2\r\n",
        b"PROXY TCP6 ::1 \xff\xfe 1 2\r\n",
        b"PROXY UDP4 127.0.0.1 10.0.0.1 1 2\r\n",
        b"proxy TCP4 127.0.0.1 10.0.0.1 1 2\r\n",
        b"PROXY UNKNOWNS\r\n",
        long.as_bytes(),
        &v2(0x11, 0x11, &[127; 12]),
        &v2(0x22, 0x11, &[127; 12]),
        &v2(0x21, 0x11, &[127; 11]),
        &v2(0x21, 0x21, &[0; 35]),
        &v2(0x21, 0x11, &vec![127; MAX_REST + 1]),
    ] {
        let (announced, _) = read(&[hostile]).await;
        let text = String::from_utf8_lossy(hostile);
        assert!(announced.is_err(), "{text}: {announced:?}");
    }
}

#[tokio::test]
async fn a_header_that_ends_early_is_refused_at_each_byte() {
    for header in [
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n".to_vec(),
        ipv4(),
    ] {
        for end in 0..header.len() {
            let (announced, _) = read(&[&header[..end]]).await;
            assert!(announced.is_err(), "{end}: {announced:?}");
        }
    }
}
