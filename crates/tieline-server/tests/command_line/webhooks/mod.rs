//! Event handlers: what they are sent, what becomes of their answers, and what they cannot do to others.

mod breaker;
mod connect;
mod events;
mod groups;
pub(crate) mod handler;
mod headers;
mod hostile;
mod hubs;
mod order;
mod reach;
mod replies;
mod tls;
mod tokens;
mod validation;

use self::handler::Handler;
use super::kit::{Client, Server};

/// A server whose events go to a handler.
fn serve(handler: &Handler, flags: &[&str]) -> Server {
    let url = handler.url("/eventhandler");
    let flags = [
        &["serve", "--listen", "127.0.0.1:0", "--event-handler", &url],
        flags,
    ];
    Server::serve(&flags.concat())
}

/// A client of the subprotocol, which has got its first frame.
fn connect(server: &Server) -> Client {
    let mut client = Client::connect(server, "/client/hubs/chat?user=ada", Client::JSON);
    assert!(client.text().contains(r#""event":"connected""#));
    client
}

fn event(name: &str, ack_id: u32, text: &str) -> String {
    format!(
        r#"{{"type":"event","event":"{name}","ackId":{ack_id},"dataType":"text","data":"{text}"}}"#
    )
}

fn ack(id: u32) -> String {
    format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#)
}

fn server_message(text: &str) -> String {
    format!(r#"{{"type":"message","from":"server","dataType":"text","data":"{text}"}}"#)
}

/// Checks the ack of an event that failed, and returns its message.
fn failed(ack: &str, id: u32) -> String {
    let start = format!(
        r#"{{"type":"ack","ackId":{id},"success":false,"error":{{"name":"InternalServerError","message":""#
    );
    assert!(ack.starts_with(&start), "{ack}");
    ack[start.len()..].trim_end_matches("\"}}").to_owned()
}
