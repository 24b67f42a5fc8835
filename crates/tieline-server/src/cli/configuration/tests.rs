//! All mistakes of a configuration are found at once, and nothing that follows from them.

use super::*;

/// What is wrong with a file, one after the other.
fn mistakes(file: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("t.toml", file);
    write("short", "hunter2\n");
    write("empty", " \r\n");
    write("long", &format!("\u{feff}{}\r\n", "k".repeat(40)));
    write("spaced", "hunter2 with spaces in it\n");
    let layers = Layers {
        file: Some(folder.path().join("t.toml")),
        flags: Vec::new(),
        is_used: |_| true,
    };
    let Err(error) = check(&layers) else {
        return Vec::new();
    };
    let text = format!("{error:#}").replace(&format!("{}/", folder.path().display()), "");
    assert!(!text.contains("hunter2"), "{text}");
    match text.split_once(" errors in the configuration:\n") {
        Some((_, all)) => all.lines().map(|line| line.trim().to_owned()).collect(),
        None => vec![text],
    }
}

#[track_caller]
fn finds(file: &str, expected: &[&str]) {
    let found = mistakes(file);
    for text in expected {
        let is_there = found.iter().any(|mistake| mistake.contains(text));
        assert!(is_there, "{text:?} is missing in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn listeners() {
    finds(
        "listen = [\"localhost:80\", \"127.0.0.1:8080\", \"unix:\"]",
        &["`listen`: found \"localhost:80\" and \"unix:\", expected IP address"],
    );
    finds(
        "listen = [\"127.0.0.1:80\", \"127.0.0.1:80\", \"https://127.0.0.1:81\", \"0.0.0.0:81\"]",
        &[
            "has 127.0.0.1:80 twice",
            "`listen` (t.toml:1) needs a certificate",
            "refusing to listen on 0.0.0.0:81",
            "0.0.0.0:81 and 127.0.0.1:81 of `listen` (t.toml:1) cannot both be opened",
        ],
    );
    finds(
        "public_endpoints = [\"example.org\", \"ftp://h\"]\nevent_handler_origin = \"https://h\"",
        &["\"example.org\"", "\"ftp://h\"", "`event_handler_origin`"],
    );
}

#[test]
fn keys_and_issuers() {
    finds(
        "[keys]\nprimary = { file = \"short\" }\nsecondary = { file = \"short\" }\n[aws]\naccess_key_id = \"a/b\"\n\
         secret_access_key = { file = \"short\" }",
        &[
            "invalid `keys.primary` (t.toml:2): the key has 7 bytes",
            "invalid `keys.secondary` (t.toml:3): the key has 7 bytes",
            "`aws.access_key_id` (t.toml:5) must be of letters",
            "`aws.secret_access_key` (t.toml:6) is invalid: the key has 7 bytes",
        ],
    );
    finds(
        "[[issuers]]\nrefresh = \"0s\"\n[[issuers]]\nissuer = \"i\"\njwks = \"gone\"\nalgorithms = [\"ES256\"]\n\
         [[issuers]]\nissuer = \"i\"\njwks = \"short\"\nca = \"gone\"\nalgorithms = [\"HS256\", \"none\"]",
        &[
            "`issuers[0].issuer` is required",
            "`issuers[0].jwks` is required",
            "`issuers[0].algorithms` is required",
            "`issuers[0].refresh` (t.toml:2) must be at least 1s",
            "`issuers[1].jwks` (t.toml:5) cannot be used: cannot read gone",
            "`issuers[2].ca` (t.toml:10) has no effect",
            "`issuers[2].algorithms`: found \"HS256\" and \"none\"",
        ],
    );
}

#[test]
fn certificates() {
    finds(
        "[tls]\ncert = \"gone.pem\"\nkey = \"gone.key\"\nclient_user = \"cn\"\n[[tls.certificates]]\ncert = \"a\"\n\
         [[tls.certificates]]",
        &[
            "`tls.cert` (t.toml:2): cannot read gone.pem",
            "`tls.key` (t.toml:3): cannot read gone.key",
            "`tls.client_user` (t.toml:4) needs `tls.client_ca`",
            "`tls.certificates[0].key` is required",
            "`tls.certificates[1].cert` is required",
            "`tls.certificates[1].key` is required",
        ],
    );
    finds(
        "[tls]\nclient_ca = \"gone\"",
        &[
            "`tls.client_ca` (t.toml:2) needs `tls.cert`",
            "cannot read gone",
        ],
    );
}

#[test]
fn operators() {
    finds(
        "[admin]\nlisten = \"0.0.0.0:9464\"\ntls = true",
        &[
            "refusing to listen for operators",
            "`admin.tls` (t.toml:3) needs `tls.cert`",
        ],
    );
    finds(
        "listen = \"0.0.0.0:80\"\n[admin]\nlisten = \"127.0.0.1:80\"\ntoken = { file = \"short\" }\n\
         [hub_defaults]\nanonymous = \"anyone\"",
        &[
            "invalid `admin.token` (t.toml:4): it needs at least 16",
            "`admin.listen` (t.toml:3) is the address of clients",
        ],
    );
}

#[test]
fn hubs_and_their_event_handlers() {
    finds(
        "[hub_defaults]\nmax_message_rate = 0\n[[hub_defaults.event_handlers]]\nurl = \"http://h\"\nconcurrency = 0\n\
         event_timeout = \"0s\"\n[hub.a]\nmax_message = \"1GiB\"\n[[hub.a.event_handlers]]\nbearer = { file = \"long\" }\n\
         headers = { authorization = { file = \"short\" }, host = { file = \"short\" }, ce-id = { file = \"short\" } }\n\
         [hub.a.other]\n[hub.\"a b\"]",
        &[
            "a rate of `[hub_defaults]` is zero",
            "a rate of `[hub.a]` is zero",
            "`max_message` of `[hub.a]` is more",
            "`hub_defaults.event_handlers[0].concurrency` (t.toml:5) must be 1 to 65536",
            "`hub_defaults.event_handlers[0].event_timeout` (t.toml:6) must be above zero",
            "`hub.a.event_handlers[0].url` is required",
            "must not have host",
            "must not have ce-id",
            "`hub.a.event_handlers[0].bearer` (t.toml:10) is the header authorization",
            "unknown key `hub.a.other`",
            "invalid `hub.a b`",
        ],
    );
}

#[test]
fn limits_times_and_the_log() {
    finds(
        "[limits]\nmax_outbox = 100\nmax_groups = \"many\"\nmax_connect_rate_per_address = 0\n[times]\n\
         drain_window = \"60s\"\nping_interval = 20\nclose_timeout = \"0s\"\n[log]\nlevel = \"loud\"\nformat = \"xml\"\n\
         [traces]\nendpoint = \"127.0.0.1:4317\"\nsample_ratio = 2\n[proxy_protocol]\nfrom = [\"10.0.0.1/8\", \"x\"]\n\
         [forwarded]\nheader = \"via\"",
        &[
            "`limits.max_outbox` (t.toml:2) is too small",
            "`limits.max_groups`: found a string",
            "a rate of `[limits]` is zero",
            "`times.drain_timeout` is too small",
            "`times.ping_interval`: found the number 20",
            "`times.close_timeout` (",
            "`log.level`: found \"loud\"",
            "`log.format`: found \"xml\"",
            "`traces.endpoint`: expected a URL",
            "`traces.sample_ratio`: found \"2\"",
            "`proxy_protocol.from`: found \"10.0.0.1/8\" and \"x\"",
            "`forwarded.header`: found \"via\"",
        ],
    );
}

#[test]
fn apps_and_their_webhooks() {
    finds(
        "[pusher]\nactivity_timeout = \"500ms\"\nmax_members = 0\nmember_grace = \"2h\"\n\
         [[pusher.app]]\nid = \"1\"\nkey = \"a\"\nsecret = { file = \"short\" }\ncache_expiry = \"0s\"\n\
         [[pusher.app.webhooks]]\ntimeout = \"2m\"\nconcurrency = 0\nca = \"gone\"\n\
         [[pusher.app]]\nid = \"1\"\nkey = \"a/b\"\nmax_members = 0\n\
         [[pusher.app.webhooks]]\nurl = \"ftp://h\"\nevents = [\"all\", \"none\"]",
        &[
            "`pusher.activity_timeout` (t.toml:2) must be whole seconds",
            "`pusher.max_members` (t.toml:3) is zero",
            "`pusher.member_grace` (t.toml:4) must be at most 1h",
            "`pusher.app[0].secret` (t.toml:8) has 7 bytes",
            "`pusher.app[0].cache_expiry` (t.toml:9) must be 1s to 24h",
            "`pusher.app[0].webhooks[0].url` is required",
            "`pusher.app[0].webhooks[0].timeout` (t.toml:11)",
            "`pusher.app[0].webhooks[0].concurrency` (t.toml:12)",
            "`pusher.app[0].webhooks[0].ca` (t.toml:13) cannot be used: cannot read gone",
            "`pusher.app[1].id` (t.toml:15) is also that of `pusher.app[0]`",
            "`pusher.app[1].key` (t.toml:16) must be of letters",
            "`pusher.app[1].secret` is required",
            "`pusher.app[1].max_members` (t.toml:17) is zero",
            "`pusher.app[1].webhooks[0].url`: expected a URL",
            "`pusher.app[1].webhooks[0].events`: found \"all\" and \"none\"",
        ],
    );
    finds(
        "only_listed_hubs = true\n[hub.chat]\n[[pusher.app]]\nid = \"1\"\nkey = \"a\"\nsecret = { file = \"long\" }\n\
         hub = \"chta\"",
        &["`pusher.app[0].hub` (t.toml:7) names a hub that does not exist"],
    );
}

#[test]
fn the_cluster_and_its_registry() {
    finds(
        "[cluster]\nregistry = \"redis://:hunter2@[bad\"\nprefix = \"}{\"\nlisten = \"127.0.0.1:8080\"\n\
         advertise = \"fd00::5:9300\"\nlease = \"1ms\"\nregistry_timeout = \"1ms\"\nmax_link_queue = 1\n\
         max_peer_connections = 0\nsecret = { file = \"spaced\" }\nregistry_cert = \"gone\"\nregistry_ca = \"short\"",
        &[
            "invalid `cluster.registry` (t.toml:2): a host is empty",
            "of `cluster.listen` (t.toml:4) is the address of clients",
            "invalid `cluster.advertise` (t.toml:5)",
            "`cluster.lease` (t.toml:6)",
            "`cluster.registry_timeout` (t.toml:7)",
            "`cluster.max_link_queue` (t.toml:8) is too small",
            "`cluster.max_peer_connections` (t.toml:9)",
            "invalid `cluster.secret` (t.toml:10)",
            "`cluster.registry_cert` (t.toml:11): cannot read gone",
            "`cluster.registry_cert` (t.toml:11) and `cluster.registry_key` need each other",
        ],
    );
    finds(
        "[cluster]\nregistry = \"etcds://h\"\nprefix = \"!\"\nlisten = \"0.0.0.0:9300\"\ntls_cert = \"gone\"\n\
         tls_key = \"short\"\ntls_ca = \"gone\"\nadmit_go_nodes = true",
        &[
            "invalid `cluster.prefix` (t.toml:3)",
            "etcds:// requires the certificate of its CA",
            "`cluster.tls_cert` (t.toml:5): cannot read gone",
            "`cluster.tls_ca` (t.toml:7): cannot read gone",
            "`cluster.admit_go_nodes` (t.toml:8) cannot be used",
        ],
    );
    finds(
        "[cluster]\nregistry = \"redis://h\"\nlisten = \"0.0.0.0:9300\"\nregistry_ca = \"short\"",
        &[
            "refusing to listen for peers",
            "certificates require a rediss:// URL",
        ],
    );
    finds(
        "[cluster]\nregistry = \"rediss://h\"\nregistry_ca = \"short\"",
        &["invalid certificates for a registry"],
    );
}

/// Files with one mistake that others could follow from, and what is said of it.
const ONE_MISTAKE: &[(&str, &str)] = &[
    (
        "listen = \"0.0.0.0:80\"\n[keys]\nprimary = { file = \"gone\" }",
        "cannot read gone",
    ),
    (
        "listen = \"0.0.0.0:80\"\n[key]\nprimary = { file = \"long\" }",
        "unknown key `key`",
    ),
    (
        "listen = \"0.0.0.0:80\"\n[hub_defaults]\nanonymous = \"yes\"",
        "`hub_defaults.anonymous`",
    ),
    (
        "listen = \"0.0.0.0:80\"\n[hub_defaults]\nanonymus = \"anyone\"",
        "unknown key",
    ),
    (
        "listen = \"0.0.0.0:80\"\n[[issuers]]\nissuer = \"i\"\njwks = \"http://h/k\"\nalgorithms = [\"ES256\"]",
        "`issuers[0].jwks`: use https",
    ),
    (
        "[tls]\ncert = 1\nkey = \"short\"",
        "`tls.cert`: found the number 1",
    ),
    (
        "[tls]\ncrt = \"short\"\nkey = \"short\"",
        "unknown key `tls.crt`",
    ),
    (
        "listen = \"https://127.0.0.1:80\"\n[tls]\ncert = 1\nkey = 1",
        "`tls.",
    ),
    (
        "[admin]\nlisten = \"0.0.0.0:1\"\ntoken = { file = \"empty\" }",
        "empty is empty",
    ),
    (
        "[cluster]\nregistry = 5\nlease = \"5s\"",
        "`cluster.registry`",
    ),
    (
        "[cluster]\nregistri = \"redis://h\"\nlease = \"5s\"",
        "unknown key `cluster.registri`",
    ),
    (
        "[cluster]\nregistry = \"redis://h\"\nlisten = \"0.0.0.0:1\"\nplaintext = \"yes\"",
        "`cluster.plaintext`",
    ),
    (
        "only_listed_hubs = true\n[hub.\"a b\"]",
        "invalid `hub.a b`",
    ),
    (
        "[[pusher.app]]\nid = 5\nkey = \"a\"\nsecret = { file = \"long\" }",
        "`pusher.app[0].id`: found the number 5",
    ),
    (
        "[limits]\nmax_message = \"4MiB\"\nmax_outbox = \"lots\"",
        "`limits.max_outbox`",
    ),
    ("listen = \"0.0.0.0:80\"\n[limits", "t.toml:2: "),
];

#[test]
fn nothing_follows_from_what_is_refused() {
    for (file, only) in ONE_MISTAKE {
        let found = mistakes(file);
        let refused = found.iter().filter(|mistake| mistake.contains(only));
        assert_eq!(refused.count(), found.len(), "{file}: {found:#?}");
        assert!(!found.is_empty(), "{file}");
    }
}

#[test]
fn what_editors_add_to_a_key_does_not_count() {
    let crlf_and_mark = "[keys]\nprimary = { file = \"long\" }\nsecondary = { file = \"long\" }";
    assert_eq!(mistakes(crlf_and_mark), [""; 0]);
    let file = "\u{feff}[limits]\r\nmax_groups = 5\r\n";
    assert_eq!(mistakes(file), [""; 0]);
}
