//! A histogram of latencies.
//!
//! Owns its bounds, its resolution and its text form. Must not know what was measured. Invariant: new
//! histograms have the same bounds, so those of all processes can be merged.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2Serializer},
};
use serde::{Deserialize, Serialize};

/// A histogram of nanoseconds, 1 µs to 60 s at two significant digits. Serialized as text: `HdrHistogram`
/// V2 in base64.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Latency(pub Histogram<u64>);

/// A text is not a histogram.
#[derive(Debug, thiserror::Error)]
#[error("not a histogram (HdrHistogram V2 in base64): {0}")]
pub struct LatencyError(String);

impl Latency {
    /// An empty histogram.
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1_000, 60_000_000_000, 2);
        Self(histogram.expect("the bounds are in order"))
    }

    /// The latency at a percentile of the messages that arrived; zero if none did.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Latency> for String {
    fn from(latency: Latency) -> Self {
        let mut bytes = Vec::new();
        let written = V2Serializer::new().serialize(&latency.0, &mut bytes);
        written.expect("writing to a vector cannot fail");
        STANDARD.encode(bytes)
    }
}

impl TryFrom<String> for Latency {
    type Error = LatencyError;

    fn try_from(text: String) -> Result<Self, LatencyError> {
        let bytes = STANDARD.decode(text);
        let bytes = bytes.map_err(|error| LatencyError(error.to_string()))?;
        let histogram = Deserializer::new().deserialize(&mut bytes.as_slice());
        histogram
            .map(Self)
            .map_err(|error| LatencyError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_survives_as_text() {
        let mut latency = Latency::new();
        for micros in 1..=10_000 {
            latency.0.saturating_record(micros * 1_000);
        }
        let text = serde_json::to_string(&latency).unwrap();
        let back: Latency = serde_json::from_str(&text).unwrap();
        assert_eq!(back.0, latency.0);
        let median = back.percentile(50.0).as_secs_f64();
        assert!((median / 0.005 - 1.0).abs() < 0.01, "{median}");
        assert_eq!(Latency::new().percentile(99.0), Duration::ZERO);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "?", "AAAA", "SGVsbG8sIHdvcmxk"] {
            let said = Latency::try_from(text.to_owned()).unwrap_err();
            assert!(said.to_string().contains("histogram"), "{said}");
        }
    }
}
