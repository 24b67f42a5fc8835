//! The syntax of hub names.

/// Longest name, in characters.
const MAX_LENGTH: usize = 128;

/// The name in lower case, in which names are compared, if it is valid.
pub(crate) fn check(name: &str) -> Result<String, String> {
    let mut chars = name.chars();
    let first_fits = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
    let rest_fits = chars.all(|c| c.is_ascii_alphanumeric() || "_`,.[]".contains(c));
    if first_fits && rest_fits && name.len() <= MAX_LENGTH {
        return Ok(name.to_ascii_lowercase());
    }
    Err("a hub name starts with a letter, followed by up to 127 letters, digits or _`,.[]".into())
}
