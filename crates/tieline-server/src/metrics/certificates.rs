//! What is shown of the certificates: when they expire, and whether their files can be used.
//!
//! Must not know what is soon. A node without certificates shows no time.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

#[derive(Debug, Default)]
pub(super) struct CertificateMetrics {
    expiry: Family<CertificateLabel, Gauge<u64, AtomicU64>>,
    reload_failed: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabel {
    of: &'static str,
}

impl CertificateMetrics {
    pub(super) fn expires(&self, of: &'static str, at: u64) {
        let label = CertificateLabel { of };
        self.expiry.get_or_create(&label).set(at);
    }

    pub(super) fn read(&self, can_be_used: bool) {
        self.reload_failed.set(i64::from(!can_be_used));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "tieline_certificate_expiry_timestamp",
            "When the first certificate in use expires",
            Unit::Seconds,
            self.expiry.clone(),
        );
        registry.register(
            "tieline_certificate_reload_failed",
            "Whether the files of the certificates cannot be used",
            self.reload_failed.clone(),
        );
    }
}
