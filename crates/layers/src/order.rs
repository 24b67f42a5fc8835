//! The order of the modules, as a document states it.
//!
//! Knows no sources.

use std::fmt;

use thiserror::Error;

/// Which modules may import from which.
#[derive(Debug, Clone)]
pub struct Order {
    lines: Vec<Vec<String>>,
}

/// Why a document has no usable order.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderError {
    /// The opening comment is missing.
    #[error("no `<!-- layers {0} -->`")]
    NoBlock(String),
    /// The comment that ends the block is missing.
    #[error("no `<!-- end -->` after `<!-- layers {0} -->`")]
    NoEnd(String),
    /// The block names no module.
    #[error("`<!-- layers {0} -->` lists no module between two lines of ```")]
    Empty(String),
    /// A module is listed twice.
    #[error("`{0}` is listed twice")]
    Twice(String),
}

impl Order {
    /// Finds the order between `<!-- layers NAME -->` and `<!-- end -->`.
    pub fn from_document(text: &str, name: &str) -> Result<Self, OrderError> {
        let (_, rest) = text
            .split_once(&format!("<!-- layers {name} -->"))
            .ok_or_else(|| OrderError::NoBlock(name.to_owned()))?;
        let (block, _) = rest
            .split_once("<!-- end -->")
            .ok_or_else(|| OrderError::NoEnd(name.to_owned()))?;
        let fenced: Vec<&str> = block
            .lines()
            .skip_while(|line| !line.starts_with("```"))
            .skip(1)
            .take_while(|line| !line.starts_with("```"))
            .collect();
        let order = Self::from_lines(&fenced.join("\n"))?;
        if order.lines.is_empty() {
            return Err(OrderError::Empty(name.to_owned()));
        }
        Ok(order)
    }

    /// Reads an order without comments and fences around it: the upper line first.
    pub fn from_lines(text: &str) -> Result<Self, OrderError> {
        let mut lines: Vec<Vec<String>> = Vec::new();
        for line in text.lines() {
            let names = line.split('#').next().unwrap_or_default();
            let modules: Vec<String> = names
                .split(|c: char| c.is_whitespace() || c == ',')
                .filter(|name| !name.is_empty())
                .map(|name| name.trim_end_matches('/').replace('/', "::"))
                .collect();
            for (at, module) in modules.iter().enumerate() {
                let listed = lines.iter().flatten().chain(&modules[..at]);
                if listed.into_iter().any(|other| other == module) {
                    return Err(OrderError::Twice(module.clone()));
                }
            }
            if !modules.is_empty() {
                lines.push(modules);
            }
        }
        Ok(Self { lines })
    }

    /// The listed module that `module` belongs to, and the number of its line.
    pub(crate) fn find(&self, module: &str) -> Option<(&str, usize)> {
        let mut name = module;
        loop {
            if let Some(found) = self.line_of(name) {
                return Some(found);
            }
            name = name.rsplit_once("::")?.0;
        }
    }

    fn line_of(&self, name: &str) -> Option<(&str, usize)> {
        self.lines.iter().enumerate().find_map(|(at, line)| {
            let listed = line.iter().find(|listed| *listed == name)?;
            Some((listed.as_str(), at + 1))
        })
    }

    pub(crate) fn listed(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }
}

/// One numbered line for each line of the order.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.lines.iter().enumerate() {
            writeln!(f, "{:>4}  {}", at + 1, line.join("  "))?;
        }
        Ok(())
    }
}
