//! Holds the imports of a crate against its order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use crate::{
    circle::{Graph, circles},
    order::Order,
    resolve::{Import, imports},
    tree::Crate,
};

/// One thing that is against the layers, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a crate against an order; empty if nothing is against it.
pub fn check(sources: &Crate, order: &Order) -> Vec<Violation> {
    let imports = imports(sources);
    let mut violations = listing(sources, order);
    for (import, origin) in &imports.through_root {
        violations.push(Violation(format!(
            "{}: `{}` is re-exported by the crate root from `{origin}`; \
             import from the defining module",
            place(import),
            import.written,
        )));
    }
    for import in &imports.between {
        violations.extend(against_order(import, order));
    }
    violations.extend(circles_of_files(&imports.between));
    violations.extend(circles_of_siblings(&imports.between, order));
    violations
}

/// Modules that are on no line, and lines that name no module.
fn listing(sources: &Crate, order: &Order) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, module) in &sources.modules {
        if !path.is_empty() && *path == module.owner && order.find(&path.join("::")).is_none() {
            violations.push(Violation(format!(
                "{}: `{}` is not in the order",
                module.file.display(),
                path.join("::"),
            )));
        }
    }
    for name in order.listed() {
        let path: Vec<String> = name.split("::").map(str::to_owned).collect();
        if !sources.modules.contains_key(&path) {
            violations.push(Violation(format!(
                "the order lists `{name}`, which is not a module"
            )));
        }
    }
    violations
}

fn against_order(import: &Import, order: &Order) -> Option<Violation> {
    let (from, from_line) = order.find(&import.from.join("::"))?;
    let (to, to_line) = order.find(&import.to.join("::"))?;
    if from == to || from_line < to_line {
        return None;
    }
    Some(Violation(format!(
        "{}: `{}` must not import `{}`: `{from}` is on line {from_line} of the order, \
         `{to}` on line {to_line}",
        place(import),
        import.from.join("::"),
        import.written,
    )))
}

fn place(import: &Import) -> String {
    format!("{}:{}", import.file.display(), import.line)
}

/// Edges of a graph, each with a place that shows it.
#[derive(Default)]
struct Edges {
    graph: Graph,
    places: BTreeMap<(String, String), String>,
}

impl Edges {
    fn add(&mut self, from: String, to: String, import: &Import) {
        if from == to {
            return;
        }
        self.graph
            .entry(from.clone())
            .or_default()
            .insert(to.clone());
        self.places
            .entry((from, to))
            .or_insert_with(|| place(import));
    }

    fn violations(&self, what: &str) -> Vec<Violation> {
        circles(&self.graph)
            .iter()
            .map(|circle| {
                let mut text = format!("circle of {what}:");
                for (at, from) in circle.iter().enumerate() {
                    let to = &circle[(at + 1) % circle.len()];
                    let place = &self.places[&(from.clone(), to.clone())];
                    let _ = write!(text, " `{from}` imports `{to}` ({place});");
                }
                text.pop();
                Violation(text)
            })
            .collect()
    }
}

fn circles_of_files(imports: &[Import]) -> Vec<Violation> {
    let mut edges = Edges::default();
    for import in imports {
        edges.add(import.from.join("::"), import.to.join("::"), import);
    }
    edges.violations("files")
}

/// Circles that no single pair of files closes: `a::x` imports `b`, and `b::y` imports `a`.
fn circles_of_siblings(imports: &[Import], order: &Order) -> Vec<Violation> {
    let mut parents: BTreeMap<Vec<String>, Edges> = BTreeMap::new();
    let mut folders = BTreeSet::new();
    for import in imports {
        let listed = order.find(&import.from.join("::"));
        if listed.is_none() || listed != order.find(&import.to.join("::")) {
            continue;
        }
        let common = import
            .from
            .iter()
            .zip(&import.to)
            .take_while(|(a, b)| a == b)
            .count();
        let sibling = |path: &[String]| path[..path.len().min(common + 1)].join("::");
        if import.from.len() > common + 1 || import.to.len() > common + 1 {
            folders.insert(import.from[..common].to_vec());
        }
        parents
            .entry(import.from[..common].to_vec())
            .or_default()
            .add(sibling(&import.from), sibling(&import.to), import);
    }
    // Without a folder among them, the siblings are files, whose circles are found already.
    parents.retain(|parent, _| folders.contains(parent));
    parents
        .values()
        .flat_map(|edges| edges.violations("modules"))
        .collect()
}
