use std::{fs, path::Path};

use crate::{Crate, Order, OrderError, check, report};

const ORDER: &str = "top\nleft right\nbase";

/// A crate of the given files, checked against an order; what is reported, and the report.
fn problems(order: &str, files: &[(&str, &str)]) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join("src").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let sources = Crate::read(&folder.path().join("src")).unwrap();
    let order = Order::from_lines(order).unwrap();
    let found = check(&sources, &order);
    let shown = report(&found, &order, "planted");
    (found.iter().map(ToString::to_string).collect(), shown)
}

/// A crate with the modules of `ORDER`, of which the given ones have a text.
fn planted(files: &[(&str, &str)]) -> (Vec<String>, String) {
    let mut all = vec![
        ("lib.rs", "mod base; mod left; mod right; mod top;"),
        ("base.rs", "pub struct Base;"),
        ("left.rs", ""),
        ("right.rs", ""),
        ("top.rs", ""),
    ];
    all.retain(|(name, _)| !files.iter().any(|(given, _)| given == name));
    all.extend_from_slice(files);
    problems(ORDER, &all)
}

#[track_caller]
fn assert_clean(files: &[(&str, &str)]) {
    assert_eq!(planted(files).0, Vec::<String>::new());
}

#[track_caller]
fn assert_one(files: &[(&str, &str)], parts: &[&str]) {
    let (found, _) = planted(files);
    assert_eq!(found.len(), 1, "{found:#?}");
    for part in parts {
        assert!(found[0].contains(part), "{part:?} is not in {:?}", found[0]);
    }
}

#[test]
fn imports_from_lower_lines_are_clean() {
    assert_clean(&[
        ("left.rs", "use crate::base::Base;"),
        ("top.rs", "use crate::{base::Base as B, left, right::*};"),
    ]);
}

#[test]
fn a_line_against_the_order_is_named_with_its_modules_and_the_order() {
    let (found, shown) = planted(&[("base.rs", "\nuse crate::top::Thing;")]);
    assert_eq!(found.len(), 1, "{found:#?}");
    for part in [
        "src/base.rs:2",
        "`base` must not import `crate::top::Thing`",
        "`base` is on line 3",
        "`top` on line 1",
        "   1  top\n   2  left  right\n   3  base\n",
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
}

#[test]
fn modules_on_one_line_do_not_import_each_other() {
    assert_one(&[("left.rs", "use crate::right::R;")], &["src/left.rs:1"]);
}

#[test]
fn every_form_of_a_path_counts() {
    for text in [
        "use crate::{left::{A, B}};",
        "use super::left::A as C;",
        "use super::super_free; use crate::left as other;",
        "pub use crate::left::*;",
        "fn f() { crate::left::g(); }",
        "fn f(x: super::left::A) {}",
        "fn f() { vec![crate::left::g()]; }",
        "macro_rules! m { () => { $crate::left::g() } }",
        "#[derive(Debug)] #[arg(value_parser = crate::left::parse)] struct S;",
        "mod inner { use super::super::left::A; }",
        "use crate as root; fn f() { root::left::g(); }",
    ] {
        let (found, _) = planted(&[("base.rs", text)]);
        assert!(
            found.iter().any(|line| line.contains("must not import")),
            "{text}: {found:#?}"
        );
    }
}

#[test]
fn a_relative_path_to_a_child_is_an_import_and_its_declaration_is_none() {
    let files = |text| {
        [
            ("base.rs", ""),
            ("left/mod.rs", text),
            ("left/child.rs", "use super::Parent;"),
        ]
    };
    let root = ("lib.rs", "mod base; mod left; mod right; mod top;");
    let rest = [("right.rs", ""), ("top.rs", "")];
    let check = |text| {
        let mut all = vec![root];
        all.extend(files(text));
        all.extend(rest);
        problems(ORDER, &all).0
    };
    assert_eq!(check("mod child; pub struct Parent;"), Vec::<String>::new());
    let found = check("mod child; pub use child::C; pub struct Parent;");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("circle of files"), "{found:#?}");
}

