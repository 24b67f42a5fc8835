//! Each hub has its own event handlers, or those of all hubs.

use std::{process::Command, sync::mpsc::sync_channel};

use super::{
    ack, event,
    handler::{Handler, Reply, Seen},
};
use crate::kit::{Client, DEADLINE, Server, tieline};

/// A handler that answers with its name, and takes this hub.
fn named(name: &'static str) -> Handler {
    Handler::start(move |seen: &Seen| match seen.event() {
        "greet" => Reply::of(
            "text/plain",
            &format!("{name} for {}", seen.header("ce-hub")),
        ),
        _ => Reply::nothing(),
    })
}

fn connected(server: &Server, hub: &str) -> Client {
    let path = format!("/client/hubs/{hub}?user=ada");
    let mut client = Client::connect(server, &path, Client::JSON);
    assert!(client.text().contains(r#""event":"connected""#));
    client
}

/// Who answers a client's event, if anybody does.
fn greeting(client: &mut Client, id: u32) -> Option<String> {
    client.send(&event("greet", id, "x"));
    let answer = client.text();
    if answer.contains(r#""success":false"#) {
        assert!(
            answer.contains("no event handler is configured"),
            "{answer}"
        );
        return None;
    }
    assert_eq!(client.text(), ack(id));
    let (_, data) = answer.split_once(r#""data":""#).unwrap();
    Some(data.trim_end_matches("\"}").to_owned())
}

#[test]
fn a_hub_has_its_own_list_or_that_of_all() {
    let [all, chat, orders] = [named("all"), named("chat"), named("orders")];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let file = |chat: &str| {
        format!(
            "listen = \"127.0.0.1:0\"\n[[hub_defaults.event_handlers]]\nurl = \"{}\"\n\
             [[hub.chat.event_handlers]]\nurl = \"{}\"\nuser_events = \"orders.*\"\nsystem_events = []\n\
             [[hub.chat.event_handlers]]\nurl = \"{chat}\"\n[hub.quiet]\nevent_handlers = []\n",
            all.url("/{hub}/{event}"),
            orders.url("/{event}"),
        )
    };
    write(&file(&chat.url("/{event}")));
    let (log, lines) = sync_channel(1000);
    let command: Command = tieline(&["serve", "--config", path.to_str().unwrap()]);
    let server = Server::start(command, move |line| drop(log.try_send(line)));
    let mut clients = ["chat", "news", "quiet"].map(|hub| connected(&server, hub));
    assert_eq!(chat.expect("connect").header("ce-hub"), "chat");
    assert_eq!(all.expect("connect").path, "/news/connect");
    let answers = |clients: &mut [Client; 3], id| {
        let mut answers = Vec::new();
        for client in clients {
            answers.push(greeting(client, id));
        }
        answers
    };
    let expected = ["chat for chat", "all for news"].map(|text| Some(text.to_owned()));
    assert_eq!(answers(&mut clients, 1), [&expected[..], &[None]].concat());
    // The first that wants an event gets it.
    clients[0].send(&event("orders.new", 2, "x"));
    assert_eq!(clients[0].text(), ack(2));
    assert_eq!(orders.expect("orders.new").path, "/orders.new");

    // Clients that are connected have the new handlers, too.
    write(&file(&all.url("/moved/{event}")));
    server.signal("HUP");
    let reloaded = loop {
        let line = lines.recv_timeout(DEADLINE).unwrap();
        if line.contains("configuration reloaded") {
            break line;
        }
    };
    let place = "applied=\"hub.chat.event_handlers[1].url\"";
    assert!(reloaded.contains(place), "{reloaded}");
    assert_eq!(
        greeting(&mut clients[0], 3).unwrap(),
        "all for chat",
        "the handler of the chat has moved"
    );
}

#[test]
fn mistakes_in_a_table_are_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    for (table, expected) in [
        (
            "[[hub.chat.event_handlers]]",
            "`hub.chat.event_handlers[0].url` is required",
        ),
        (
            "[[hub_defaults.event_handlers]]\nurl = \"http://me:hunter2@h\"",
            "t.toml:2: invalid `hub_defaults.event_handlers[0].url`",
        ),
        (
            "[[hub.chat.event_handlers]]\nurl = \"http://h\"\nconnect_timeout = \"1m\"",
            "`hub.chat.event_handlers[0].connect_timeout` (t.toml:3) must be above zero and less than `times.decision_timeout`",
        ),
        (
            "[[hub.chat.event_handlers]]\nurl = \"http://h\"\nconcurrency = 0",
            "`hub.chat.event_handlers[0].concurrency` (t.toml:3) must be 1 to 65536",
        ),
        (
            "[[hub.chat.event_handlers]]\nurl = \"http://h\"\nuser_events = \"a,*a*a*a*a*a*\"",
            "`hub.chat.event_handlers[0].user_events` (t.toml:3) has the invalid pattern",
        ),
        (
            "[[hub.chat.event_handlers]]\nurl = \"http://h\"\nsystem_events = [\"gone\"]",
            "expected \"connect\", \"connected\" or \"disconnected\"",
        ),
        (
            "[[hub.chat.event_handlers]]\nulr = \"http://h\"",
            "did you mean `hub.chat.event_handlers[0].url`?",
        ),
        (
            "[hub.chat]\nevent_handlers = \"http://h\"",
            "expected tables, as in [[hub.chat.event_handlers]]",
        ),
    ] {
        std::fs::write(&path, table).unwrap();
        let checked = tieline(&["config", "check", path.to_str().unwrap()])
            .output()
            .unwrap();
        let text = String::from_utf8(checked.stderr).unwrap();
        let text = text.replace(&format!("{}/", folder.path().display()), "");
        assert_eq!(checked.status.code(), Some(2), "{text}");
        assert!(
            text.contains(expected) && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[test]
fn no_secret_of_a_table_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    let file = "[[hub.chat.event_handlers]]\nurl = \"http://h/x?code=hunter2\"\nbearer = { env = \"TOKEN\" }\n";
    std::fs::write(&path, file).unwrap();
    let mut command = tieline(&["config", "show", "--config", path.to_str().unwrap()]);
    let shown = command.env("TOKEN", "hunter2").output().unwrap().stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("hub.chat.event_handlers[0].url = \"http://h/x\""),
        "{shown}"
    );
    assert!(
        shown.contains("hub.chat.event_handlers[0].bearer = \"***\""),
        "{shown}"
    );
}
