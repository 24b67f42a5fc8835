//! Lists of patterns for the names of events and groups.
//!
//! Owns how a list is written, and whether case counts. Must not know what is named.

use crate::app::pattern::Pattern;

/// Names of one of these patterns, as from `orders.*,chat`.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    list: Vec<Pattern>,
    any_case: bool,
}

impl Patterns {
    /// Reads patterns between commas, which match letter by letter. Blanks around them do not count, and `\`
    /// before a comma makes it a part of a name. Fails with the first that is none.
    pub(crate) fn exact(list: &str) -> Result<Self, String> {
        let mut patterns = vec![String::new()];
        let mut chars = list.chars();
        while let Some(char) = chars.next() {
            match (char, patterns.last_mut()) {
                (',', _) => patterns.push(String::new()),
                (char, Some(pattern)) => {
                    pattern.push(char);
                    if char == '\\' {
                        pattern.extend(chars.next());
                    }
                }
                (_, None) => {}
            }
        }
        let patterns = patterns.iter().map(|pattern| pattern.trim());
        let patterns = patterns.filter(|pattern| !pattern.is_empty());
        let parsed = patterns.map(|text| Pattern::parse(text).ok_or_else(|| text.to_owned()));
        Ok(Self {
            list: parsed.collect::<Result<_, _>>()?,
            any_case: false,
        })
    }

    /// The same without regard to case.
    pub(crate) fn any_case(list: &str) -> Result<Self, String> {
        let patterns = Self::exact(&list.to_lowercase())?;
        Ok(Self {
            any_case: true,
            ..patterns
        })
    }

    pub(super) fn match_name(&self, name: &str) -> bool {
        if self.any_case {
            let name = name.to_lowercase();
            return self.list.iter().any(|pattern| pattern.matches(&name));
        }
        self.list.iter().any(|pattern| pattern.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_matches_what_one_of_its_patterns_does() {
        for (list, names, others) in [
            ("*", &["a", "message", ""][..], &["a.b"][..]),
            ("**", &["a", "a.b", ""], &[]),
            ("*.end, b", &["x.end", "b"], &["x.y.end", "end", " b"]),
            (r"\*,a\,b", &["*", "a,b"], &["x", "a", "b"]),
            ("", &[], &["", "a"]),
            (" , ,", &[], &["", " "]),
        ] {
            let patterns = Patterns::exact(list).unwrap();
            for name in names {
                assert!(patterns.match_name(name), "{list} does not match {name}");
            }
            for name in others {
                assert!(!patterns.match_name(name), "{list} matches {name}");
            }
        }
    }

    #[test]
    fn case_counts_where_it_is_asked_to() {
        let (any, exact) = (Patterns::any_case("ChatÉ*"), Patterns::exact("Chat*"));
        assert!(any.unwrap().match_name("cHATéR") && !exact.unwrap().match_name("cHATTER"));
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_named() {
        assert_eq!(Patterns::exact(r"a,b\").unwrap_err(), r"b\");
        assert_eq!(Patterns::exact("a,*a*a*a*a*a*").unwrap_err(), "*a*a*a*a*a*");
    }
}
