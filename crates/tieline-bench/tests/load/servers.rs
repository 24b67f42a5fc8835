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
    accept_with(socket, "", more);
}

/// The same with more fields in the response; yields the request.
pub(crate) fn accept_with(socket: &mut TcpStream, fields: &str, more: &[u8]) -> String {
    let request = head(socket).unwrap();
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{fields}\r\n"
    );
    socket
        .write_all(&[response.as_bytes(), more].concat())
        .unwrap();
    request
}

/// Reads the head of a request.
pub(crate) fn head(socket: &mut TcpStream) -> std::io::Result<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    Ok(String::from_utf8(request).unwrap())
}

/// Reads one masked frame of less than 64 KiB; yields its payload.
pub(crate) fn read(socket: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut header = [0; 2];
    socket.read_exact(&mut header)?;
    let length = match header[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            socket.read_exact(&mut length)?;
            u16::from_be_bytes(length)
        }
        short => short.into(),
    };
    // The mask is zero.
    socket.read_exact(&mut [0; 4])?;
    let mut payload = vec![0; length.into()];
    socket.read_exact(&mut payload)?;
    Ok(payload)
}

/// Writes one text frame of less than 64 KiB.
pub(crate) fn write(socket: &mut TcpStream, payload: &[u8]) -> std::io::Result<()> {
    write_frame(socket, 0x81, payload)
}

/// The same for any kind of frame.
pub(crate) fn write_frame(
    socket: &mut TcpStream,
    first: u8,
    payload: &[u8],
) -> std::io::Result<()> {
    let mut frame = vec![first];
    if let Ok(short @ ..126) = u8::try_from(payload.len()) {
        frame.push(short);
    } else {
        frame.push(126);
        frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    }
    socket.write_all(&[&frame, payload].concat())
}
