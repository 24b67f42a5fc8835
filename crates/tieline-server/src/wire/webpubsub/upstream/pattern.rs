//! Patterns for the names of events and groups.
//!
//! Owns their syntax. Must not know what is named. Invariant: the time to match grows with the length of the
//! name times that of the pattern, whatever they contain.

/// Names of one of these patterns, as from `orders.*,chat`. `*` and `?` stand for any characters but dots, `**`
/// for dots too; `\` makes the next character an ordinary one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns(Vec<Vec<Token>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Exactly(char),
    /// One character that is no dot.
    One,
    /// Any number of characters, none a dot.
    Many,
    /// Any number of characters.
    All,
}

impl Patterns {
    /// Reads patterns between commas. Blanks around them do not count.
    pub(crate) fn parse(list: &str) -> Self {
        let mut patterns = vec![Vec::new()];
        let mut chars = list.chars().peekable();
        while let Some(char) = chars.next() {
            let token = match char {
                ',' => {
                    patterns.push(Vec::new());
                    continue;
                }
                '\\' => Token::Exactly(chars.next().unwrap_or('\\')),
                '?' => Token::One,
                '*' if chars.next_if_eq(&'*').is_some() => Token::All,
                '*' => Token::Many,
                char => Token::Exactly(char),
            };
            if let Some(pattern) = patterns.last_mut() {
                pattern.push(token);
            }
        }
        let trimmed = patterns.iter().map(|pattern| trim(pattern).to_vec());
        Self(trimmed.filter(|pattern| !pattern.is_empty()).collect())
    }

    /// Whether a pattern matches, letter by letter.
    pub(crate) fn match_exactly(&self, name: &str) -> bool {
        self.any(name, |a, b| a == b)
    }

    /// Whether a pattern matches, without regard to case.
    pub(crate) fn match_any_case(&self, name: &str) -> bool {
        self.any(name, |a, b| a == b || a.to_lowercase().eq(b.to_lowercase()))
    }

    fn any(&self, name: &str, same: fn(char, char) -> bool) -> bool {
        self.0.iter().any(|pattern| matches(pattern, name, same))
    }
}

fn trim(mut pattern: &[Token]) -> &[Token] {
    const BLANK: Token = Token::Exactly(' ');
    while let [BLANK, rest @ ..] | [rest @ .., BLANK] = pattern {
        pattern = rest;
    }
    pattern
}

/// Follows all ways to match at once: `reached[i]` says that the first `i` tokens match what was read.
fn matches(pattern: &[Token], name: &str, same: fn(char, char) -> bool) -> bool {
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_empty(pattern, &mut reached);
    for char in name.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (i, token) in pattern.iter().enumerate() {
            if !reached[i] {
                continue;
            }
            match token {
                Token::Exactly(expected) => next[i + 1] |= same(*expected, char),
                Token::One => next[i + 1] |= char != '.',
                Token::Many => next[i] |= char != '.',
                Token::All => next[i] = true,
            }
        }
        skip_empty(pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// A star may stand for nothing.
fn skip_empty(pattern: &[Token], reached: &mut [bool]) {
    for (i, token) in pattern.iter().enumerate() {
        if matches!(token, Token::Many | Token::All) && reached[i] {
            reached[i + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_documented() {
        for (list, names, others) in [
            ("*", &["a", "message", ""][..], &["a.b", "."][..]),
            ("**", &["a", "a.b", ""], &[]),
            ("a?c", &["abc", "aéc"], &["ac", "a.c", "abbc"]),
            ("chat.*", &["chat.new", "chat."], &["chat", "chat.a.b"]),
            ("chat.**", &["chat.a.b"], &["chat"]),
            ("*.end, b", &["x.end", "b"], &["x.y.end", "end", " b"]),
            (r"\*,a\,b", &["*", "a,b"], &["x", "a", "b"]),
            ("", &[], &["", "a"]),
            (" , ,", &[], &["", " "]),
        ] {
            let patterns = Patterns::parse(list);
            for name in names {
                assert!(patterns.match_exactly(name), "{list} does not match {name}");
            }
            for name in others {
                assert!(!patterns.match_exactly(name), "{list} matches {name}");
            }
        }
    }

    #[test]
    fn case_counts_where_it_is_asked_to() {
        let patterns = Patterns::parse("Chat*");
        assert!(patterns.match_any_case("cHATTER") && !patterns.match_exactly("cHATTER"));
    }

    #[test]
    fn many_stars_cost_no_exponential_time() {
        let patterns = Patterns::parse(&"*a".repeat(100));
        assert!(!patterns.match_exactly(&"a".repeat(99)));
        assert!(!patterns.match_exactly(&format!("{}b", "a".repeat(1000))));
    }
}
