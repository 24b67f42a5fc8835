//! What every scenario takes for granted: a registry that answers, and valid names.

use tieline_registry::{ClientId, RegistryError};

pub(crate) fn client_id(name: &str) -> ClientId {
    ClientId::new(name).expect("a good id")
}

/// What the registry answered; the suite needs a registry that can be reached.
pub(crate) fn expect_reply<T>(answer: Result<T, RegistryError>) -> T {
    answer.unwrap_or_else(|error| panic!("the registry failed: {error} ({error:?})"))
}
