//! What tells a handler who asks: headers with secrets.

use std::{io::Write, net::TcpListener, process::Command};

use super::{
    ack, event,
    handler::{Handler, Reply},
};
use crate::kit::{Client, Server, tieline};

/// A file with a secret.
fn secret(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// A configuration file, checked or shown.
fn config(action: &[&str], file: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, file).unwrap();
    std::fs::write(folder.path().join("key"), "hunter2\n").unwrap();
    std::fs::write(folder.path().join("lines"), "hunter2\nhunter3").unwrap();
    let mut command = tieline(&[action, &[path.to_str().unwrap()]].concat());
    let output = command.env("HANDLER_KEY", "hunter2").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_handler_gets_its_headers_with_each_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let agreed = "WebHook-Allowed-Origin: *\r\n";
    let handler = Handler::on(listener, false, move |_| {
        Reply::Http(200, agreed.into(), Vec::new())
    });
    let key = secret("hunter2\n");
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[[hub_defaults.event_handlers]]\nurl = \"{}\"\nsystem_events = []\n\
         [hub_defaults.event_handlers.headers]\nX-Functions-Key = {{ file = {:?} }}\n\
         x-tenant = {{ env = \"HANDLER_TENANT\" }}\n",
        handler.url("/"),
        key.path(),
    );
    let file = secret(&text);
    let mut command: Command = tieline(&["serve", "--config", file.path().to_str().unwrap()]);
    command.env("HANDLER_TENANT", "t1");
    let server = Server::start(command, drop);
    let mut client = super::connect(&server);
    client.send(&event("e", 1, "x"));
    assert_eq!(client.text(), ack(1));
    let asked = handler.next();
    assert_eq!(asked.method, "OPTIONS");
    for seen in [asked, handler.expect("e")] {
        assert_eq!(seen.header("x-functions-key"), "hunter2");
        assert_eq!(seen.header("x-tenant"), "t1");
        assert!(!seen.headers.contains_key("authorization"));
    }
}

#[test]
fn flags_go_over_the_first_table_option_by_option() {
    let handler = Handler::start(|_| Reply::nothing());
    let key = secret("from-a-flag");
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[[hub_defaults.event_handlers]]\nurl = \"http://127.0.0.1:9/\"\n\
         user_events = \"a\"\nsystem_events = []\n\
         [[hub_defaults.event_handlers]]\nurl = \"{}\"\nsystem_events = []\n",
        handler.url("/second"),
    );
    let file = secret(&text);
    let header = format!("authorization={}", key.path().to_str().unwrap());
    let url = handler.url("/first");
    let server = Server::serve(&[
        "serve",
        "--config",
        file.path().to_str().unwrap(),
        "--event-handler",
        &url,
        "--event-handler-header-file",
        &header,
    ]);
    let mut client: Client = super::connect(&server);
    for (id, name, path, authorization) in
        [(1, "a", "/first", "from-a-flag"), (2, "b", "/second", "")]
    {
        client.send(&event(name, id, "x"));
        assert_eq!(client.text(), ack(id));
        let seen = handler.expect(name);
        assert_eq!(
            (&*seen.path, seen.header("authorization")),
            (path, authorization)
        );
    }
}

#[test]
fn headers_are_shown_by_name_alone() {
    let file = "[[hub.chat.event_handlers]]\nurl = \"http://h\"\n\
                headers = { \"X-Functions-Key\" = { file = \"key\" }, b = { env = \"HANDLER_KEY\" } }\n";
    let (code, text) = config(&["config", "show", "--config"], file);
    assert_eq!(code, Some(0), "{text}");
    let line = r#"headers = { "x-functions-key" = "***", "b" = "***" }"#;
    let other = r#"headers = { "b" = "***", "x-functions-key" = "***" }"#;
    assert!(text.contains(line) || text.contains(other), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_header_that_cannot_be_sent_is_refused_without_its_value() {
    for (headers, expected) in [
        (r#"{ a = "hunter2" }"#, "a secret is not written here"),
        (r#"{ a = { file = "none" } }"#, "cannot read"),
        (
            r#"{ "a b" = { file = "key" } }"#,
            "is not the name of a header",
        ),
        (
            r#"{ a = { file = "key" }, A = { file = "key" } }"#,
            "a is there twice",
        ),
        (
            r#"{ a = { file = "lines" } }"#,
            "that of a must be visible ASCII",
        ),
        (r#"{ ce-id = { file = "key" } }"#, "must not have ce-id"),
        (r#"{ Host = { file = "key" } }"#, "must not have host"),
        (
            "{ authorization = { file = \"key\" } }\nbearer = { file = \"key\" }",
            "is the header authorization, which is also in `headers`",
        ),
    ] {
        let file =
            format!("[[hub.chat.event_handlers]]\nurl = \"http://h\"\nheaders = {headers}\n");
        let (code, text) = config(&["config", "check"], &file);
        assert!(code.is_some_and(|code| code > 0), "{headers}: {text}");
        assert!(text.contains("hub.chat.event_handlers[0]"), "{text}");
        assert!(
            text.contains(expected) && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    let (code, text) = crate::kit::run(&[
        "serve",
        "--event-handler",
        "http://h",
        "--event-handler-header-file",
        "hunter2",
    ]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("invalid --event-handler-header-file"),
        "{text}"
    );
    assert!(
        text.contains("NAME=FILE") && !text.contains("hunter2"),
        "{text}"
    );
    let (code, text) = crate::kit::run(&["serve", "--event-handler-concurrency", "2"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--event-handler is required"), "{text}");
}
