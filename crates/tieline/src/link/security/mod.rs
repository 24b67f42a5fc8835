//! Peer security.

mod tls;
mod trust;

pub(super) use self::trust::Trust;
pub use self::{
    tls::PeerTls,
    trust::{PeerSecurity, SecurityError},
};
