//! The model: who is connected, in which groups, and what each should receive.

use std::collections::BTreeSet;

use fastrand::Rng;
use futures_util::future::join_all;
use tieline::{
    CloseCode, CloseFrame, CloseReason, Connection, Delivery, Reached, Receipt, UserError,
};

use super::clients::Reader;
use crate::kit::{Server, What};

/// One accepted socket.
struct Socket {
    client: usize,
    serial: usize,
    user: Option<usize>,
    groups: BTreeSet<usize>,
    due: Vec<String>,
    reader: Reader,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// Open, until the hub closes.
    Hub,
    Application,
    Replaced,
    Client,
    Vanished,
}

/// Who arrives: client, user if it says so, groups.
type Arrival = (usize, Option<usize>, BTreeSet<usize>);

pub(super) struct Simulation {
    server: Server,
    users: usize,
    groups: usize,
    sockets: Vec<Socket>,
    /// The open socket of each client.
    open: Vec<Option<usize>>,
    sent: usize,
    /// Open receipts, with the outcomes that they must yield.
    of_many: Vec<(Receipt<Reached>, u64)>,
    of_one: Vec<(Receipt, Delivery)>,
}

impl Simulation {
    /// A world without connections. Of `clients`, about `clients / users` are of one user, and up to three
    /// times `clients / groups` are in one group.
    pub(super) fn new(server: Server, clients: usize, users: usize, groups: usize) -> Self {
        Self {
            server,
            users,
            groups,
            sockets: Vec::new(),
            open: vec![None; clients],
            sent: 0,
            of_many: Vec::new(),
            of_one: Vec::new(),
        }
    }

    /// Connects every client.
    pub(super) async fn populate(&mut self, rng: &mut Rng) {
        let all: Vec<_> = (0..self.open.len()).map(|c| self.arrival(c, rng)).collect();
        for some in all.chunks(50) {
            let queries: Vec<_> = some.iter().map(query).collect();
            let raws = join_all(queries.iter().map(|query| self.server.raw(query))).await;
            for (arrival, raw) in some.iter().zip(raws) {
                self.arrive(arrival.clone(), raw.serial, Reader::start(raw));
            }
        }
    }

    /// Connects a client, which may be connected already. Nothing is waited for: what was sent before
    /// belongs to the older connection, even if it is still queued.
    pub(super) async fn connect(&mut self, rng: &mut Rng) {
        let arrival = self.arrival(rng.usize(..self.open.len()), rng);
        let raw = self.server.raw(&query(&arrival)).await;
        self.end(arrival.0, End::Replaced);
        self.arrive(arrival, raw.serial, Reader::start(raw));
    }

    fn arrival(&self, client: usize, rng: &mut Rng) -> Arrival {
        let groups = (0..3).map(|_| rng.usize(..self.groups)).collect();
        let user = (rng.u32(..3) > 0).then(|| rng.usize(..self.users));
        (client, user, groups)
    }

    fn arrive(&mut self, (client, user, groups): Arrival, serial: usize, reader: Reader) {
        self.open[client] = Some(self.sockets.len());
        self.sockets.push(Socket {
            client,
            serial,
            user,
            groups,
            due: Vec::new(),
            reader,
            end: End::Hub,
        });
    }

    /// Takes a client offline; returns the socket that it had.
    fn end(&mut self, client: usize, end: End) -> Option<usize> {
        let socket = self.open[client].take()?;
        self.sockets[socket].end = end;
        Some(socket)
    }

    /// The application closes a client, which still receives what was sent before.
    pub(super) fn close(&mut self, rng: &mut Rng) {
        let client = rng.usize(..self.open.len());
        if self.end(client, End::Application).is_some() {
            let frame = CloseFrame::new(CloseCode::new(4000).unwrap(), "");
            self.server.connection(&name(client)).close(frame);
        }
    }

    /// A client closes. What is still queued might miss it, and is waited for.
    pub(super) async fn leave_orderly(&mut self, rng: &mut Rng) {
        let client = rng.usize(..self.open.len());
        self.settle().await;
        if let Some(socket) = self.end(client, End::Client) {
            self.sockets[socket].reader.close(1000).await;
            self.ended(socket).await;
        }
    }

