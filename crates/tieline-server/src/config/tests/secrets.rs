//! Where secrets come from, and that nothing shows them.

use super::{REGISTRY, error, load};
use crate::config::text;

#[test]
fn secrets_come_from_files_and_variables() {
    let file = |secret: &str| format!("[cluster]\n{REGISTRY}{secret}");
    let by_file = file("secret = { file = \"secret\" }");
    let by_variable = file("secret = { env = \"OTHER\" }");
    let none = file("");
    let relative = [("TIELINE_CLUSTER__SECRET", "hunter2")];
    for (file, variables) in [
        (&by_file, &[][..]),
        (&by_variable, &[("OTHER", "hunter2")]),
        (&none, &relative),
        (&none, &[("TIELINE_PEER_SECRET", "hunter2")]),
    ] {
        let (settings, values) = load(file, variables, &[]).unwrap();
        let secret = settings.cluster.secret.as_ref().unwrap();
        assert_eq!(secret.expose(), "hunter2", "{file}");
        let shown = format!("{settings:?}{secret}{}", text::in_force(&settings, &values));
        assert!(
            shown.contains("***") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

#[test]
fn what_a_secret_names_must_be_there() {
    for (secret, expected) in [
        (
            "{ file = \"gone\" }",
            "t.toml:3: invalid `cluster.secret`: cannot read gone: ",
        ),
        (
            "{ file = \"empty\" }",
            "t.toml:3: invalid `cluster.secret`: empty is empty",
        ),
        (
            "{ env = \"GONE\" }",
            "t.toml:3: invalid `cluster.secret`: the variable GONE is not set",
        ),
        (
            "{ path = \"x\" }",
            "t.toml:3: invalid `cluster.secret`: unknown key `path`; expected `file` or `env`",
        ),
        (
            "{ file = \"a\", env = \"b\" }",
            "t.toml:3: invalid `cluster.secret`: expected one of",
        ),
        (
            "\"hunter2\"",
            "t.toml:3: invalid `cluster.secret`: a secret is not written here",
        ),
        (
            "271828",
            "t.toml:3: invalid `cluster.secret`: a secret is not written here",
        ),
    ] {
        let error = error(&format!("[cluster]\n{REGISTRY}secret = {secret}"));
        assert!(error.starts_with(expected), "{error}");
        assert!(
            !error.contains("hunter2") && !error.contains("271828"),
            "{error}"
        );
    }
}

#[test]
fn no_error_shows_a_password() {
    for file in [
        "[cluster]\nregistry = \"mysql://:hunter2@h\"",
        "[cluster]\nregistry = \"redis://:hunter2@h",
        "[cluster]\nsecret = \"hunter2\" \"",
        "[cluster]\nregistry = [\"redis://:hunter2@h\"]",
    ] {
        let error = error(file);
        assert!(
            error.contains("t.toml:2") && !error.contains("hunter2"),
            "{error}"
        );
    }
    let (settings, values) =
        load("[cluster]\nregistry = \"redis://me:hunter2@h\"", &[], &[]).unwrap();
    let shown = format!("{settings:?}{}", text::in_force(&settings, &values));
    assert!(
        shown.contains("redis://h") && !shown.contains("hunter2"),
        "{shown}"
    );
}
