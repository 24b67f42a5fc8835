//! The context of a span, as it travels with requests: the header `traceparent` of W3C Trace Context.
//!
//! Must not know where it travels. Invariant: what is no valid context is no context, as the specification asks.

use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The bytes of a context: version, trace, parent and flags, in hexadecimal digits between dashes.
pub(crate) const LENGTH: usize = 55;

/// Which span of which trace asks for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext([u8; LENGTH]);

impl TraceContext {
    /// That of the current span. `None` unless there is one and traces are on.
    pub(crate) fn current() -> Option<Self> {
        imp::current()
    }

    /// That of a request. `None` if it has none, or several.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes()),
            _ => None,
        }
    }

    /// Reads version 00, and what of later ones is the same.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (context, rest) = text.split_first_chunk::<LENGTH>()?;
        let is_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = |part: &[u8]| part.iter().all(|b| *b == b'0');
        let (version, trace, parent, flags) = (
            &context[..2],
            &context[3..35],
            &context[36..52],
            &context[53..],
        );
        let is_valid = [2, 35, 52].iter().all(|at| context[*at] == b'-')
            && [version, trace, parent, flags].into_iter().all(is_hex)
            && !is_zero(trace)
            && !is_zero(parent)
            && version != b"ff"
            && match rest {
                [] => true,
                [first, ..] => version != b"00" && *first == b'-',
            };
        is_valid.then_some(Self(*context))
    }

    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("digits and dashes are a valid value")
    }

    /// Makes it the parent of a span that nobody has entered yet.
    pub(crate) fn adopt(&self, span: &Span) {
        imp::adopt(self, span);
    }
}

#[cfg(feature = "otlp")]
mod imp {
    use opentelemetry::{
        Context, SpanId, TraceFlags, TraceId,
        trace::{SpanContext, TraceContextExt, TraceState},
    };
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::TraceContext;

    pub(super) fn current() -> Option<TraceContext> {
        let span = Span::current();
        if span.is_disabled() {
            return None;
        }
        let context = span.context();
        let span = context.span();
        let span = span.span_context();
        let text = format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags() & TraceFlags::SAMPLED
        );
        TraceContext::parse(text.as_bytes())
    }

    pub(super) fn adopt(context: &TraceContext, span: &Span) {
        if let Some(parent) = parent(context) {
            // An error says that traces are off.
            let _ = span.set_parent(Context::new().with_remote_span_context(parent));
        }
    }

    fn parent(TraceContext(text): &TraceContext) -> Option<SpanContext> {
        let text = str::from_utf8(text).ok()?;
        let flags = u8::from_str_radix(&text[53..], 16).ok()?;
        Some(SpanContext::new(
            TraceId::from_hex(&text[3..35]).ok()?,
            SpanId::from_hex(&text[36..52]).ok()?,
            TraceFlags::new(flags) & TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        ))
    }
}

#[cfg(not(feature = "otlp"))]
mod imp {
    use tracing::Span;

    use super::TraceContext;

    pub(super) fn current() -> Option<TraceContext> {
        None
    }

    pub(super) fn adopt(_: &TraceContext, _: &Span) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, 3.2.
    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_a_valid_context_is_one() {
        let context = TraceContext::parse(VALID.as_bytes()).unwrap();
        assert_eq!(context.header(), VALID);
        let later = VALID.replacen("00", "01", 1) + "-more";
        assert!(TraceContext::parse(later.as_bytes()).is_some());
        for wrong in [
            "",
            "00",
            &VALID[1..],
            &VALID.to_uppercase(),
            &VALID.replace('-', "_"),
            &VALID.replacen("00", "ff", 1),
            &format!("{VALID}-more"),
            &later.replace("-more", "more"),
            &VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
        ] {
            assert_eq!(TraceContext::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn of_several_headers_none_is_chosen() {
        let mut headers = HeaderMap::new();
        assert_eq!(TraceContext::of(&headers), None);
        headers.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert!(TraceContext::of(&headers).is_some());
        headers.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert_eq!(TraceContext::of(&headers), None);
    }
}
