//! The configurations of `docs/pusher.md` are valid.

use std::{fs::Permissions, os::unix::fs::PermissionsExt};

use super::SECRET;
use crate::kit::tieline;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pusher.md");

/// The configurations of the page, each with its secrets in a folder.
fn configurations(folder: &str) -> Vec<String> {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let blocks = page.split("```toml\n").skip(1);
    let texts = blocks.map(|block| block.split_once("```").unwrap().0.to_owned());
    let local = |text: String| {
        let files = [
            ("secret", "secret"),
            ("/etc/tieline/app-1", "secret"),
            ("/etc/tieline/key", "key"),
        ];
        files.iter().fold(text, |text, (file, name)| {
            text.replace(&format!("\"{file}\""), &format!("\"{folder}/{name}\""))
        })
    };
    texts.map(local).collect()
}

#[test]
fn the_configurations_of_the_page_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let file = format!("{path}/tieline.toml");
    for (name, text) in [("secret", SECRET), ("key", &SECRET.repeat(2))] {
        let secret = folder.path().join(name);
        std::fs::write(&secret, text).unwrap();
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    }
    let found = configurations(path);
    assert!(found.len() >= 3, "{found:?}");
    for text in found {
        std::fs::write(&file, &text).unwrap();
        let mut check = tieline(&["config", "check", &file]);
        for variable in ["PUSHER_SECRET", "STAGING_SECRET"] {
            check.env(variable, SECRET);
        }
        let output = check.output().unwrap();
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{why}");
    }
}
