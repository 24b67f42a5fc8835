//! What every scenario takes for granted: a registry that answers, and valid names.

use tieline_registry::{ClientId, Epoch, NodeReport, RegistryError, Stamp};

/// The id with this key: in the default namespace, a name.
pub(crate) fn client_id(key: &str) -> ClientId {
    ClientId::from_key(key).expect("the names of the suite are valid ids")
}

/// The report of a node that has refilled nothing.
pub(crate) fn report_at(now: Stamp) -> NodeReport {
    NodeReport {
        now,
        refilled: Epoch::default(),
    }
}

/// The reply of the registry. An error fails the scenario: the suite needs a store that answers.
pub(crate) fn expect_reply<T>(reply: Result<T, RegistryError>) -> T {
    reply.unwrap_or_else(|error| {
        panic!(
            "the registry returned an error; \
             check that the store is running and reachable: {error} ({error:?})"
        )
    })
}
