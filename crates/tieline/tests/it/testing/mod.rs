//! The feature `testing`: what applications test themselves with.

mod clients;
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "axum")]
mod faces;
mod failures;
mod time;

use tieline::{
    Accept, CloseReason, Config, Connection, Handler, HttpService, Hub, Message, Node, Refusal,
    UpgradeRequest,
};

/// Sends back what it gets, and keeps why connections ended.
#[derive(Default)]
struct Echo {
    ends: parking_lot::Mutex<Vec<CloseReason>>,
}

impl Handler for Echo {
    type State = ();

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        // What does not fit is lost, as in an application that does not look at receipts.
        connection.emit(message);
    }

    async fn on_disconnect(&self, _: &Connection, (): &mut (), reason: CloseReason) {
        self.ends.lock().push(reason);
    }
}

fn echo(config: Config) -> (Node<Echo>, impl HttpService) {
    let node = Node::new(Hub::new(config).unwrap(), Echo::default());
    let service = node.service(in_lobby);
    (node, service)
}

async fn in_lobby(_: UpgradeRequest) -> Result<Accept<()>, Refusal> {
    Ok(Accept::new(()).group("lobby"))
}