#[test]
fn tests_do_not_count() {
    assert_clean(&[
        (
            "base.rs",
            "#[cfg(test)] mod tests; #[cfg(test)] mod fixture;
             #[cfg(test)] use crate::top::T;
             #[cfg(all(test, unix))] mod inline { use crate::top::T; }
             struct S; impl S { #[cfg(test)] fn f() { crate::top::g(); } }",
        ),
        ("base/fixture.rs", "use crate::top::T;"),
    ]);
}

#[test]
fn a_visibility_is_not_an_import() {
    assert_clean(&[("base.rs", "pub(in crate::top) struct S;")]);
}

#[test]
fn what_the_root_reexports_is_imported_from_its_module() {
    let root = "mod base; mod left; mod right; mod top;
                pub use base::Base; pub fn own() {}";
    assert_one(
        &[("lib.rs", root), ("left.rs", "use crate::Base;")],
        &["src/left.rs:1", "`base::Base`", "defining module"],
    );
    assert_one(
        &[("lib.rs", root), ("left.rs", "use super::*;")],
        &["`super::*`", "defining module"],
    );
    assert_clean(&[("lib.rs", root), ("base.rs", "use crate::own;")]);
}

#[test]
fn a_circle_inside_a_listed_module_is_shown_with_its_places() {
    let (found, _) = problems(
        "m",
        &[
            ("lib.rs", "mod m;"),
            ("m/mod.rs", "mod a; mod b; mod c;"),
            ("m/a.rs", "use super::b::B;"),
            ("m/b.rs", "\nuse crate::m::c::C;"),
            ("m/c.rs", "fn f() { super::a::g() }"),
        ],
    );
    assert_eq!(
        found,
        [
            "circle of files: `m::a` imports `m::b` (src/m/a.rs:1); `m::b` imports `m::c` \
             (src/m/b.rs:2); `m::c` imports `m::a` (src/m/c.rs:1)"
        ]
    );
}

#[test]
fn a_circle_of_folders_is_found_where_no_files_close_one() {
    let (found, _) = problems(
        "m",
        &[
            ("lib.rs", "mod m;"),
            ("m/mod.rs", "mod a; mod b;"),
            ("m/a/mod.rs", "mod x; mod y;"),
            ("m/a/x.rs", "use crate::m::b::B;"),
            ("m/a/y.rs", ""),
            ("m/b.rs", "use crate::m::a::y::Y;"),
        ],
    );
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("circle of modules: `m::a` imports `m::b`"));
}

#[test]
fn a_listed_submodule_has_its_own_line() {
    let files = [
        ("lib.rs", "mod m; mod n;"),
        ("m/mod.rs", "mod low; use crate::n::N;"),
        ("m/low.rs", ""),
        ("n.rs", "use crate::m::low::L;"),
    ];
    assert_eq!(problems("m\nn\nm/low", &files).0, Vec::<String>::new());
    assert!(!problems("m\nn", &files).0.is_empty());
}

#[test]
fn the_order_lists_every_module_and_no_other() {
    let files = [("main.rs", "mod a; mod b;"), ("a.rs", ""), ("b.rs", "")];
    assert_eq!(
        problems("a\nc", &files).0,
        [
            "src/b.rs: `b` is not in the order",
            "the order lists `c`, which is not a module"
        ]
    );
}

#[test]
fn the_order_is_found_in_a_document() {
    let text = "# Title\n<!-- layers one -->\nProse.\n```text\na  b/c, d # why\n\ne\n```\n\
                <!-- end -->\n<!-- layers two -->\n```\nz\n```\n";
    let order = Order::from_document(text, "one").unwrap();
    assert_eq!(order.to_string(), "   1  a  b::c  d\n   2  e\n");
    let error = |name| Order::from_document(text, name).unwrap_err();
    assert_eq!(error("two"), OrderError::NoEnd("two".to_owned()));
    assert_eq!(error("three"), OrderError::NoBlock("three".to_owned()));
    let twice = Order::from_lines("a\nb a").unwrap_err();
    assert_eq!(twice, OrderError::Twice("a".to_owned()));
}

#[test]
fn the_checker_keeps_its_own_order() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let order = Order::from_lines("check\ncircle resolve\norder tree\nimports").unwrap();
    assert_eq!(check(&Crate::read(&src).unwrap(), &order), []);
}

#[test]
fn one_circle_is_shown_for_all_that_reach_each_other() {
    let (found, _) = problems(
        "m",
        &[
            ("lib.rs", "mod m;"),
            ("m/mod.rs", "mod a; mod b; mod c;"),
            ("m/a.rs", "use super::b::B;"),
            ("m/b.rs", "use super::{a::A, c::C};"),
            ("m/c.rs", "use super::b::B;"),
        ],
    );
    assert_eq!(found.len(), 1, "{found:#?}");
}
