//! What the page of metrics says.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{Node, Page};
use crate::kit::Client;

fn serve() -> Node {
    Node::serve(&["--admin-listen", "127.0.0.1:0"])
}

fn client(node: &Node, hub: &str, subprotocol: &str) -> Client {
    Client::connect(&node.server, &format!("/client/hubs/{hub}"), subprotocol)
}

#[test]
fn clients_messages_and_refusals_are_counted() {
    let node = serve();
    let mut json = client(&node, "chat", Client::JSON);
    let reliable = client(&node, "chat", "json.reliable.webpubsub.azure.v1");
    let simple = node.server.connect(0);
    json.text();
    json.send(r#"{"type":"joinGroup","group":"room","ackId":1}"#);
    json.text();
    let group = r#"{"type":"sendToGroup","group":"room","data":"hello","ackId":2}"#;
    json.send(group);
    let (_, _) = (json.text(), json.text());
    let refused = node.server.get(0, "/client/hubs/chat?access_token=x");
    assert!(refused.starts_with("HTTP/1.1 426"), "{refused}");
    let refused = node
        .server
        .refused_upgrade("/client/hubs/chat?access_token=x", "");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");

    let subprotocol =
        |name| format!("tieline_clients{{hub=\"chat\",wire=\"webpubsub\",subprotocol=\"{name}\"}}");
    // Callbacks and writes count what they have done, and others see it before.
    let delivered = "tieline_deliveries_total{outcome=\"delivered\"}";
    let have = |page: &Page, clients| {
        let mut names = ["json", "json_reliable", "simple"].into_iter();
        names.all(|name| page.value(&subprotocol(name)) == Some(clients))
    };
    let page = node.page_with(|page| {
        page.value("tieline_messages_received_total") == Some(2.0)
            && page.value(delivered) >= Some(3.0)
            && have(page, 1.0)
    });
    assert_eq!(page.value("tieline_connections"), Some(3.0));
    assert_eq!(page.value("tieline_connections_opened_total"), Some(3.0));
    for status in [401, 426] {
        let series = format!("tieline_upgrades_refused_total{{status=\"{status}\"}}");
        assert_eq!(page.value(&series), Some(1.0), "{}", page.0);
    }
    let no_key = "tieline_access_refused_total{peer=\"client\",reason=\"no_key\"}";
    assert_eq!(page.value(no_key), Some(1.0), "{}", page.0);

    drop((json, reliable, simple));
    node.page_with(|page| page.value("tieline_connections") == Some(0.0) && have(page, 0.0));
}

#[test]
fn a_stranger_cannot_grow_labels() {
    let node = serve();
    let before = node.page().0.lines().count();
    for number in 0..1000 {
        drop(client(&node, &format!("hub{number}"), Client::JSON));
    }
    for number in 0..200 {
        // Hubs, operations and statuses that nobody has.
        node.server
            .get(0, &format!("/api/hubs/h{number}/groups/g{number}/{number}"));
        node.server.get(0, &format!("/client/hubs/{number}/"));
    }
    let page = node.page_with(|page| page.value("tieline_connections") == Some(0.0));
    let hubs = page.series("tieline_clients").count();
    assert_eq!(hubs, 101, "100 hubs and the others");
    let other = "tieline_clients{hub=\"other\",wire=\"webpubsub\",subprotocol=\"json\"}";
    assert_eq!(page.value(other), Some(0.0));
    let lines = page.0.lines().count();
    assert!(lines < before + 101 + 20, "{before} lines became {lines}");
}

#[test]
fn a_scrape_under_load_answers_fast() {
    let node = serve();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (node, stop) = (&node, &stop);
            scope.spawn(move || {
                let mut client = client(node, "chat", Client::JSON);
                client.text();
                let send = |client: &mut Client, what: &str| {
                    client.send(&format!(r#"{{"group":"room{number}",{what}}}"#));
                };
                send(&mut client, r#""type":"joinGroup""#);
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..50 {
                        send(&mut client, r#""type":"sendToGroup","data":"hello""#);
                    }
                    (0..50).for_each(|_| drop(client.text()));
                }
            });
        }
        node.page_with(|page| page.value("tieline_messages_received_total") > Some(1000.0));
        let mut times: Vec<_> = (0..20)
            .map(|_| {
                let begin = Instant::now();
                node.page();
                begin.elapsed()
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        times.sort();
        // The machine that runs this may be busy with other tests.
        assert!(times[10] < Duration::from_millis(500), "{times:?}");
    });
}
