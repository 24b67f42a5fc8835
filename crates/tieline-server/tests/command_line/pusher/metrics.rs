//! What operators see of clients.

use serde_json::{Value, json};

use super::{KEY, Pusher, configuration, is_told_twice, signature, succeeded};
use crate::admin::{Node, get};

fn serve(app: &str) -> (Node, tempfile::TempDir) {
    let (folder, file) = configuration(app, "");
    let node = Node::serve(&["--config", &file, "--admin-listen", "127.0.0.1:0"]);
    (node, folder)
}

fn client(node: &Node) -> Pusher {
    Pusher::connect(&node.server.addresses[0])
}

#[test]
fn subscriptions_sign_ins_and_events_are_counted() {
    let (node, _folder) = serve("client_events = true\nmax_client_event_rate = 1");
    let subscriptions = |kind| format!("tieline_pusher_subscriptions{{kind=\"{kind}\"}}");
    let refused =
        |reason| format!("tieline_pusher_subscriptions_refused_total{{reason=\"{reason}\"}}");
    let events = |outcome| format!("tieline_pusher_client_events_total{{outcome=\"{outcome}\"}}");
    let sign_ins = |result| format!("tieline_pusher_sign_ins_total{{result=\"{result}\"}}");
    let page = node.page();
    for series in [
        subscriptions("presence"),
        refused("limit"),
        events("too_many"),
        sign_ins("accepted"),
    ] {
        assert_eq!(page.value(&series), Some(0.0), "{series}");
    }

    let mut ada = client(&node);
    ada.subscribe("news");
    ada.subscribe("private-staff");
    ada.send(
        r#"{"event":"pusher:subscribe","data":{"channel":"private-staff-2","auth":"none:0"}}"#,
    );
    is_told_twice(&mut ada, "private-staff-2", "AuthError", 401);
    ada.ask_to_subscribe("no name");
    ada.error();
    let event = r#"{"event":"client-hello","channel":"private-staff","data":1}"#;
    ada.send(event);
    ada.send(event);
    assert_eq!(ada.error().0, 4301);
    ada.send(&event.replace("private-staff", "news"));
    ada.error();
    sign_in(&mut ada);
    ada.send(r#"{"event":"pusher:signin","data":{"auth":"none:0","user_data":"{}"}}"#);
    ada.error();

    let page = node.page_with(|page| page.value(&sign_ins("refused")) == Some(1.0));
    for series in [
        subscriptions("public"),
        subscriptions("private"),
        refused("unauthorized"),
        refused("invalid"),
        events("relayed"),
        events("too_many"),
        events("refused"),
        sign_ins("accepted"),
    ] {
        assert_eq!(page.value(&series), Some(1.0), "{series}\n{}", page.0);
    }
    assert_eq!(page.value("tieline_presence_stale"), Some(0.0));
    // Ada is online.
    assert_eq!(page.value("tieline_presence_entries"), Some(1.0));
    let clients = "tieline_clients{hub=\"pusher/3\",wire=\"pusher\",subprotocol=\"protocol_7\"}";
    assert_eq!(page.value(clients), Some(1.0));

    ada.send(r#"{"event":"pusher:unsubscribe","data":{"channel":"news"}}"#);
    node.page_with(|page| page.value(&subscriptions("public")) == Some(0.0));
    drop(ada);
    node.page_with(|page| {
        let is_zero = |series: &str| page.value(series) == Some(0.0);
        is_zero(&subscriptions("private")) && is_zero("tieline_presence_entries")
    });
}

fn sign_in(client: &mut Pusher) {
    let user_data = r#"{"id":"ada"}"#;
    let signed = signature(&format!("{}::user::{user_data}", client.socket_id));
    let data = json!({"auth": format!("{KEY}:{signed}"), "user_data": user_data});
    client.send(&json!({"event": "pusher:signin", "data": data}).to_string());
    assert!(client.next().contains("pusher:signin_success"));
}

#[test]
fn operators_name_the_hub_of_an_app() {
    let (node, _folder) = serve("");
    let mut ada = client(&node);
    ada.ask_to_subscribe("news");
    assert_eq!(ada.next(), succeeded("news"));
    let asked = |path: &str| {
        let response = get(&node.admin, path, "");
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{response}");
        serde_json::from_str::<Value>(body).unwrap()
    };
    for query in ["hub=pusher/3", "hub=pusher%2F3&group=news"] {
        let found = asked(&format!("/api/connections?{query}"));
        assert_eq!(found["connections"][0]["id"], *ada.socket_id, "{found}");
    }
    let others = asked("/api/connections?hub=pusher/4");
    assert_eq!(others["connections"], json!([]));
    let one = asked(&format!("/api/connections/pusher%2F3/{}", ada.socket_id));
    assert_eq!(
        (&one["hub"], &one["wire"]),
        (&json!("pusher/3"), &json!("pusher"))
    );
}
