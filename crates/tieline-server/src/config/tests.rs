//! The layers, what they refuse, and what is never shown.

mod layers;
mod mistakes;
mod options;
mod secrets;

use std::collections::BTreeMap;

use super::{
    known::settable,
    option::Raw,
    settings::{Flag, Layers, Settings},
    values::Values,
};

const REGISTRY: &str = "registry = \"redis://h\"\n";

/// The settings of a file, variables and flags.
fn load(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<(Settings, Values), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, file).unwrap();
    std::fs::write(folder.path().join("secret"), "hunter2\r\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let flag = |(name, text): &(&'static str, &str)| Flag {
        option: settable().find(|option| option.flag == *name).unwrap(),
        name: format!("--{name}"),
        raw: Raw::Text((*text).into()),
    };
    let layers = Layers {
        file: Some(path),
        flags: flags.iter().map(flag).collect(),
        is_used: |_| true,
    };
    let environment: BTreeMap<_, _> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let folder = format!("{}/", folder.path().display());
    let loaded = layers.load(&environment);
    loaded.map_err(|errors| errors.to_string().replace(&folder, ""))
}

fn settings(file: &str) -> Settings {
    load(file, &[], &[]).unwrap().0
}

/// The error of a file, without variables and flags.
fn error(file: &str) -> String {
    load(file, &[], &[]).err().expect("an error")
}
