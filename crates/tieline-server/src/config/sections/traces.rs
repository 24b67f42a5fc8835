//! Where traces are sent, and how many.

use http::Uri;

use crate::config::{
    option::{Invalid, Place, Setting},
    section::section,
    types::quoted,
};

section! {
    /// Traces of requests, sent to a collector.
    pub(crate) struct TracesSettings in "traces" {
        endpoint: Option<Collector> = None,
            "URL of a collector that gets traces over OTLP with gRPC.",
            "A few microseconds for each request and event, and up to 4,096 spans in memory. OTEL_EXPORTER_OTLP_HEADERS adds \
             headers, such as a token.",
            flag: "traces-endpoint", without: "no traces";
        sample_ratio: Ratio = Ratio(0.1),
            "The share of traces that are recorded, from 0 to 1.",
            "It is for traces that begin here. If a backend sends a traceparent, that says whether the trace is recorded.",
            flag: "traces-sample-ratio";
    }
}

/// The URL of a collector: scheme, host and port. Invariant: valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collector(String);

impl Collector {
    #[cfg(feature = "otlp")]
    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}

impl Setting for Collector {
    const EXPECTED: &'static str = "a URL such as \"http://127.0.0.1:4317\"";
    const METAVAR: &'static str = "URL";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        if cfg!(not(feature = "otlp")) {
            let why = "this program cannot send traces: it was built without the feature `otlp`";
            return Err(Invalid::Other(why.into()));
        }
        // The text may have a password, so no error repeats it.
        let invalid = |why: &str| Invalid::Other(format!("expected {}: {why}", Self::EXPECTED));
        let uri: Uri = text.parse().map_err(|_| invalid("it is no URL"))?;
        let host = uri.authority().map(http::uri::Authority::as_str);
        match (uri.scheme_str(), host) {
            (Some("http" | "https"), Some(host)) if !host.contains('@') => {}
            (_, Some(host)) if host.contains('@') => {
                return Err(invalid("it has a password; use OTEL_EXPORTER_OTLP_HEADERS"));
            }
            _ => return Err(invalid("it must begin with http:// or https://")),
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(invalid("it has a path, which gRPC does not use"));
        }
        Ok(Self(text.into()))
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio(pub(crate) f64);

/// It is never NaN.
impl Eq for Ratio {}

impl Setting for Ratio {
    const EXPECTED: &'static str = "a number from 0 to 1, such as 0.25";
    const METAVAR: &'static str = "RATIO";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        let ratio = text.parse().ok();
        let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.map(Self).ok_or_else(|| Invalid::text(text))
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        match value {
            toml::Value::Float(ratio) => Self::from_text(&ratio.to_string(), place),
            toml::Value::Integer(ratio) => Self::from_text(&ratio.to_string(), place),
            other => Err(Invalid::found(other)),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}
