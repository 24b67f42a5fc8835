//! Which module a path leads to.

use std::path::PathBuf;

use crate::{
    imports::{Named, Use},
    tree::{Crate, Module},
};

/// One import of a module by another, at a place in a file.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    pub(crate) from: Vec<String>,
    pub(crate) to: Vec<String>,
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) written: String,
}

/// The imports of a crate.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Between different files, none of them to the crate root.
    pub(crate) between: Vec<Import>,
    /// Of items that the crate root re-exports, each with the path that the root has for it.
    pub(crate) through_root: Vec<(Import, String)>,
}

/// Where a path ends: a module, and the first name that is not a module in it.
struct Target {
    module: Vec<String>,
    item: Option<String>,
}

/// Resolves every path of the crate.
pub(crate) fn imports(sources: &Crate) -> Imports {
    let mut found = Imports::default();
    for (path, module) in &sources.modules {
        let named = module.scope.uses.iter().map(|used| (&used.path, used.glob));
        let paths = module.scope.paths.iter().map(|named| (named, false));
        for (named, glob) in named.chain(paths) {
            if let Some(target) = target(sources, path, &named.segments, 0) {
                add(&mut found, sources, module, named, glob, &target);
            }
        }
    }
    found
        .between
        .sort_by(|a, b| (&a.file, a.line, &a.to).cmp(&(&b.file, b.line, &b.to)));
    found
        .between
        .dedup_by(|a, b| (&a.file, a.line, &a.to) == (&b.file, b.line, &b.to));
    found
}

fn add(
    found: &mut Imports,
    sources: &Crate,
    module: &Module,
    named: &Named,
    glob: bool,
    target: &Target,
) {
    let to = &sources.modules[&target.module];
    if to.owner == module.owner {
        return;
    }
    let written = named.segments.join("::") + if glob { "::*" } else { "" };
    let import = Import {
        from: module.owner.clone(),
        to: to.owner.clone(),
        file: module.file.clone(),
        line: named.line,
        written,
    };
    if !to.owner.is_empty() {
        found.between.push(import);
    } else if let Some(origin) = reexported(to, target.item.as_deref()) {
        found.through_root.push((import, origin));
    }
}

/// What the crate root imports under `item`, or everything if a glob asks for it.
fn reexported(root: &Module, item: Option<&str>) -> Option<String> {
    let shown = |used: &Use| used.path.segments.join("::");
    let Some(item) = item else {
        return root.scope.uses.first().map(shown);
    };
    let by_name = |used: &&Use| used.name.as_deref() == Some(item);
    if let Some(used) = root.scope.uses.iter().find(by_name) {
        return Some(shown(used));
    }
    if root.scope.defined.contains(item) {
        return None;
    }
    let glob = root.scope.uses.iter().find(|used| used.glob)?;
    Some(shown(glob) + "::*")
}

fn target(sources: &Crate, from: &[String], segments: &[String], depth: u8) -> Option<Target> {
    let (first, rest) = segments.split_first()?;
    let start = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.to_vec(),
        "super" => from.split_last()?.1.to_vec(),
        name => relative(sources, from, name, segments, depth)?,
    };
    Some(walk(sources, start, rest))
}

/// A path that starts with a name: a child module, or a module that is imported under that name.
fn relative(
    sources: &Crate,
    from: &[String],
    name: &str,
    segments: &[String],
    depth: u8,
) -> Option<Vec<String>> {
    let child = [from, &[name.to_owned()]].concat();
    if sources.modules.contains_key(&child) {
        return Some(child);
    }
    let alias = sources.modules[from].scope.uses.iter().find(|used| {
        used.name.as_deref() == Some(name) && used.path.segments.as_slice() != segments
    })?;
    if depth > 8 {
        return None;
    }
    let target = target(sources, from, &alias.path.segments, depth + 1)?;
    target.item.is_none().then_some(target.module)
}

fn walk(sources: &Crate, start: Vec<String>, segments: &[String]) -> Target {
    let mut module = start;
    for segment in segments {
        let next = match segment.as_str() {
            "super" => module.split_last().map(|(_, parent)| parent.to_vec()),
            "self" => Some(module.clone()),
            name => Some([&module[..], &[name.to_owned()]].concat())
                .filter(|child| sources.modules.contains_key(child)),
        };
        match next {
            Some(next) => module = next,
            None => {
                return Target {
                    module,
                    item: Some(segment.clone()),
                };
            }
        }
    }
    Target { module, item: None }
}
