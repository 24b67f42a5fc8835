//! The nearest known name, for whoever mistyped one.

use strsim::damerau_levenshtein;

/// The name that was probably meant. A third of its letters may differ, at least two.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = normal(wrong);
    let ranked = known.map(|name| (damerau_levenshtein(&wrong, &normal(name)), name));
    let (distance, name) = ranked.min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.len() / 3).clamp(2, 5)).then_some(name)
}

/// Without what people mix up.
pub(super) fn normal(name: &str) -> String {
    name.replace('-', "_").to_ascii_lowercase()
}
