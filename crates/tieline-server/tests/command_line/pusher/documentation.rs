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
    let files = ["\"secret\"", "\"/etc/tieline/app-1\""];
    let with_secret = |text: String| {
        let secret = format!("\"{folder}/secret\"");
        files
            .iter()
            .fold(text, |text, file| text.replace(file, &secret))
    };
    texts.map(with_secret).collect()
}

#[test]
fn the_configurations_of_the_page_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (file, secret) = (format!("{path}/tieline.toml"), format!("{path}/secret"));
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
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
