//! The list of options is complete, and so is what is made from it.

use std::collections::{BTreeMap, BTreeSet};

use super::{load, settings};
use crate::config::{
    known::{self, LISTS, options, settable},
    settings::Layers,
    text,
};

#[test]
fn every_option_can_be_set_by_its_place_as_a_variable() {
    for option in settable() {
        let default = (option.default)();
        let text = default.replace(['"', '[', ']', '{', '}'], "");
        if text.is_empty() {
            continue;
        }
        let name = option.nested_environment();
        let (_, values) = load("[cluster]\nregistry = \"\"", &[(&name, &text)], &[]).unwrap();
        let scope = known::first_table(option);
        let (shown, _) = values.shown(option, scope.as_deref()).unwrap();
        assert_eq!(shown, default, "{name}");
    }
}

#[test]
fn the_default_file_is_valid_and_says_the_defaults() {
    let lines = text::default_file();
    let lines = lines.lines().map(|line| match line.strip_prefix('#') {
        Some(option) if option.starts_with(|c: char| c.is_ascii_lowercase()) => option,
        _ => line,
    });
    let file = lines.collect::<Vec<_>>().join("\n");
    let settings = settings(&file);
    let default = Layers {
        file: None,
        flags: Vec::new(),
        is_used: |_| true,
    };
    let (default, values) = default.load(&BTreeMap::new()).unwrap();
    assert_eq!(format!("{settings:?}"), format!("{default:?}"));
    for option in options() {
        let line = format!("\n#{} = ", option.name);
        assert!(text::default_file().contains(&line), "{line}");
        assert!(values.shown(option, None).is_none());
    }
}

#[test]
fn every_option_is_described() {
    let mut seen = BTreeSet::new();
    let listed = LISTS.iter().flat_map(|(_, options)| *options);
    for option in options().chain(listed) {
        let path = option.path();
        for text in [option.sentence, option.cost] {
            assert!(text.ends_with('.') && text.len() > 4, "{path}: {text:?}");
        }
        // Without a default value, it is said what happens then.
        let default = (option.default)();
        assert_eq!(
            ["\"\"", "[]", "{}"].contains(&&*default),
            !option.without.is_empty(),
            "{path}"
        );
        assert!(seen.insert(path.clone()), "{path} twice");
        let flag = format!("--{}", option.flag);
        assert!(
            option.flag.is_empty() || seen.insert(flag),
            "{path}: flag twice"
        );
        // What an option's text says of others exists.
        let text = format!("{} {} {}", option.sentence, option.cost, option.without);
        for (index, name) in text.split('`').enumerate() {
            let exists = [
                "tieline demo",
                "tieline key",
                "issuers",
                "iss",
                "@connections",
            ]
            .contains(&name)
                || options().any(|option| option.path() == name);
            assert!(index % 2 == 0 || exists, "{path} mentions {name}");
        }
    }
}
