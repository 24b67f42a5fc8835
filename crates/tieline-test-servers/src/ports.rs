//! Ports for servers whose port must be known before they start.
//!
//! Invariants: a port is returned only once, and the kernel assigns none of them by itself. So
//! neither another server of the test nor a connection of any program takes the port of a server
//! that starts, or that is down for a moment.

use std::{
    hash::{BuildHasher, RandomState},
    net::TcpListener,
    ops::Range,
    sync::LazyLock,
};

use parking_lot::Mutex;

/// Below the range from which Linux assigns ports.
const PORTS: Range<u16> = 12_000..32_000;

/// A port on 127.0.0.1 that is free now. Another process may still choose the same before it is
/// used, by chance.
pub fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<(RandomState, u64, Vec<u16>)>> = LazyLock::new(Mutex::default);
    let mut given = GIVEN.lock();
    let (random, tries, ports) = &mut *given;
    loop {
        *tries += 1;
        let nth = random.hash_one(*tries) % PORTS.len() as u64;
        let port = PORTS.start + u16::try_from(nth).unwrap();
        if !ports.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
            return port;
        }
    }
}
