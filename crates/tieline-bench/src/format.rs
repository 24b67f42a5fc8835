//! Numbers, times and sizes as text.
//!
//! Knows nothing of measurements.

use std::time::Duration;

/// A time with three digits and a unit.
pub(crate) fn time(time: Duration) -> String {
    micros(time.as_secs_f64() * 1e6)
}

/// Microseconds with three digits and a unit.
pub(crate) fn micros(micros: f64) -> String {
    match micros {
        0.0 => "0".into(),
        us if us < 0.9995 => format!("{} ns", three(us * 1e3)),
        us if us < 999.5 => format!("{} µs", three(us)),
        us if us < 999_500.0 => format!("{} ms", three(us / 1e3)),
        us => format!("{} s", three(us / 1e6)),
    }
}

/// A configured time, without trailing digits.
pub(crate) fn setting(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", seconds * 1e3)
    } else {
        format!("{seconds} s")
    }
}

/// Bytes with three digits and a unit.
pub(crate) fn bytes(bytes: f64) -> String {
    let size = bytes.abs();
    match size {
        _ if size < 9_999.5 => format!("{} B", number(bytes)),
        _ if size < 999.5 * 1_024.0 => format!("{} KiB", three(bytes / 1_024.0)),
        _ if size < 999.5 * 1_048_576.0 => format!("{} MiB", three(bytes / 1_048_576.0)),
        _ => format!("{} GiB", three(bytes / 1_073_741_824.0)),
    }
}

/// Three digits.
fn three(figure: f64) -> String {
    match figure.abs() {
        size if size < 9.995 => format!("{figure:.2}"),
        size if size < 99.95 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

/// A whole number in groups of three digits.
pub(crate) fn number(figure: f64) -> String {
    let digits = format!("{:.0}", figure.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if figure <= -0.5 {
        format!("-{text}")
    } else {
        text
    }
}

pub(crate) fn count(count: u64) -> String {
    number(float(count))
}

/// A ratio of two figures.
pub(crate) fn ratio(ratio: f64) -> String {
    format!("{}×", three(ratio))
}

pub(crate) fn plural(many: u64, what: &str) -> String {
    let ending = if many == 1 { "" } else { "s" };
    format!("{} {what}{ending}", count(many))
}

/// The placeholder for a figure that was not measured.
pub(crate) fn none() -> String {
    "–".into()
}

/// A count as a float; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "figures are rounded anyway")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (nanos, text) in [
            (0, "0"),
            (840, "840 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_340, "12.3 µs"),
            (999_900, "1.00 ms"),
            (59_900_000_000, "59.9 s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanos)), text);
        }
        assert_eq!(setting(Duration::from_millis(500)), "500 ms");
        assert_eq!(setting(Duration::from_millis(1500)), "1.5 s");
    }

    #[test]
    fn numbers_have_groups() {
        for (figure, text) in [
            (0.4, "0"),
            (999.0, "999"),
            (-1234.0, "-1,234"),
            (1e7, "10,000,000"),
        ] {
            assert_eq!(number(figure), text);
        }
        assert_eq!(bytes(1234.0), "1,234 B");
        assert_eq!(bytes(-20_480.0), "-20.0 KiB");
        assert_eq!(bytes(5e9), "4.66 GiB");
    }
}
