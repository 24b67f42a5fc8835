//! Which layer wins, and what hubs inherit.

use std::{path::PathBuf, time::Duration};

use tieline::Origins;

use super::{REGISTRY, load, settings};
use crate::config::{known::options, sections::hub::Anonymous, settings::Settings, text};

#[test]
fn flags_go_over_variables_over_the_file_over_defaults() {
    let file = "[limits]\nmax_groups = 1\nmax_fragments = 1\nmax_outbox_frames = 1";
    let variables = [
        ("TIELINE_MAX_GROUPS", "2"),
        ("TIELINE_LIMITS__MAX_FRAGMENTS", "2"),
    ];
    let (settings, values) = load(file, &variables, &[("max-groups", "3")]).unwrap();
    let limits = &settings.limits;
    assert_eq!(
        (
            limits.max_groups,
            limits.max_fragments,
            limits.max_outbox_frames
        ),
        (3, 2, 1)
    );
    assert_eq!(limits.max_header_fields, 100);
    let shown = text::in_force(&settings, &values);
    let line = |path: &str| {
        let line = shown.lines().find(|line| line.starts_with(path)).unwrap();
        line.split_once(" # ").unwrap().1.to_owned()
    };
    assert_eq!(line("limits.max_groups = 3"), "flag --max-groups");
    assert_eq!(
        line("limits.max_fragments = 2"),
        "environment TIELINE_LIMITS__MAX_FRAGMENTS"
    );
    assert!(line("limits.max_outbox_frames = 1").ends_with("t.toml:4"));
    assert_eq!(line("limits.max_header_fields = 100"), "default");
}

#[test]
fn flags_and_variables_of_a_list_are_for_its_first_table() {
    let handlers = |file: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]| {
        let (settings, _) = load(file, variables, flags).unwrap();
        let tables = settings.event_handlers.defaults().clone();
        let tables = tables.into_iter().flatten();
        let seen = tables.map(|table| (table.url.map(|url| url.to_string()), table.concurrency));
        seen.collect::<Vec<_>>()
    };
    let url = |text: &str| Some(text.to_owned());
    let variables = [("TIELINE_EVENT_HANDLER", "http://b/")];
    let flags = [("event-handler-concurrency", "3")];
    assert_eq!(handlers("", &[], &[]), []);
    assert_eq!(handlers("", &variables, &flags), [(url("http://b/"), 3)]);
    let file = "[[hub_defaults.event_handlers]]\nurl = \"http://a/\"\nconcurrency = 2\n";
    let first = (url("http://b/"), 2);
    let second = (url("http://a/"), 2);
    assert_eq!(handlers(&file.repeat(2), &variables, &[]), [first, second]);
    let none = "[hub_defaults]\nevent_handlers = []";
    assert_eq!(handlers(none, &variables, &[]), [(url("http://b/"), 64)]);
}

#[test]
fn hubs_have_tables_over_that_of_all() {
    let file = "[hub_defaults]\nanonymous = \"never\"\norigins = [\"https://a\", \"https://b\"]\n\
                [hub.Chat]\norigins = [\"https://c\"]\n[hub.news]\nanonymous = \"anyone\"";
    let settings = settings(file);
    let of = |hub| {
        let hub = settings.hubs.of(hub).unwrap();
        let Origins::List(origins) = hub.origins() else {
            panic!("a list is no rule");
        };
        (hub.anonymous.unwrap(), origins.join(" "))
    };
    assert_eq!(
        of("chat"),
        (Anonymous::Never, "https://c".into()),
        "a list replaces the list"
    );
    assert_eq!(
        of("news"),
        (Anonymous::Anyone, "https://a https://b".into())
    );
    assert_eq!(
        of("other"),
        (Anonymous::Never, "https://a https://b".into())
    );
    assert!(settings.hubs.of("other").is_some());
}

#[test]
fn hubs_without_a_table_may_be_refused() {
    let settings = settings("only_listed_hubs = true\n[hub.chat]");
    assert!(settings.hubs.of("chat").is_some() && settings.hubs.of("other").is_none());
    let variable = [("TIELINE_HUB__NEWS__ANONYMOUS", "anyone")];
    let (settings, _) = load("", &variable, &[]).unwrap();
    assert_eq!(
        settings.hubs.of("news").unwrap().anonymous,
        Some(Anonymous::Anyone)
    );
}

