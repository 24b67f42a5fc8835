//! What the clients of a hub, of a user and of an address may do together: each limit, and what happens beyond it.

mod connects;
mod own;
mod rates;
mod reload;
mod requests;

use std::{
    net::TcpStream,
    process::Command,
    sync::mpsc::{Receiver, sync_channel},
    time::Instant,
};

use super::kit::{Client, DEADLINE, Server, ask_to_upgrade, tieline};

/// A server, and what it says of limits.
struct Limited {
    server: Server,
    log: Receiver<String>,
}

impl Limited {
    /// With these options, by their places in the file.
    fn serve(options: &[(&str, &str)]) -> Self {
        Self::start(tieline(&["serve", "--listen", "127.0.0.1:0"]), options)
    }

    /// The same with a command that was prepared.
    fn start(mut command: Command, options: &[(&str, &str)]) -> Self {
        for (place, value) in options {
            let variable = place.to_uppercase().replace('.', "__");
            command.env(format!("TIELINE_{variable}"), value);
        }
        let (sender, log) = sync_channel(1000);
        let server = Server::start(command, move |line| drop(sender.try_send(line)));
        Self { server, log }
    }

    fn address(&self) -> &str {
        &self.server.addresses[0]
    }

    /// The next time that the log says this.
    fn logged(&self, text: &str) {
        let begun = Instant::now();
        loop {
            let left = DEADLINE.saturating_sub(begun.elapsed());
            let line = self.log.recv_timeout(left);
            if line
                .unwrap_or_else(|_| panic!("{text:?} is not logged"))
                .contains(text)
            {
                return;
            }
        }
    }

    fn client(&self, user: &str) -> Client {
        self.client_of("chat", user)
    }

    fn client_of(&self, hub: &str, user: &str) -> Client {
        let path = format!("/client/hubs/{hub}?user={user}");
        let mut client = Client::connect_to(self.address(), &path, Client::JSON);
        assert!(client.text().contains(r#""event":"connected""#));
        client
    }

    /// The head of the response to a client.
    fn ask(&self, hub: &str, user: &str) -> (TcpStream, String) {
        let path = format!("/client/hubs/{hub}?user={user}");
        ask_to_upgrade(self.address(), &path, "")
    }

    /// A client that gets 429; returns the seconds after which it may come again.
    fn refused(&self, hub: &str, user: &str) -> u64 {
        let (_, head) = self.ask(hub, user);
        assert!(head.starts_with("HTTP/1.1 429"), "{head}");
        let (_, after) = head.split_once("retry-after: ").unwrap();
        after.lines().next().unwrap().parse().unwrap()
    }

    /// A client that is let in; it leaves when the socket is dropped.
    fn admitted(&self, hub: &str, user: &str) -> TcpStream {
        let (socket, head) = self.ask(hub, user);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        socket
    }
}

/// Asks until a client is let in.
fn eventually_admitted(limited: &Limited, hub: &str, user: &str) -> TcpStream {
    let begun = Instant::now();
    loop {
        let (socket, head) = limited.ask(hub, user);
        if head.starts_with("HTTP/1.1 101") {
            return socket;
        }
        assert!(begun.elapsed() < DEADLINE, "{head}");
        std::thread::yield_now();
    }
}
