//! A broadcast, against a bare loop of `send`.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use anyhow::{Result, ensure};

use super::{
    client::{PAYLOAD, masked, open, rate},
    median,
    server::Server,
};

/// Fails where the median ratio is below `least`.
pub(crate) fn check(receivers: usize, rounds: usize, least: f64) -> Result<()> {
    let ratio = measure_broadcast(receivers, rounds)?;
    ensure!(
        ratio >= least,
        "a broadcast runs at less than {least} of the bare loop"
    );
    Ok(())
}

fn measure_broadcast(receivers: usize, rounds: usize) -> Result<f64> {
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let floor = Server::start("measure", &["floor", &receivers.to_string()])?;
        let trigger = |socket: &mut TcpStream| socket.write_all(b"!");
        let bare = rate(
            &floor,
            receivers,
            |address, _| Ok(TcpStream::connect(address)?),
            trigger,
        )?;
        drop(floor);
        let yardstick = Server::yardstick()?;
        let ours = rate(&yardstick, receivers, open, |socket| {
            socket.write_all(&masked(&PAYLOAD))
        })?;
        let ratio = ours.per_second / bare.per_second;
        println!(
            "broadcast to {receivers}: {:.0}/s at {:.2} µs CPU each, bare send {:.0}/s at {:.2} µs: {ratio:.2}",
            ours.per_second, ours.cpu_micros, bare.per_second, bare.cpu_micros
        );
        ratios.push(ratio);
    }
    let median = median(ratios);
    println!("broadcast: median {median:.2} of a bare loop of send");
    Ok(median)
}

/// The yardstick's yardstick: on each byte of the first client, `send` to every client in a loop.
pub(crate) fn floor(receivers: usize) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    eprintln!("listening on {}", listener.local_addr()?);
    let mut clients = Vec::new();
    for _ in 0..receivers {
        let (client, _) = listener.accept()?;
        client.set_nodelay(true)?;
        clients.push(client);
    }
    let frame = [&[0x81, 64][..], &PAYLOAD].concat();
    let mut byte = [0];
    while clients[0].read(&mut byte)? == 1 {
        for client in &mut clients {
            client.write_all(&frame)?;
        }
    }
    Ok(())
}
