//! The messages that the sources have.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What writes lines that the page describes.
const MACROS: [&str; 3] = ["tracing::info!(", "tracing::warn!(", "tracing::error!("];

/// The messages of a crate's sources.
pub(super) fn messages(krate: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(krate)
        .join("src");
    let mut messages = BTreeSet::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                collect(&fs::read_to_string(path).unwrap(), &mut messages);
            }
        }
    }
    messages
}

fn collect(source: &str, messages: &mut BTreeSet<String>) {
    for name in MACROS {
        for (at, _) in source.match_indices(name) {
            if let Some(message) = last_text(&source[at + name.len()..]) {
                messages.insert(message);
            }
        }
    }
}

/// The last text among the arguments of a call that begin here, which is the message.
fn last_text(arguments: &str) -> Option<String> {
    let (mut depth, mut text, mut last) = (1, None::<String>, None);
    let mut chars = arguments.chars().peekable();
    while let Some(c) = chars.next() {
        match (&mut text, c) {
            (Some(_), '"') => last = text.take(),
            (Some(inner), '\\') => {
                let escaped = chars.next()?;
                if escaped == '\n' {
                    while chars.next_if(|c| c.is_whitespace()).is_some() {}
                } else {
                    inner.push(escaped);
                }
            }
            (Some(inner), c) => inner.push(c),
            (None, '"') => text = Some(String::new()),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
        if depth == 0 {
            break;
        }
    }
    last
}