    /// A client ends its stream without a close.
    pub(super) async fn vanish(&mut self, rng: &mut Rng) {
        let client = rng.usize(..self.open.len());
        self.settle().await;
        if let Some(socket) = self.end(client, End::Vanished) {
            self.sockets[socket].reader.vanish().await;
            self.ended(socket).await;
        }
    }

    /// Waits until the node has noticed.
    async fn ended(&self, socket: usize) {
        let serial = self.sockets[socket].serial;
        let disconnected = |what: &What| matches!(what, What::Disconnect(_));
        self.server
            .log
            .until(|events| {
                let mut latest = events.iter().rev();
                latest
                    .find(|event| event.serial == serial && disconnected(&event.what))
                    .map(drop)
            })
            .await;
    }

    pub(super) fn emit(&mut self, rng: &mut Rng) {
        let client = rng.usize(..self.open.len());
        let text = self.text();
        let receipt = self.server.hub.emit(&name(client), &text);
        let reached = self.due(&text, |socket| socket.client == client);
        let delivery = match reached {
            0 => Delivery::Offline,
            _ => Delivery::Delivered,
        };
        self.of_one.push((receipt, delivery));
    }

    pub(super) async fn emit_to_nobody(&mut self) {
        let text = self.text();
        let nobody = self.server.hub.emit("nobody", &text).await;
        assert_eq!(nobody, Delivery::Offline);
        let group = self.server.hub.emit_group("nobody", &text).await;
        assert_eq!(group, Reached::default());
    }

    pub(super) fn emit_user(&mut self, rng: &mut Rng) {
        let user = rng.usize(..self.users);
        let text = self.text();
        let receipt = self.server.hub.emit_user(&format!("u{user}"), &text);
        let reached = self.due(&text, |socket| socket.user == Some(user));
        self.of_many.push((receipt, reached));
    }

    pub(super) fn emit_group(&mut self, rng: &mut Rng) {
        let group = rng.usize(..self.groups);
        let text = self.text();
        let receipt = self.server.hub.emit_group(&format!("g{group}"), &text);
        let reached = self.due(&text, |socket| socket.groups.contains(&group));
        self.of_many.push((receipt, reached));
    }

    pub(super) fn emit_group_except(&mut self, rng: &mut Rng) {
        let group = rng.usize(..self.groups);
        let not: Vec<_> = (0..20).map(|_| rng.usize(..self.open.len())).collect();
        let text = self.text();
        let except = self
            .server
            .hub
            .except(not.iter().map(|client| name(*client)));
        let receipt = except.emit_group(&format!("g{group}"), &text);
        let reached = self.due(&text, |socket| {
            socket.groups.contains(&group) && !not.contains(&socket.client)
        });
        self.of_many.push((receipt, reached));
    }

    pub(super) fn broadcast(&mut self) {
        let text = self.text();
        let receipt = self.server.hub.broadcast(&text);
        let reached = self.due(&text, |_| true);
        self.of_many.push((receipt, reached));
    }

    pub(super) fn broadcast_except(&mut self, rng: &mut Rng) {
        let not = rng.usize(..self.open.len());
        let text = self.text();
        let receipt = self.server.hub.except([name(not)]).broadcast(&text);
        let reached = self.due(&text, |socket| socket.client != not);
        self.of_many.push((receipt, reached));
    }

    pub(super) fn join(&mut self, rng: &mut Rng) {
        let (client, group) = (rng.usize(..self.open.len()), rng.usize(..self.groups));
        if let Some(socket) = self.open[client] {
            let fresh = self.sockets[socket].groups.insert(group);
            let connection = self.server.connection(&name(client));
            assert_eq!(connection.join(&format!("g{group}")), Ok(fresh));
        }
    }

    pub(super) fn leave(&mut self, rng: &mut Rng) {
        let (client, group) = (rng.usize(..self.open.len()), rng.usize(..self.groups));
        if let Some(socket) = self.open[client] {
            let was_in = self.sockets[socket].groups.remove(&group);
            let connection = self.server.connection(&name(client));
            assert_eq!(connection.leave(&format!("g{group}")), was_in);
        }
    }

