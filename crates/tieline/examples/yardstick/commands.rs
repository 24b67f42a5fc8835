//! The handler: messages are commands, or come back.

use tieline::{Cluster, Connection, Handler, Message};

/// How the messages of a connection are treated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    Commands,
    Echo,
}

pub(crate) struct Yardstick {
    pub(crate) cluster: Cluster,
}

impl Handler for Yardstick {
    type State = Mode;

    async fn on_message(&self, connection: &Connection, mode: &mut Mode, message: Message) {
        match mode {
            Mode::Echo => drop(connection.emit(message)),
            Mode::Commands => self.command(connection, message),
        }
    }
}

impl Yardstick {
    /// What is sent as it came is moved, which copies nothing.
    fn command(&self, connection: &Connection, message: Message) {
        let Message::Text(text) = &message else {
            return;
        };
        let cluster = &self.cluster;
        let (letter, rest) = text.split_at_checked(1).unwrap_or(("", ""));
        let argument = rest.strip_prefix(':').unwrap_or_default();
        match letter {
            "E" => drop(connection.emit(message)),
            "B" => drop(cluster.broadcast(message)),
            "T" => self.direct(connection, argument),
            "G" => {
                let (group, payload) = argument.split_once(':').unwrap_or_default();
                drop(cluster.emit_group(group, payload));
            }
            "J" => drop(connection.join(argument)),
            "L" => drop(connection.leave(argument)),
            _ => {}
        }
    }

    /// Does not await the receipt, so that reading continues.
    fn direct(&self, connection: &Connection, argument: &str) {
        let (id, payload) = argument.split_once(':').unwrap_or_default();
        let sender = connection.clone();
        self.cluster.emit(id, payload).on_outcome(move |delivery| {
            if !delivery.is_delivered() {
                sender.emit(format!("!{delivery}"));
            }
        });
    }
}
