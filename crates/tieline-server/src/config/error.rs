//! What is wrong with a configuration: everything at once.

use std::fmt;

use super::option::Invalid;

/// One mistake, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    text: String,
    /// A file could not be read, which may be different later.
    is_unreadable: bool,
}

/// The mistakes of a configuration.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    pub(crate) fn one(text: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(text);
        errors
    }

    /// A file that cannot be read or used.
    pub(crate) fn unreadable(text: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add_unreadable(text);
        errors
    }

    pub(crate) fn add(&mut self, text: impl Into<String>) {
        self.push(text.into(), false);
    }

    pub(crate) fn add_unreadable(&mut self, text: impl Into<String>) {
        self.push(text.into(), true);
    }

    /// What a check has found, or nothing: then what it says is added. What is no mistake by its type is a file that
    /// cannot be read or used.
    pub(crate) fn take<T>(&mut self, checked: Result<T, impl Into<anyhow::Error>>) -> Option<T> {
        let error = match checked {
            Ok(value) => return Some(value),
            Err(error) => error.into(),
        };
        let text = format!("{error:#}");
        match error.downcast::<Self>() {
            Ok(errors) if errors.to_string() == text => self.extend(errors),
            Ok(_) => self.add(text),
            Err(_) => self.add_unreadable(text),
        }
        None
    }

    /// Adds the others too.
    pub(crate) fn extend(&mut self, others: Self) {
        for Problem {
            text,
            is_unreadable,
        } in others.0
        {
            self.push(text, is_unreadable);
        }
    }

    /// Those in which none of these names stands.
    pub(crate) fn without_those_about(mut self, names: &[String]) -> Self {
        let is_about = |problem: &Problem| names.iter().any(|name| has_word(&problem.text, name));
        self.0.retain(|problem| !is_about(problem));
        self
    }

    /// All of them in one line, for a log.
    pub(crate) fn in_one_line(&self) -> String {
        if let [problem] = &self.0[..] {
            return problem.text.clone();
        }
        let numbered = self.0.iter().zip(1..);
        let numbered = numbered.map(|(problem, number)| format!("({number}) {}", problem.text));
        let all = numbered.collect::<Vec<_>>().join(" ");
        format!("{} errors in the configuration: {all}", self.0.len())
    }

    /// The same with other words.
    pub(crate) fn map(self, words: impl Fn(&str) -> String) -> Self {
        let problems = self.0.into_iter().map(|problem| Problem {
            text: words(&problem.text),
            ..problem
        });
        Self(problems.collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds why a value is refused. `what` names it; `expected` is what belongs there.
    pub(super) fn add_invalid(&mut self, what: &str, invalid: &Invalid, expected: &str) {
        match invalid {
            Invalid::Found(found) => {
                self.add(format!("{what}: found {found}, expected {expected}"));
            }
            Invalid::FoundFor(found, meant) => {
                self.add(format!(
                    "{what}: found {found}, expected {expected}; did you mean {meant:?}?"
                ));
            }
            Invalid::Other(why) => self.add(format!("{what}: {why}")),
            Invalid::Unreadable(why) => self.add_unreadable(format!("{what}: {why}")),
        }
    }

    fn push(&mut self, text: String, is_unreadable: bool) {
        let problem = Problem {
            text,
            is_unreadable,
        };
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Whether nothing is wrong but that files could not be read.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.0.iter().all(|problem| problem.is_unreadable)
    }

    pub(crate) fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

/// Whether a name stands in a text, and not a longer one that begins like it.
fn has_word(text: &str, name: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut found = text.match_indices(name);
    found.any(|(at, _)| !text[at + name.len()..].starts_with(goes_on))
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = &self.0[..] {
            return f.write_str(&problem.text);
        }
        write!(f, "{} errors in the configuration:", self.0.len())?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {}", problem.text))
    }
}

impl std::error::Error for ConfigErrors {}
