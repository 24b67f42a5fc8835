//! Durations and sizes as people write them: `10s`, `1h30m`, `4MiB`, `64k`.
//!
//! Must not know where a text comes from. Invariant: what `show_…` writes, `…` reads back.

use std::time::Duration;

/// Milliseconds of each unit, the longest first.
const TIMES: [(&str, u64); 6] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("min", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Bytes of each unit, the largest first. All are powers of 1024: memory comes in these, and two meanings
/// of nearly the same letters would only hide mistakes.
const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("", 1),
];

/// One or several numbers with units, such as `1m30s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = None::<Duration>;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, next) = after.split_at(end.unwrap_or(after.len()));
        let (_, factor) = TIMES.iter().find(|(name, _)| *name == unit)?;
        let part = Duration::from_millis(number.checked_mul(*factor)?);
        sum = Some(sum.unwrap_or_default().checked_add(part)?);
        rest = next.trim_start();
    }
    sum
}

/// Whole seconds without a unit, as flags have always taken them, or a duration with units.
pub(super) fn duration_or_seconds(text: &str) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => duration(text),
    }
}

/// A number of bytes, with a unit or without.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text.trim())?;
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    Some((number.parse().ok()?, rest))
}

pub(super) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // Days and minutes only from two on: "60s" and "24h" are what people write.
    let unit = TIMES.iter().find(|(name, factor)| {
        let count = millis / factor;
        millis.is_multiple_of(*factor)
            && count > 0
            && (count > 1 || !["d", "m", "min"].contains(name))
    });
    let (name, factor) = unit.unwrap_or(&("s", 1000));
    format!("{}{name}", millis / factor)
}

pub(super) fn show_size(size: u64) -> String {
    let unit = SIZES
        .iter()
        .find(|(_, factor)| size.is_multiple_of(*factor));
    let (name, factor) = unit.filter(|_| size > 0).unwrap_or(&("", 1));
    format!("{}{name}", size / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, millis) in [
            ("10s", 10_000),
            ("250ms", 250),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("1 min 30 s", 90_000),
            ("2d", 172_800_000),
            (" 0s ", 0),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "10sec",
            "10S",
            "99999999999999999999s",
            "1s2",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(duration_or_seconds("10"), Some(Duration::from_secs(10)));
        assert_eq!(duration_or_seconds("10ms"), Some(Duration::from_millis(10)));
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("7B", 7),
            ("64k", 65_536),
            ("64KiB", 65_536),
            ("64kb", 65_536),
            ("4MiB", 4 << 20),
            ("4 mib", 4 << 20),
            ("2g", 2 << 30),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "4TiB", "-1", "4 MiB 1", "99999999999g"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for millis in [
            0, 1, 250, 1000, 1500, 60_000, 75_000, 120_000, 3_600_000, 86_400_000,
        ] {
            let time = Duration::from_millis(millis);
            assert_eq!(duration(&show_duration(time)), Some(time));
        }
        for bytes in [0, 1, 1000, 1024, 16 << 10, 1 << 20, (1 << 20) + 1, 3 << 30] {
            assert_eq!(size(&show_size(bytes)), Some(bytes));
        }
        assert_eq!(show_duration(Duration::from_mins(1)), "60s");
        assert_eq!(show_duration(Duration::from_hours(2)), "2h");
        assert_eq!(show_size(16 << 10), "16KiB");
    }
}
