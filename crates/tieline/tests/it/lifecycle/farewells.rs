//! What clients are sent last, in the codes of their wire.

use std::time::Duration;

use parking_lot::Mutex;
use tieline::{
    Accept, CloseCode, CloseReason, Closing, Config, Connection, Farewell, Handler, Hub, Message,
    Node,
};

use super::close_frame;
use crate::kit::{Raw, raw::CLOSE, run, serve};

/// Remembers why connections end.
#[derive(Default)]
struct Ends(Mutex<Vec<CloseReason>>);

impl Handler for Ends {
    type State = ();

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        assert_eq!(message.as_text(), Some("close me"));
        connection.close(close_frame(4000, "as you wish"));
    }

    async fn on_disconnect(&self, _: &Connection, (): &mut (), reason: CloseReason) {
        self.0.lock().push(reason);
    }
}

/// A wire that has a code for every reason but those of the application.
fn farewell(closing: &Closing<'_>) -> Option<Farewell> {
    let (code, why) = match closing.reason() {
        CloseReason::Application(_) => return None,
        CloseReason::Drain => (4200, "come back"),
        CloseReason::Replaced => panic!("the wire has a fault"),
        _ => (4001, "not so"),
    };
    let close = close_frame(code, why);
    let instead_of = closing.close_frame().code.as_u16();
    let farewell = Farewell::new(close);
    Some(match closing.data::<String>() {
        Some(name) => farewell.message(format!("{name}: {code} instead of {instead_of}")),
        None => farewell,
    })
}

/// The server's last words: its texts, the code and the reason.
async fn last_words(client: &mut Raw) -> (Vec<String>, u16, String) {
    let mut texts = Vec::new();
    loop {
        let frame = client.data().await;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        if frame.opcode != CLOSE {
            texts.push(text(&frame.payload));
            continue;
        }
        let (code, reason) = frame.payload.split_first_chunk().unwrap();
        return (texts, u16::from_be_bytes(*code), text(reason));
    }
}

fn words(texts: &[&str], code: u16, reason: &str) -> (Vec<String>, u16, String) {
    let texts = texts.iter().map(|text| (*text).to_owned());
    (texts.collect(), code, reason.to_owned())
}

#[test]
fn a_wire_chooses_the_close_frame_of_its_clients_by_the_reason() {
    run(async {
        let config = Config {
            drain_window: Duration::ZERO,
            ..Config::default()
        };
        let node = Node::new(Hub::new(config).unwrap(), Ends::default());
        let address = serve(node.clone(), async |request| {
            let accept = Accept::new(()).farewell(farewell);
            let accept = match request.query("id") {
                Some(id) => accept.id(tieline::ClientId::new(id).unwrap()),
                None => accept,
            };
            Ok(match request.query("name") {
                Some(name) => accept.data(name),
                None => accept,
            })
        })
        .await;
        let connect = async |query: &str| {
            let (client, answer) = Raw::open(address, &format!("/?{query}"), "").await;
            assert_eq!(answer.status, 101);
            client
        };

        let mut closed = connect("name=ann").await;
        closed.send_text("close me").await;
        let by_default = words(&[], 4000, "as you wish");
        assert_eq!(last_words(&mut closed).await, by_default);
        closed.send_close(4000).await;
        closed.end().await;

        let mut broken = connect("name=ann").await;
        broken.write(b"\x81\x02hi").await;
        let code_of_the_wire = words(&["ann: 4001 instead of 1002"], 4001, "not so");
        assert_eq!(last_words(&mut broken).await, code_of_the_wire);
        drop(broken);

        let mut replaced = connect("id=a").await;
        let mut newer = connect("id=a").await;
        let by_default = words(&[], 4409, "replaced by a newer connection");
        assert_eq!(last_words(&mut replaced).await, by_default);
        replaced.send_close(4409).await;
        replaced.end().await;

        let mut named = connect("name=bob").await;
        let (drained, (), ()) = tokio::join!(
            node.drain(),
            async {
                let with_message = words(&["bob: 4200 instead of 1012"], 4200, "come back");
                assert_eq!(last_words(&mut named).await, with_message);
                named.send_close(4200).await;
            },
            async {
                assert_eq!(last_words(&mut newer).await, words(&[], 4200, "come back"));
                newer.send_close(4200).await;
            }
        );
        assert_eq!((drained.closed, drained.remaining), (2, 0));
        // The handler gets the reason, whatever the client was sent.
        let ends = node.handler().0.lock();
        let drains = ends.iter().filter(|reason| **reason == CloseReason::Drain);
        assert_eq!((ends.len(), drains.count()), (5, 2));
    });
}

#[test]
fn no_code_is_chosen_for_a_client_that_closes_itself() {
    run(async {
        let node = Node::new(Hub::new(Config::default()).unwrap(), Ends::default());
        let address = serve(node, async |_| Ok(Accept::new(()).farewell(farewell))).await;
        let (mut client, _) = Raw::open(address, "/", "").await;
        client.send_close(CloseCode::NORMAL.as_u16()).await;
        assert_eq!(last_words(&mut client).await, words(&[], 1000, ""));
        client.end().await;
    });
}
