//! The configuration: its layers by their effect, the commands that explain it, and its reload.

use std::time::{Duration, Instant};

use super::{
    kit::{DEADLINE, tieline},
    served::{ConfigFile, Served, output},
};

const FREE_PORT: &str = "listen = \"127.0.0.1:0\"\n";
const FOREIGN_HOST: &str = "Host: example.org\r\n";

/// What the origins of each layer let in.
#[test]
fn flags_go_over_variables_over_the_file() {
    let file = ConfigFile::new(&format!(
        "{FREE_PORT}[hub_defaults]\norigins = [\"https://file.example\"]\n"
    ));
    let serve =
        |arguments: &[&str]| tieline(&[&["serve", "--config", file.path()], arguments].concat());
    let from_file = serve(&[]);
    let mut from_variable = serve(&[]);
    let variable = ("TIELINE_HUB_DEFAULTS__ORIGINS", "https://variable.example");
    from_variable.env(variable.0, variable.1);
    let mut from_flag = serve(&["--origin", "https://flag.example"]);
    from_flag.env(variable.0, variable.1);
    for (command, strongest) in [
        (from_file, "file"),
        (from_variable, "variable"),
        (from_flag, "flag"),
    ] {
        let served = Served::start(command);
        for layer in ["file", "variable", "flag"] {
            let headers = format!("Host: localhost\r\nOrigin: https://{layer}.example\r\n");
            let expected = if layer == strongest { 101 } else { 403 };
            assert_eq!(served.upgrade(&headers), expected, "{layer}, {strongest}");
        }
    }
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let file = ConfigFile::new(&format!("{FREE_PORT}[hub.chat]\nanonymous = \"anyone\"\n"));
    let mut command = tieline(&["serve"]);
    command.env("TIELINE_CONFIG", file.path());
    assert_eq!(Served::start(command).upgrade(FOREIGN_HOST), 101);
}

#[test]
fn the_default_file_passes_the_check() {
    let (code, file, _) = output(tieline(&["config", "default"]));
    assert_eq!(code, Some(0));
    let lines = file.lines().map(|line| match line.strip_prefix('#') {
        Some(option) if option.starts_with(|c: char| c.is_ascii_lowercase()) => option,
        _ => line,
    });
    let uncommented = ConfigFile::new(&lines.collect::<Vec<_>>().join("\n"));
    let (code, out, err) = output(tieline(&["config", "check", uncommented.path()]));
    assert_eq!((code, out.as_str()), (Some(0), "ok\n"), "{err}");
    let values = |arguments: &[&str]| {
        let (code, out, err) = output(tieline(&[&["config", "show"], arguments].concat()));
        assert_eq!(code, Some(0), "{err}");
        let value = |line: &str| line.split_once(" # ").unwrap().0.to_owned();
        out.lines().map(value).collect::<Vec<_>>()
    };
    assert_eq!(values(&["--config", uncommented.path()]), values(&[]));
}

#[test]
fn an_invalid_file_is_explained_before_anything_starts() {
    for (text, expected) in [
        (
            "[limits]\nmax_mesage = \"1k\"\n",
            "did you mean `limits.max_message`?",
        ),
        (
            "[limits]\nmax_outbox = 100\n",
            "tieline.toml:2) is too small for `limits.max_message`: raise it",
        ),
        ("listen = \"0.0.0.0:0\"\n", "`hub_defaults.anonymous`"),
        ("only_listed_hubs = true\n", "[hub.chat]"),
        ("[tls]\ncert = \"a.pem\"\n", "`tls.cert`"),
        (
            "[times]\ndrain_window = \"60s\"\n",
            "`times.drain_timeout` is too small",
        ),
    ] {
        let file = ConfigFile::new(text);
        for arguments in [
            ["config", "check", file.path()].as_slice(),
            &["serve", "--config", file.path()],
        ] {
            let (code, out, err) = output(tieline(arguments));
            assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
            assert!(err.contains(expected) && err.lines().count() == 1, "{err}");
        }
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let file = ConfigFile::new(
        "[times]\ndrain_window = \"60s\"\nping_interval = \"0s\"\n[limits]\nmax_outbox = 100\n\
         max_handshakes = 0\n[hub.chat]\nmax_message = \"1GiB\"\n[tls]\ncert = \"a.pem\"\n[admin]\n\
         listen = \"0.0.0.0:0\"\n",
    );
    let (code, _, err) = output(tieline(&["config", "check", file.path()]));
    assert_eq!(code, Some(2), "{err}");
    for expected in [
        "7 errors in the configuration:",
        "`times.drain_timeout` is too small",
        "`times.ping_interval` (",
        "`limits.max_outbox` (",
        "`limits.max_handshakes` (",
        "`max_message` of `[hub.chat]`",
        "`tls.cert` (",
        "refusing to listen for operators on 0.0.0.0:0",
    ] {
        assert!(err.contains(expected), "{expected}: {err}");
    }
}

#[test]
fn what_cannot_be_read_is_named_and_has_a_code_of_its_own() {
    let file =
        ConfigFile::new("[cluster]\nregistry = \"redis://h\"\nsecret = { file = \"gone\" }\n");
    let gone = file.folder.path().join("gone");
    let (code, _, err) = output(tieline(&["config", "check", file.path()]));
    assert_eq!(code, Some(1), "{err}");
    let names = err.contains(gone.to_str().unwrap()) && err.contains("`cluster.secret`");
    assert!(names, "{err}");
    let tls = ConfigFile::new("[tls]\ncert = \"none.pem\"\nkey = \"none.key\"\n");
    let (code, _, err) = output(tieline(&["config", "check", tls.path()]));
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains("`tls.cert` (") && err.contains("none.pem"),
        "{err}"
    );
    let (code, _, err) = output(tieline(&["serve", "--config", gone.to_str().unwrap()]));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains(gone.to_str().unwrap()), "{err}");
}