    /// A client says who it is, which counts if it has not said so before.
    pub(super) fn set_user(&mut self, rng: &mut Rng) {
        let (client, user) = (rng.usize(..self.open.len()), rng.usize(..self.users));
        if let Some(socket) = self.open[client] {
            let named = *self.sockets[socket].user.get_or_insert(user);
            let expected = if named == user {
                Ok(())
            } else {
                Err(UserError::Taken)
            };
            let connection = self.server.connection(&name(client));
            assert_eq!(connection.set_user(&format!("u{user}")), expected);
            assert_eq!(connection.user(), Some(&*format!("u{named}")));
        }
    }

    /// A text that no other message has.
    fn text(&mut self) -> String {
        self.sent += 1;
        self.sent.to_string()
    }

    /// Notes a message for every open socket that matches, and counts them.
    fn due(&mut self, text: &str, matches: impl Fn(&Socket) -> bool) -> u64 {
        let mut count = 0;
        for socket in self.open.iter().flatten() {
            let socket = &mut self.sockets[*socket];
            if matches(socket) {
                socket.due.push(text.to_owned());
                count += 1;
            }
        }
        count
    }

    /// Waits for the open receipts, and compares the hub with the model.
    pub(super) async fn settle(&mut self) {
        for (receipt, delivered) in self.of_many.drain(..) {
            let reached = receipt.await;
            assert_eq!(reached.delivered, delivered, "{reached:?}");
            assert_eq!((reached.refused, reached.queue_full), (0, 0));
        }
        for (receipt, expected) in self.of_one.drain(..) {
            assert_eq!(receipt.await, expected);
        }
        let expected = self.names(|socket| socket.groups.contains(&0));
        assert_eq!(ids(&self.server.hub.members("g0")), expected);
        let expected = self.names(|socket| socket.user == Some(0));
        assert_eq!(ids(&self.server.hub.user("u0")), expected);
    }

    /// The clients with an open socket that matches.
    fn names(&self, matches: impl Fn(&Socket) -> bool) -> BTreeSet<String> {
        let open = self.open.iter().flatten();
        let sockets = open.map(|socket| &self.sockets[*socket]);
        let matching = sockets.filter(|socket| matches(socket));
        matching.map(|socket| name(socket.client)).collect()
    }

    /// Closes the hub, and compares what every socket received with what it should have.
    pub(super) async fn finish(mut self) {
        self.settle().await;
        self.server.hub.close();
        self.server.empty().await;
        let mut reasons = vec![Vec::new(); self.sockets.len()];
        for event in self.server.log.all() {
            if let What::Disconnect(reason) = event.what {
                reasons[event.serial].push(reason);
            }
        }
        for socket in self.sockets {
            assert_ended(socket.end, &reasons[socket.serial]);
            let seen = socket.reader.seen().await;
            assert_eq!(seen.texts, socket.due, "socket {}", socket.serial);
            let code = match socket.end {
                End::Hub => Some(1001),
                End::Application => Some(4000),
                End::Replaced => Some(4409),
                End::Client => Some(1000),
                End::Vanished => None,
            };
            assert_eq!(seen.code, code, "socket {}", socket.serial);
        }
    }
}

fn assert_ended(end: End, reasons: &[CloseReason]) {
    let [reason] = reasons else {
        panic!("on_disconnect ran {} times", reasons.len());
    };
    let fits = match end {
        End::Hub | End::Application => matches!(reason, CloseReason::Application(_)),
        End::Replaced => *reason == CloseReason::Replaced,
        End::Client => matches!(reason, CloseReason::Client(Some(_))),
        End::Vanished => matches!(reason, CloseReason::Lost(_)),
    };
    assert!(fits, "{end:?}, but {reason}");
}

fn query((client, user, groups): &Arrival) -> String {
    let groups: Vec<_> = groups.iter().map(|group| format!("g{group}")).collect();
    let user = user.map_or_else(String::new, |user| format!("&user=u{user}"));
    format!("id={}{user}&groups={}", name(*client), groups.join(","))
}

fn ids(connections: &[Connection]) -> BTreeSet<String> {
    let ids = connections.iter().map(|it| it.id().to_string());
    ids.collect()
}

fn name(client: usize) -> String {
    format!("c{client}")
}
