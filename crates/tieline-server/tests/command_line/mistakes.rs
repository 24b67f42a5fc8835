//! A configuration with a mistake in each table: all are reported, by each that reads it.

use super::{
    kit::tieline,
    served::{ConfigFile, Served, output},
};

/// Each line of the file that is wrong, with what is said of it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "listen = [\"127.0.0.1:0\", \"localhost:1\"]",
        "`listen`: found \"localhost:1\"",
    ),
    (
        "public_endpoints = [\"example.org\"]",
        "invalid `public_endpoints`",
    ),
    ("listn = \"127.0.0.1:0\"", "did you mean `listen`?"),
    (
        "[keys]\nprimary = { file = \"short\" }",
        "invalid `keys.primary`",
    ),
    (
        "[aws]\naccess_key_id = \"A\"",
        "`aws.secret_access_key` need each other",
    ),
    ("[tls]\ncert = \"gone.pem\"", "`tls.key`"),
    (
        "[[tls.certificates]]\ncert = \"gone.pem\"",
        "`tls.certificates[0].key` is required",
    ),
    (
        "[proxy_protocol]\nfrom = [\"10.0.0.1/8\"]",
        "`proxy_protocol.from`",
    ),
    ("[forwarded]\nheader = \"via\"", "`forwarded.header`"),
    (
        "[cluster]\nregistry = \"redis://:hunter2@[bad\"",
        "invalid `cluster.registry`",
    ),
    (
        "listen = \"0.0.0.0:9300\"",
        "refusing to listen for peers on 0.0.0.0:9300",
    ),
    (
        "[hub_defaults]\nanonymous = \"yes\"",
        "`hub_defaults.anonymous`",
    ),
    (
        "[[hub_defaults.event_handlers]]\nconcurrency = 0",
        "event_handlers[0].concurrency`",
    ),
    (
        "[hub.chat]\nmax_message = \"1GiB\"",
        "`max_message` of `[hub.chat]`",
    ),
    (
        "[[hub.chat.event_handlers]]\nuser_events = \"a\"",
        "`hub.chat.event_handlers[0].url` is required",
    ),
    ("[pusher]\nmax_members = 0", "`pusher.max_members`"),
    ("[limits]\nmax_outbox = 100", "`limits.max_outbox`"),
    (
        "[times]\ndrain_window = \"60s\"",
        "`times.drain_timeout` is too small",
    ),
    (
        "[admin]\nlisten = \"0.0.0.0:9464\"",
        "refusing to listen for operators",
    ),
    ("[log]\nlevel = \"loud\"", "`log.level`"),
    (
        "[traces]\nendpoint = \"127.0.0.1:4317\"",
        "`traces.endpoint`",
    ),
    (
        "[[issuers]]\nissuer = \"https://id.example\"\nalgorithms = [\"ES256\"]",
        "`issuers[0].jwks` is required",
    ),
    (
        "[[pusher.app]]\nid = \"1\"\nkey = \"a\"\nsecret = { file = \"short\" }",
        "`pusher.app[0].secret`",
    ),
    (
        "[[pusher.app.webhooks]]\ntimeout = \"2m\"",
        "webhooks[0].timeout`",
    ),
    (
        "[[pusher.app]]\nid = \"1\"\nkey = \"b\"",
        "`pusher.app[1].id`",
    ),
];

#[test]
fn a_mistake_in_each_table_is_found_by_the_check_the_start_and_a_reload() {
    let file = ConfigFile::new("listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n");
    std::fs::write(file.folder.path().join("short"), "hunter2\n").unwrap();
    let served = Served::start(tieline(&["serve", "--config", file.path()]));
    let lines: Vec<_> = MISTAKES.iter().map(|(line, _)| *line).collect();
    file.write(&lines.join("\n"));
    let (checked, _, check) = output(tieline(&["config", "check", file.path()]));
    let (started, _, start) = output(tieline(&["serve", "--config", file.path()]));
    served.reload();
    let reload = served.line("nothing has changed");
    assert_eq!((checked, started), (Some(2), Some(2)));
    assert_eq!(check, start);
    for (line, expected) in MISTAKES {
        assert!(check.contains(expected), "{line}: {check}");
        assert!(reload.contains(expected), "{line}: {reload}");
    }
    for mistake in check.lines().skip(1) {
        assert!(reload.contains(mistake.trim()), "{mistake}: {reload}");
    }
    for text in [&check, &reload] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn what_the_registry_is_not_asked_for_is_refused_by_the_check() {
    for (cluster, expected) in [
        ("registry = \"redis://:hunter2@[bad\"", "a host is empty"),
        ("registry = \"redis://:hunter2@h:99999\"", "a port is not"),
        (
            "registry = \"redis+cluster://h\"\nprefix = \"a}{b\"",
            "invalid `cluster.prefix`",
        ),
        (
            "registry = \"etcds://h\"",
            "requires the certificate of its CA",
        ),
        ("registry = \"etcd://h,,h\"", "write an etcd URL as"),
        (
            "registry = \"redis://h\"\nregistry_ca = \"tieline.toml\"",
            "require a rediss:// URL",
        ),
    ] {
        let file = ConfigFile::new(&format!("[cluster]\n{cluster}\n"));
        for arguments in [
            ["config", "check", file.path()].as_slice(),
            &["serve", "--config", file.path()],
        ] {
            let (code, _, err) = output(tieline(arguments));
            assert_eq!(code, Some(2), "{cluster}: {err}");
            assert!(err.contains(expected) && !err.contains("hunter2"), "{err}");
        }
    }
}