#[test]
fn no_secret_is_printed() {
    let file = ConfigFile::new(
        "[cluster]\nregistry = { file = \"url\" }\nsecret = { env = \"A_SECRET\" }\nlisten = \"127.0.0.1:0\"\n",
    );
    let write = |name: &str, text: &str| {
        std::fs::write(file.folder.path().join(name), text).unwrap();
    };
    write("url", "redis://me:hunter2@127.0.0.1:1\n");
    let command = |arguments: &[&str]| {
        let mut command = tieline(arguments);
        command.env("A_SECRET", "hunter2-secret");
        output(command)
    };
    let (code, out, err) = command(&["config", "show", "--config", file.path()]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("cluster.registry = \"redis://127.0.0.1:1\"")
            && out.contains("cluster.secret = \"***\""),
        "{out}"
    );
    assert!(!out.contains("hunter2"), "{out}");
    // The registry cannot be reached, the URL is none, the secret has a space.
    let serve = ["serve", "--config", file.path(), "--listen", "127.0.0.1:0"];
    let unreachable = command(&serve);
    write("url", "mysql://me:hunter2@127.0.0.1:1\n");
    let no_url = command(&serve);
    let spaced = command(
        &[
            &serve[..],
            &[
                "--registry",
                "redis://:hunter2@h",
                "--peer-secret",
                "hunter2 x",
            ],
        ]
        .concat(),
    );
    for (_, out, err) in [&unreachable, &no_url, &spaced] {
        assert!(
            !err.is_empty() && !err.contains("hunter2") && !out.contains("hunter2"),
            "{err}"
        );
    }
    assert!(
        unreachable.2.contains("redis://127.0.0.1:1"),
        "{}",
        unreachable.2
    );
}

#[test]
fn sighup_applies_what_can_change_and_names_what_cannot() {
    let file = ConfigFile::new(FREE_PORT);
    let served = Served::start(tieline(&["serve", "--config", file.path()]));
    assert_eq!(served.upgrade(FOREIGN_HOST), 403);

    let anyone = "[hub.chat]\nanonymous = \"anyone\"\n[log]\nlevel = \"info,tieline::hub=debug\"\n";
    file.write(&format!("{FREE_PORT}[limits]\nmax_groups = 5\n{anyone}"));
    served.reload();
    let line = served.line("configuration reloaded");
    assert!(
        line.contains("applied=\"log.level, hub.chat.anonymous\""),
        "{line}"
    );
    let line = served.line("need a restart");
    assert!(line.contains("changed=\"limits.max_groups\""), "{line}");
    assert_eq!(served.upgrade(FOREIGN_HOST), 101);

    // All of it is read, and none of it applied.
    file.write(&format!(
        "{FREE_PORT}[hub.chat]\nanonymous = \"never\"\n[limits]\nmax_mesage = 5\n"
    ));
    served.reload();
    let line = served.line("not reloaded");
    assert!(
        line.contains("did you mean `limits.max_message`?"),
        "{line}"
    );
    assert_eq!(served.upgrade(FOREIGN_HOST), 101);

    file.write(FREE_PORT);
    served.reload();
    let line = served.line("configuration reloaded");
    assert!(line.contains("hub.chat.anonymous"), "{line}");
    assert_eq!(served.upgrade(FOREIGN_HOST), 403);
}

#[test]
fn the_log_level_changes_while_the_node_runs() {
    let file = ConfigFile::new(&format!("{FREE_PORT}[log]\nlevel = \"info\"\n"));
    let served = Served::start(tieline(&["serve", "--config", file.path()]));
    file.write(&format!("{FREE_PORT}[log]\nlevel = \"debug\"\n"));
    served.reload();
    served.line("configuration reloaded");
    // At this level, the end of a connection is logged. The report came before the level.
    let begin = Instant::now();
    let mut lines = String::new();
    while !lines.contains("DEBUG") {
        assert!(begin.elapsed() < DEADLINE, "{lines}");
        assert_eq!(served.upgrade("Host: localhost\r\n"), 101);
        lines += &served
            .line_within(Duration::from_millis(100))
            .unwrap_or_default();
    }
    file.write(&format!("{FREE_PORT}[log]\nlevel = \"error\"\n"));
    served.reload();
    served.line("configuration reloaded");
    // From here on no report is logged, until the level that shows it.
    file.write(&format!("{FREE_PORT}[log]\nlevel = \"warn\"\n"));
    served.reload();
    file.write(&format!("{FREE_PORT}[log]\nlevel = \"loud\"\n"));
    served.reload();
    let line = served.line("not reloaded");
    assert!(line.contains("expected a level"), "{line}");
}
