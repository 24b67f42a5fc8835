//! What is made from the command line for shells and readers.

use std::{collections::BTreeSet, path::Path, process::Command};

use super::kit::tieline;

const COMMANDS: [&str; 11] = [
    "bench",
    "completions",
    "config",
    "demo",
    "drain",
    "health",
    "key",
    "man",
    "serve",
    "token",
    "top",
];

#[test]
fn each_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("new/man1");
    let man = tieline(&["man", pages.to_str().unwrap()]).status().unwrap();
    assert!(man.success());
    let read = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    let top = read("tieline.1");
    for command in COMMANDS {
        assert!(
            top.contains(&format!("tieline\\-{command}(1)")),
            "{command}"
        );
        read(&format!("tieline-{command}.1"));
    }
    read("tieline-config-check.1");
    let serve = read("tieline-serve.1");
    for text in [".TH", "\\-\\-key\\-file", "TIELINE_LISTEN", "SIGHUP"] {
        assert!(serve.contains(text), "{text}");
    }
    let help = |page: std::io::Result<std::fs::DirEntry>| {
        let name = page.unwrap().file_name().into_string().unwrap();
        name.contains("help").then_some(name)
    };
    let helps: BTreeSet<_> = std::fs::read_dir(&pages)
        .unwrap()
        .filter_map(help)
        .collect();
    assert!(helps.is_empty(), "pages without contents: {helps:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let output = tieline(&["man", "/dev/null/man1"]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("/dev/null/man1"), "{err}");
}

/// The script that completes, as a shell gets it.
fn script(shell: &str) -> String {
    let output = tieline(&["completions", shell]).output().unwrap();
    assert!(output.status.success(), "{shell}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_shell_knows_the_commands_and_their_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let script = script(shell);
        for word in COMMANDS.iter().chain(&["key-file", "check"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let output = tieline(&["completions", "cmd"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// As if somebody had typed the words and pressed Tab.
#[test]
fn bash_completes_a_command_and_a_flag() {
    assert!(Path::new("/bin/bash").exists(), "this test needs bash");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tieline");
    std::fs::write(&path, script("bash")).unwrap();
    let complete = |words: &str, index: usize| {
        let run = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={index}\n\
             _tieline tieline \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        let output = Command::new("/bin/bash").args(["-c", &run]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!(complete("tieline ser", 1), "serve\n");
    assert_eq!(complete("tieline serve --key-f", 2), "--key-file\n");
}
