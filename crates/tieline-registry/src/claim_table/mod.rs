//! A node's side of the registry protocol, as a pure state machine.
//!
//! The nodes of the crate `tieline` and the simulated nodes of `tieline-registry-conformance` drive the
//! same [`ClaimTable`], so the suite tests a registry against what real nodes do. To write a registry,
//! you do not need this module.
//!
//! ```
//! use tieline_registry::{
//!     ClaimOutcomes, ClientId, NodeSession, Stamp, Verdict,
//!     claim_table::{ClaimReply, ClaimTable, Effect, Lane},
//! };
//!
//! # fn main() -> Result<(), tieline_registry::NameError> {
//! # let session = NodeSession {
//! #     address: "10.0.0.1:7000".into(),
//! #     process: uuid::Uuid::nil(),
//! #     ttl: std::time::Duration::from_secs(10),
//! #     lease_id: 0,
//! #     fencing_token: 0,
//! # };
//! let mut table = ClaimTable::default();
//! table.on_joined(session);
//! table.connect(&ClientId::new("ada")?, Stamp(1), "connection 1", false);
//!
//! let mut requests = table.next_requests(Lane::Urgent, 512);
//! let request = requests.pop().expect("a claim");
//! // Here the driver sends the request to the registry.
//! let granted = ClaimOutcomes::Verdicts(vec![Verdict::Granted { displaced: None }]);
//! let effects = table.on_reply(request, ClaimReply::Claims(granted));
//! assert_eq!(effects, [Effect::Granted(Stamp(1))]);
//! # Ok(())
//! # }
//! ```

mod entry;
mod lanes;
mod request;
mod table;

pub use self::{
    lanes::Lane,
    request::{ClaimBatch, ClaimReply, ClaimRequest, Effect, StopReason},
    table::ClaimTable,
};
