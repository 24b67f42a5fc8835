//! Patterns of names, in parts separated by dots.
//!
//! Owns their syntax, which is that of the hosted service. Must not know what is named. Invariant: a check
//! takes time in proportion to the product of pattern and name at most, whatever both are.

use std::fmt::{self, Write};

/// Most stars in a pattern, as in the hosted service.
const MAX_STARS: usize = 5;

/// A pattern: `*` stands for any characters but dots, `**` for any characters, `?` for one character that is
/// no dot, and `\` takes the next character as it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Box<[Piece]>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    /// `?`
    One,
    /// `*`
    Star,
    /// `**`
    Stars,
}

/// As it is written, with no more `\` than it needs.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => {
                    for c in text.chars() {
                        if matches!(c, '*' | '?' | '\\') {
                            f.write_char('\\')?;
                        }
                        f.write_char(c)?;
                    }
                }
                Piece::One => f.write_char('?')?,
                Piece::Star => f.write_char('*')?,
                Piece::Stars => f.write_str("**")?,
            }
        }
        Ok(())
    }
}

impl Pattern {
    /// `None` for a pattern with too many stars, or with a `\` at its end.
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            let piece = match c {
                '*' if chars.next_if_eq(&'*').is_some() => Piece::Stars,
                '*' => Piece::Star,
                '?' => Piece::One,
                '\\' => {
                    literal.push(chars.next()?);
                    continue;
                }
                c => {
                    literal.push(c);
                    continue;
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
            }
            pieces.push(piece);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        let is_star = |piece: &&Piece| matches!(piece, Piece::Star | Piece::Stars);
        (pieces.iter().filter(is_star).count() <= MAX_STARS).then(|| Self(pieces.into()))
    }

    /// Follows all ways through the name at once: trying one after the other would take a time that grows
    /// with the name to the power of the stars.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let mut pieces = &*self.0;
        let mut name = name;
        // Most patterns begin with a literal, and most names without it.
        if let [Piece::Literal(literal), rest @ ..] = pieces {
            let Some(after) = name.strip_prefix(&**literal) else {
                return false;
            };
            (pieces, name) = (rest, after);
        }
        // Whether the pieces so far match the name up to there.
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for piece in pieces {
            reached = piece.follow(name, &reached);
        }
        reached[name.len()]
    }
}

impl Piece {
    /// Where the piece can end, if it begins where `reached` says.
    fn follow(&self, name: &str, reached: &[bool]) -> Vec<bool> {
        let mut ends = vec![false; reached.len()];
        for (at, c) in name.char_indices().chain([(name.len(), '.')]) {
            match self {
                Self::Literal(literal) if reached[at] && name[at..].starts_with(&**literal) => {
                    ends[at + literal.len()] = true;
                }
                Self::One if reached[at] && c != '.' => ends[at + c.len_utf8()] = true,
                Self::Star | Self::Stars if reached[at] || ends[at] => {
                    ends[at] = true;
                    if at < name.len() && (c != '.' || *self == Self::Stars) {
                        ends[at + c.len_utf8()] = true;
                    }
                }
                _ => {}
            }
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stops_at_a_dot_and_two_do_not() {
        for (pattern, name, matches) in [
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "ab", true),
            ("*", "a.b", false),
            ("**", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.**", "a.b.c", true),
            ("a.**", "a", false),
            ("*.b", "a.b", true),
            ("*a*", "bab", true),
            ("*a*b", "xaxaxb", true),
            ("**.c", "a.b.c", true),
            ("a?c", "abc", true),
            ("a?c", "a.c", false),
            ("a?c", "ac", false),
            ("?", "é", true),
            ("*é*", "aéb", true),
            ("?b", "éb", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            (r"\\", r"\", true),
            (r"\?\.", "?.", true),
            ("***", "a.b", true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn five_stars_at_most() {
        assert!(Pattern::parse("*a*a*a*a**").is_some());
        assert_eq!(Pattern::parse("*a*a*a*a*a*"), None);
        assert!(
            Pattern::parse(r"*\**\**\**\**\*").is_some(),
            "an escaped star is none"
        );
        assert_eq!(Pattern::parse(r"a\"), None);
    }

    #[test]
    fn the_worst_pattern_is_checked_at_once() {
        let name = "a".repeat(1024);
        let pattern = Pattern::parse("*a*a*a*a*b").unwrap();
        // One way after the other would be 10^14.
        (0..100).for_each(|_| assert!(!pattern.matches(&name)));
    }
}
