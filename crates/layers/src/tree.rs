//! The modules of a crate, read from its sources.
//!
//! Follows `mod` declarations from the crate root, as the compiler does, so that a file that is a
//! module of tests only is left out. Knows neither the order nor what a path leads to.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::imports::{self, ModuleFile, Scope};

/// The modules of a crate, and what each of them names.
#[derive(Debug)]
pub struct Crate {
    /// By path; the crate root is the empty path.
    pub(crate) modules: BTreeMap<Vec<String>, Module>,
}

/// A module, inline or not.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) scope: Scope,
    /// The module whose file it is in: itself unless it is inline.
    pub(crate) owner: Vec<String>,
    /// That file, from the folder that contains `src`.
    pub(crate) file: PathBuf,
}

/// Why the sources of a crate cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is neither a `lib.rs` nor a `main.rs`.
    #[error("no lib.rs and no main.rs in {0}")]
    NoRoot(PathBuf),
    /// A module is declared, and its file is not found.
    #[error("{declared_in}: no file for `mod {name};`")]
    NoFile {
        /// The file with the declaration.
        declared_in: PathBuf,
        /// The module's name.
        name: String,
    },
    /// A file cannot be read.
    #[error("cannot read {0}")]
    Io(PathBuf, #[source] io::Error),
    /// A file is not Rust.
    #[error("{file}:{line}: {source}")]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line of the fault.
        line: usize,
        /// What the parser says.
        source: syn::Error,
    },
}

impl Crate {
    /// Reads the crate whose root, `lib.rs` or else `main.rs`, is in the folder `src`.
    pub fn read(src: &Path) -> Result<Self, ReadError> {
        let root = ["lib.rs", "main.rs"]
            .iter()
            .map(|name| src.join(name))
            .find(|file| file.is_file())
            .ok_or_else(|| ReadError::NoRoot(src.to_owned()))?;
        let mut reader = Reader {
            base: src.parent().unwrap_or(src),
            modules: BTreeMap::new(),
        };
        reader.file(&root, src, Vec::new())?;
        Ok(Self {
            modules: reader.modules,
        })
    }
}

struct Reader<'a> {
    base: &'a Path,
    modules: BTreeMap<Vec<String>, Module>,
}

impl Reader<'_> {
    /// Reads `file` as the module `path`, whose submodules are in `folder`.
    fn file(&mut self, file: &Path, folder: &Path, path: Vec<String>) -> Result<(), ReadError> {
        let text =
            std::fs::read_to_string(file).map_err(|error| ReadError::Io(file.to_owned(), error))?;
        let parsed = syn::parse_file(&text).map_err(|source| ReadError::Syntax {
            file: file.to_owned(),
            line: source.span().start().line,
            source,
        })?;
        let scope = imports::scope(&parsed.items);
        self.module(file, folder, path.clone(), path, scope)
    }

    fn module(
        &mut self,
        file: &Path,
        folder: &Path,
        owner: Vec<String>,
        path: Vec<String>,
        mut scope: Scope,
    ) -> Result<(), ReadError> {
        for child in std::mem::take(&mut scope.files) {
            let Some(found) = find_file(file, folder, &child)? else {
                continue;
            };
            let child_path = [&path[..], std::slice::from_ref(&child.name)].concat();
            self.file(&found, &folder.join(&child.name), child_path)?;
        }
        for (name, inner) in std::mem::take(&mut scope.inline) {
            let child_path = [&path[..], std::slice::from_ref(&name)].concat();
            let folder = folder.join(&name);
            self.module(file, &folder, owner.clone(), child_path, inner)?;
        }
        let file = file.strip_prefix(self.base).unwrap_or(file).to_owned();
        self.modules.insert(path, Module { scope, owner, file });
        Ok(())
    }
}

/// The file of a declared module; none if it is one of tests.
fn find_file(
    declared_in: &Path,
    folder: &Path,
    module: &ModuleFile,
) -> Result<Option<PathBuf>, ReadError> {
    if module.name == "tests" {
        return Ok(None);
    }
    let candidates = match &module.path {
        Some(path) => vec![declared_in.with_file_name(path)],
        None => vec![
            folder.join(format!("{}.rs", module.name)),
            folder.join(&module.name).join("mod.rs"),
        ],
    };
    candidates
        .into_iter()
        .find(|file| file.is_file())
        .map(Some)
        .ok_or_else(|| ReadError::NoFile {
            declared_in: declared_in.to_owned(),
            name: module.name.clone(),
        })
}
