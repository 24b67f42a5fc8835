//! The table of options in the documentation is that of the program.

use super::{
    known::{LISTS, TABLES, file_variable, settable},
    option::Opt,
    settings::Layers,
    source::Environment,
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const BEGIN: &str = "<!-- options: made from the list in the program -->\n";
const END: &str = "<!-- end -->\n";

fn tables() -> String {
    let table = |(name, options): (&str, &[Opt])| {
        let title = match name {
            "" => "Top level".to_owned(),
            name => format!("`[{name}]`"),
        };
        let rows = options.iter().map(row).collect::<String>();
        format!(
            "\n### {title}\n\n| key | default | description | flag, variable |\n|---|---|---|---|\n{rows}"
        )
    };
    let list = |(name, options): (&str, &[Opt])| {
        let rows = options.iter().map(row).collect::<String>();
        let (what, column) = if has_flags(name) {
            let what = "A table for each. Flags and variables are for the first of them, option by option; without \
                        one in the file, they make one.";
            (what, " flag, variable |")
        } else {
            ("A table for each; only in the file.", "")
        };
        let line = if column.is_empty() { "" } else { "---|" };
        format!(
            "\n### `[[{name}]]`\n\n{what}\n\n| key | default | description |{column}\n|---|---|---|{line}\n{rows}"
        )
    };
    TABLES.map(table).concat() + &LISTS.map(list).concat() + "\n"
}

fn row(option: &Opt) -> String {
    let default = match option.without {
        "" => format!("`{}`", (option.default)()),
        without => without.to_owned(),
    };
    let flags = [option.flag, option.file_flag];
    let flags = flags.iter().filter(|flag| !flag.is_empty());
    let mut names: Vec<_> = flags.map(|flag| format!("`--{flag}`")).collect();
    names.push(format!("`{}`", option.environment()));
    names.extend(file_variable(option).map(|name| format!("`{name}`")));
    let live = if option.live {
        " *Applied by SIGHUP.*"
    } else {
        ""
    };
    let (name, sentence, cost, names) =
        (option.name, option.sentence, option.cost, names.join(", "));
    let is_in_list = LISTS.iter().any(|(list, _)| *list == option.section);
    let names = if is_in_list && !has_flags(option.section) {
        String::new()
    } else {
        format!(" {names} |")
    };
    format!("| `{name}` | {default} | {sentence} {cost}{live} |{names}\n")
}

fn has_flags(section: &str) -> bool {
    settable().any(|option| option.section == section)
}

/// To write the tables after a change: `UPDATE_DOCS=1 cargo test -p tieline-server documentation`.
#[test]
fn the_documentation_lists_every_option() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (documented, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, [before, BEGIN, &tables(), END, after].concat()).unwrap();
        return;
    }
    assert_eq!(documented, tables(), "run this test with UPDATE_DOCS=1");
}

/// The files that it names do not exist here, and nothing else may be wrong.
#[test]
fn the_example_of_the_documentation_is_valid() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, rest) = page.split_once("```toml\nlisten").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("example.toml");
    std::fs::write(&path, format!("listen{example}")).unwrap();
    let layers = Layers {
        file: Some(path),
        flags: Vec::new(),
        is_used: |_| true,
    };
    let loaded = layers.load(&Environment::new());
    let errors = loaded.err().unwrap();
    assert!(errors.is_unreadable(), "{errors}");
}
