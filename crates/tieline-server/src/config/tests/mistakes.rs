//! What is refused, and what the error says.

use super::{REGISTRY, error, load};

#[test]
fn a_weaker_layer_is_checked_all_the_same() {
    let file = "[limits]\nmax_groups = true";
    let error = load(file, &[], &[("max-groups", "3")]).err().unwrap();
    assert_eq!(
        error,
        "t.toml:2: invalid `limits.max_groups`: found true, expected a whole number"
    );
}

#[test]
fn two_variables_of_one_option_are_refused() {
    let variables = [("TIELINE_LEASE", "2"), ("TIELINE_CLUSTER__LEASE", "3s")];
    let error = load("[cluster]\nregistry = \"redis://h\"", &variables, &[])
        .err()
        .unwrap();
    let both =
        "environment TIELINE_CLUSTER__LEASE and environment TIELINE_LEASE both set `cluster.lease`";
    assert!(error.starts_with(both), "{error}");
}

#[test]
fn mistakes_are_named_with_what_was_meant() {
    for (file, expected) in [
        (
            "[limits]\nmax_mesage = 1",
            "t.toml:2: unknown key `limits.max_mesage`; did you mean `limits.max_message`?",
        ),
        (
            "[limits]\nmax-message = 1",
            "t.toml:2: unknown key `limits.max-message`; did you mean `limits.max_message`?",
        ),
        (
            "max_message = 1",
            "t.toml:1: unknown key `max_message`; did you mean `limits.max_message`?",
        ),
        (
            "peers_listen = 1",
            "t.toml:1: unknown key `peers_listen`; did you mean `cluster.listen`?",
        ),
        (
            "[limit]\nx = 1",
            "t.toml:1: unknown key `limit`; did you mean `limits`?",
        ),
        (
            "[hub.a]\norigin = []",
            "t.toml:2: unknown key `hub.a.origin`; did you mean `hub.a.origins`?",
        ),
        (
            "colour = 1",
            "t.toml:1: unknown key `colour`; `tieline config default` lists all",
        ),
        (
            "[times]\nping_timeout = 20",
            "t.toml:2: invalid `times.ping_timeout`: found the number 20, expected a duration with a unit, such as \
             \"10s\", \"250ms\" or \"1h\"",
        ),
        (
            "[hub_defaults]\nanonymous = \"yes\"",
            "t.toml:2: invalid `hub_defaults.anonymous`: found \"yes\", expected \"never\", \"loopback\" or \"anyone\"; \
             did you mean \"anyone\"?",
        ),
        (
            "limits = 1",
            "t.toml:1: invalid `limits`: expected a table, as in [limits]",
        ),
        (
            "hub = \"chat\"",
            "t.toml:1: invalid `hub`: expected a table for each hub, as in [hub.chat]",
        ),
        (
            "[hub.\"a b\"]",
            "t.toml:1: invalid `hub.a b`: a hub name starts with a letter",
        ),
        (
            "[hub.A]\n[hub.a]",
            "t.toml:2: invalid `hub.a`: names are compared in lower case",
        ),
        ("[limits", "t.toml:1: unclosed table"),
    ] {
        let error = error(file);
        assert!(error.starts_with(expected), "{file:?}: {error}");
    }
}

#[test]
fn only_the_word_itself_lets_anyone_in() {
    let refused = |text: &str, meant: &str| {
        let error = load("", &[("TIELINE_ANONYMOUS", text)], &[]).err().unwrap();
        let found =
            format!("found {text:?}, expected \"never\", \"loopback\" or \"anyone\"{meant}");
        assert!(error.ends_with(&found), "{error}");
    };
    for text in ["yes", "true", "1", "on", "Anyone", "anyon"] {
        refused(text, "; did you mean \"anyone\"?");
    }
    for text in ["no", "false", "0", "Never"] {
        refused(text, "; did you mean \"never\"?");
    }
    refused("nobody at all", "");
}

#[test]
fn all_mistakes_are_reported_at_once_and_in_order() {
    let error = error("b = 1\na = 1\n[log]\nlevel = 3\nformat = \"xml\"");
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines[0], "4 errors in the configuration:");
    for (line, at) in lines[1..]
        .iter()
        .zip(["1: unknown key `b`", "2: ", "4: ", "5: "])
    {
        assert!(line.starts_with(&format!("  t.toml:{at}")), "{line}");
    }
}

#[test]
fn variables_with_a_table_are_refused_if_unknown_and_others_are_not() {
    let error = load("", &[("TIELINE_CLUSTR__LEASE", "1s")], &[])
        .err()
        .unwrap();
    assert!(
        error.contains("did you mean `TIELINE_CLUSTER__LEASE`?"),
        "{error}"
    );
    let foreign = [
        ("TIELINE_SERVICE_HOST", "10.0.0.1"),
        ("TIELINE_PORT", "tcp://10.0.0.1:80"),
    ];
    assert_eq!(load("", &foreign, &[]).unwrap().1.warnings, [""; 0]);
    let warnings = load("", &[("TIELINE_LISTN", "x")], &[]).unwrap().1.warnings;
    assert_eq!(
        warnings,
        ["unknown variable TIELINE_LISTN; did you mean `TIELINE_LISTEN`?"]
    );
}

#[test]
fn options_of_a_cluster_need_a_registry_unless_it_was_taken_away() {
    let error = error("[cluster]\nlease = \"5s\"");
    assert_eq!(
        error,
        "`cluster.lease` (t.toml:2) needs `cluster.registry`: without it, the node is in no cluster"
    );
    let file = format!("[cluster]\n{REGISTRY}lease = \"5s\"");
    let (settings, _) = load(&file, &[], &[("registry", "")]).unwrap();
    assert!(settings.cluster.registry.is_none());
    load("[cluster]\nplaintext = false", &[], &[]).unwrap();
}