#[test]
fn units_are_read_in_every_layer() {
    let file =
        "[limits]\nmax_message = \"64k\"\nmax_outbox = 2000000\n[times]\nping_interval = \"250ms\"";
    let flags = [("ping-timeout", "7"), ("drain-window", "1m")];
    let (settings, _) = load(file, &[("TIELINE_CLOSE_TIMEOUT", "2s")], &flags).unwrap();
    assert_eq!(settings.limits.max_message.0, 65_536);
    assert_eq!(settings.limits.max_outbox.0, 2_000_000);
    let times = &settings.times;
    assert_eq!(times.ping_interval, Duration::from_millis(250));
    assert_eq!(
        times.ping_timeout,
        Duration::from_secs(7),
        "seconds, as flags have always been"
    );
    assert_eq!(times.close_timeout, Duration::from_secs(2));
    assert_eq!(times.drain_window, Duration::from_mins(1));
}

#[test]
fn rust_log_is_weaker_than_the_variable_of_its_own() {
    let level = options()
        .find(|option| option.path() == "log.level")
        .unwrap();
    let both = [("RUST_LOG", "warn"), ("TIELINE_LOG_LEVEL", "debug")];
    let (_, values) = load("[log]\nlevel = \"error\"", &both, &[]).unwrap();
    assert_eq!(values.shown(level, None).unwrap().0, "\"debug\"");
    let (_, values) = load("[log]\nlevel = \"error\"", &both[..1], &[]).unwrap();
    assert_eq!(values.shown(level, None).unwrap().0, "\"warn\"");
}

#[test]
fn paths_of_a_file_are_relative_to_its_folder() {
    let (settings, _) = load(
        "[tls]\ncert = \"a.pem\"",
        &[("TIELINE_TLS_KEY", "b.pem")],
        &[],
    )
    .unwrap();
    assert!(settings.tls.cert.unwrap().is_absolute());
    assert_eq!(settings.tls.key, Some(PathBuf::from("b.pem")));
}

#[test]
fn a_change_is_one_of_values_not_of_texts() {
    let file = |ping: &str, origin: &str| {
        format!(
            "[times]\nping_timeout = \"{ping}\"\n[cluster]\n{REGISTRY}secret = {{ env = \"S\" }}\n\
             [hub.chat]\norigins = [\"https://{origin}\"]"
        )
    };
    let load = |file: &str, secret| load(file, &[("S", secret)], &[]).unwrap().0;
    let old = load(&file("60s", "a"), "hunter2");
    let changes = |new: &Settings| {
        let changes = old.changes(new).into_iter();
        changes.map(|(place, _)| place).collect::<Vec<_>>()
    };
    assert_eq!(changes(&load(&file("1m", "a"), "hunter2")), [""; 0]);
    let new = load(&file("61s", "b"), "hunter3");
    let expected = ["cluster.secret", "times.ping_timeout", "hub.chat.origins"];
    assert_eq!(changes(&new), expected);
    let moved = load(&file("60s", "a").replace("hub.chat", "hub.news"), "hunter2");
    let expected = ["hub.chat.origins", "hub.news.origins"];
    assert_eq!(changes(&moved), expected);
    let everywhere = load(
        &file("60s", "a").replace("hub.chat", "hub_defaults"),
        "hunter2",
    );
    assert_eq!(
        changes(&everywhere),
        ["hub_defaults.origins", "hub.chat"],
        "the table says what holds without it"
    );
}

#[test]
fn lists_of_tables_are_read_and_their_mistakes_are_named() {
    let issuer = |name: &str| {
        format!(
            "[[issuers]]\nissuer = \"{name}\"\njwks = \"/j\"\nalgorithms = [\"ES256\", \"EdDSA\"]\n"
        )
    };
    let file = issuer("a") + &issuer("b");
    let (settings, values) = load(&file, &[], &[]).unwrap();
    let names: Vec<_> = settings
        .issuers
        .iter()
        .map(|table| table.issuer.as_deref())
        .collect();
    assert_eq!(names, [Some("a"), Some("b")]);
    assert_eq!(settings.issuers[1].algorithms.len(), 2);
    let shown = text::in_force(&settings, &values);
    let expected = "issuers[1].algorithms = [\"ES256\", \"EdDSA\"]";
    assert!(shown.contains(expected), "{shown}");

    let renamed = load(&file.replace("\"b\"", "\"c\""), &[], &[]).unwrap().0;
    let changes = settings.changes(&renamed);
    assert_eq!(changes[0].0, "issuers[1].issuer");
    let fewer = load(&issuer("a"), &[], &[]).unwrap().0;
    assert_eq!(settings.changes(&fewer)[0].0, "issuers");
}
