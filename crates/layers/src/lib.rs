//! Checks that the modules of a crate import each other in one direction only.
//!
//! The order is text in `ARCHITECTURE.md`, between two HTML comments, in a fenced block. Each line
//! names modules, separated by spaces. A module may import from lower lines only, not from its own
//! line and not from a higher one. `#` starts a comment.
//!
//! ````text
//! <!-- layers my-crate -->
//! ```text
//! server              # accepts connections
//! store  session/key
//! session
//! ```
//! <!-- end -->
//! ````
//!
//! A submodule (`session/key`, or `session::key`) belongs to its nearest listed ancestor unless it
//! is listed itself. Every module of the crate must belong to a line. The crate root (`lib.rs` or
//! `main.rs`) is above the first line and is not listed.
//!
//! A crate checks itself with a test, `tests/layers.rs`:
//!
//! ```no_run
//! tieline_layers::assert_layers(env!("CARGO_MANIFEST_DIR"), "../../ARCHITECTURE.md", "my-crate");
//! ```
//!
//! # What counts
//!
//! An import is any path to a module of the same crate: `use` and `pub use`, with nested braces,
//! renames and globs; paths in code, types and attributes; and paths in the tokens of macros.
//! `mod child;` alone is not an import, `pub use child::Item` is one. Code under `#[cfg(test)]` does
//! not count, nor do files called `tests.rs` and folders called `tests`.
//!
//! # What fails
//!
//! - an import against the order: from the same line, or from a higher one
//! - a circle of files, inside a listed module too
//! - a circle of sibling modules, each taken with everything in it
//! - an import of an item that the crate root re-exports: inside the crate, import it from the
//!   module that defines it, or the import hides which module is meant. Items that the root itself
//!   defines are free to use.
//! - a module that is on no line, a line that names a module that does not exist

mod check;
mod circle;
mod imports;
mod order;
mod resolve;
mod tree;

pub use crate::{
    check::{Violation, check},
    order::{Order, OrderError},
    tree::{Crate, ReadError},
};

use std::path::Path;

/// Checks the crate in `manifest_dir` against the order that `document` has for `name`.
///
/// `manifest_dir` is `env!("CARGO_MANIFEST_DIR")`; `document` is a path from there. Use it in a
/// test.
///
/// # Panics
///
/// If anything is against the order, with one line for each violation and the order below them; if
/// the document or the sources cannot be read.
pub fn assert_layers(manifest_dir: &str, document: &str, name: &str) {
    let folder = Path::new(manifest_dir);
    let document = folder.join(document);
    let text = std::fs::read_to_string(&document)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", document.display()));
    let order = Order::from_document(&text, name)
        .unwrap_or_else(|error| panic!("{}: {error}", document.display()));
    let sources = Crate::read(&folder.join("src")).unwrap_or_else(|error| panic!("{error}"));
    let violations = check(&sources, &order);
    assert!(
        violations.is_empty(),
        "{}",
        report(&violations, &order, name)
    );
}

fn report(violations: &[Violation], order: &Order, name: &str) -> String {
    use std::fmt::Write as _;

    let mut text = format!("{name}: {} violations of the layers\n", violations.len());
    for violation in violations {
        let _ = writeln!(text, "- {violation}");
    }
    let _ = write!(
        text,
        "The order, a line may import from lower lines only:\n{order}"
    );
    text
}

#[cfg(test)]
mod tests;
