//! Servers for tests, each on its own thread.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use tieline_bench::Floor;

/// Starts the baseline server; yields the URL template of its clients.
pub(crate) fn floor() -> String {
    let floor = Floor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = floor.address().unwrap();
    thread::spawn(move || floor.serve());
    format!("ws://{address}/ws?id={{id}}")
}

/// A server that calls a function for each connection, numbered from 0.
pub(crate) fn each(serve: impl Fn(usize, TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let (serve, socket) = (serve.clone(), socket.unwrap());
            thread::spawn(move || serve(number, socket));
        }
    });
    address
}

/// Completes the handshake for the key of the RFC, and sends more bytes at once.
pub(crate) fn accept(socket: &mut TcpStream, more: &[u8]) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    let response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    socket.write_all(&[response, more].concat()).unwrap();
}

/// Reads one masked frame of less than 126 bytes.
pub(crate) fn read(socket: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut header = [0; 6];
    socket.read_exact(&mut header)?;
    let mut payload = vec![0; (header[1] & 0x7f).into()];
    socket.read_exact(&mut payload)?;
    Ok(payload)
}

/// Writes one text frame of less than 126 bytes.
pub(crate) fn write(socket: &mut TcpStream, payload: &[u8]) -> std::io::Result<()> {
    let length = u8::try_from(payload.len()).unwrap();
    socket.write_all(&[&[0x81, length], payload].concat())
}
