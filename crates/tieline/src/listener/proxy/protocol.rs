//! The PROXY protocol, versions 1 and 2: who a proxy's client is, before the client's first byte.
//!
//! Owns the bounds of a header; the place of the connection has the deadline. Reads not one byte beyond it, because
//! what follows is TLS or HTTP. Must not know who is believed.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
};

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What every header has: the shortest line of version 1, `PROXY UNKNOWN` and its end.
const LEAST: usize = 15;
/// The longest line of version 1, with its end.
const MAX_LINE: usize = 107;
/// The most that version 2 may have after its first 16 bytes. The specification allows 64 KiB; addresses take 36
/// bytes, and what proxies add about certificates or clouds some hundred.
const MAX_REST: usize = 4096;

/// What a header says of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listener) enum Announced {
    Client(SocketAddr),
    /// The proxy does not know, or says it in a way that is no TCP address.
    Unknown,
    /// The proxy speaks for itself, as in its health checks.
    Proxy,
}

/// Reads a header. An error means that there is none, or that it is not valid.
pub(in crate::listener) async fn receive(tcp: &mut TcpStream) -> io::Result<Announced> {
    let mut head = [0; MAX_LINE];
    tcp.read_exact(&mut head[..LEAST]).await?;
    if head.starts_with(&SIGNATURE) {
        let [version, family, high] = [head[12], head[13], head[14]];
        let length = u16::from_be_bytes([high, tcp.read_u8().await?]);
        return version_2(version, family, length.into(), tcp).await;
    }
    if !head.starts_with(b"PROXY ") {
        return Err(invalid("no header of the PROXY protocol"));
    }
    let mut length = LEAST;
    while !head[..length].ends_with(b"\n") {
        if length == MAX_LINE {
            return Err(invalid("the line of the PROXY protocol does not end"));
        }
        length += take_line(tcp, &mut head[length..]).await?;
    }
    version_1(&head[..length])
}

/// Takes what has arrived of a line, and nothing after it.
async fn take_line(tcp: &mut TcpStream, room: &mut [u8]) -> io::Result<usize> {
    let arrived = tcp.peek(room).await?;
    let end = room[..arrived].iter().position(|byte| *byte == b'\n');
    let taken = end.map_or(arrived, |end| end + 1);
    if taken == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    tcp.read_exact(&mut room[..taken]).await
}

fn version_1(line: &[u8]) -> io::Result<Announced> {
    parse_line(line).ok_or_else(|| invalid("not a valid line of the PROXY protocol"))
}

fn parse_line(line: &[u8]) -> Option<Announced> {
    let line = str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Announced::Unknown);
    }
    let (client, server): (IpAddr, IpAddr) = match family {
        "TCP4" => (
            words.next()?.parse::<Ipv4Addr>().ok()?.into(),
            words.next()?.parse::<Ipv4Addr>().ok()?.into(),
        ),
        "TCP6" => (
            words.next()?.parse::<Ipv6Addr>().ok()?.into(),
            words.next()?.parse::<Ipv6Addr>().ok()?.into(),
        ),
        _ => return None,
    };
    let (port, _) = (port(words.next()?)?, port(words.next()?)?);
    let is_complete = words.next().is_none() && client.is_ipv4() == server.is_ipv4();
    is_complete.then(|| announced(client, port))
}

fn port(digits: &str) -> Option<u16> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten()
}

async fn version_2(
    version: u8,
    family: u8,
    length: usize,
    tcp: &mut (impl AsyncRead + Unpin),
) -> io::Result<Announced> {
    if length > MAX_REST {
        return Err(invalid("the header of the PROXY protocol is too long"));
    }
    let mut rest = vec![0; length];
    tcp.read_exact(&mut rest).await?;
    match (version, family) {
        (0x20, _) => Ok(Announced::Proxy),
        (0x21, 0x11) => addresses::<4>(&rest),
        (0x21, 0x21) => addresses::<16>(&rest),
        (0x21, _) => Ok(Announced::Unknown),
        _ => Err(invalid("an unknown version of the PROXY protocol")),
    }
}

/// The client's address of `N` bytes, the server's, and both ports. What follows is ignored.
fn addresses<const N: usize>(rest: &[u8]) -> io::Result<Announced>
where
    IpAddr: From<[u8; N]>,
{
    let parts = rest.split_first_chunk::<N>();
    let port = parts.and_then(|(_, after)| after.get(N..N + 4));
    match (parts, port) {
        (Some((client, _)), Some(&[high, low, _, _])) => {
            let port = u16::from_be_bytes([high, low]);
            Ok(announced(IpAddr::from(*client), port))
        }
        _ => Err(invalid(
            "the header of the PROXY protocol is too short for its addresses",
        )),
    }
}

fn announced(client: IpAddr, port: u16) -> Announced {
    Announced::Client(SocketAddr::new(client.to_canonical(), port))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
