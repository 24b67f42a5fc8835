//! The words of a filter.

use super::error::Mistake;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    Comma,
    /// Without its quotes.
    Text(Box<str>),
    Int(i64),
    /// A keyword, or the name of a property or a function.
    Word(&'a str),
    /// A character that begins nothing.
    Stray,
    End,
}

/// Splits a text into tokens, from left to right.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token, and where it begins, in bytes.
    pub(super) fn next(&mut self) -> Result<(usize, Token<'a>), (usize, Mistake)> {
        let blank = |c: char| c.is_ascii_whitespace();
        self.at = self.text.len() - self.text[self.at..].trim_start_matches(blank).len();
        let start = self.at;
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else {
            return Ok((start, Token::End));
        };
        let (length, token) = match first {
            '(' => (1, Token::Open),
            ')' => (1, Token::Close),
            ',' => (1, Token::Comma),
            '\'' => quoted(rest).ok_or((start, Mistake::OpenText))?,
            '-' | '0'..='9' => {
                let length = 1 + leading(&rest[1..], |c| c.is_ascii_digit());
                let number = rest[..length]
                    .parse()
                    .map_err(|_| (start, Mistake::Number))?;
                (length, Token::Int(number))
            }
            c if is_of_word(c) => {
                let length = leading(rest, is_of_word);
                (length, Token::Word(&rest[..length]))
            }
            c => (c.len_utf8(), Token::Stray),
        };
        self.at += length;
        Ok((start, token))
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// How many bytes at the beginning are of this kind.
fn leading(text: &str, kind: impl Fn(char) -> bool) -> usize {
    text.find(|c| !kind(c)).unwrap_or(text.len())
}

/// A text in quotes; two quotes within it are one.
fn quoted<'a>(rest: &str) -> Option<(usize, Token<'a>)> {
    let mut at = 1;
    loop {
        at += rest[at..].find('\'')? + 1;
        if !rest[at..].starts_with('\'') {
            let text = rest[1..at - 1].replace("''", "'");
            return Some((at, Token::Text(text.into())));
        }
        at += 1;
    }
}
