//! A node's side of the registry protocol, as a pure state machine.
//!
//! Nodes of the crate `tieline` and the simulated nodes of `tieline-registry-conformance` both drive
//! it, so that the suite tests a registry against what real nodes do. The author of a registry does not
//! need it.
//!
//! ```
//! use tieline_registry::{
//!     Claimed, ClientId, Session, Stamp, Verdict,
//!     claim_table::{Answered, Effect, Pace, Slots},
//! };
//!
//! # fn main() -> Result<(), tieline_registry::NameError> {
//! # let session = Session {
//! #     address: "10.0.0.1:7000".into(),
//! #     process: uuid::Uuid::nil(),
//! #     ttl: std::time::Duration::from_secs(10),
//! #     lease: 0,
//! #     fence: 0,
//! # };
//! let mut slots = Slots::default();
//! slots.joined(session);
//! slots.connect(&ClientId::new("ada")?, Stamp(1), "connection 1", false);
//!
//! let mut requests = slots.take(Pace::Urgent, Stamp(1), 512);
//! let request = requests.pop().expect("a claim");
//! // Here the driver asks the registry.
//! let granted = Claimed::Verdicts(vec![Verdict::Granted { displaced: None }]);
//! let effects = slots.answered(request, Answered::Claims(granted));
//! assert_eq!(effects, [Effect::Granted(Stamp(1))]);
//! # Ok(())
//! # }
//! ```

mod entry;
mod request;
mod table;

pub use self::{
    request::{ClaimBatch, ClaimReply, Effect, Lane, Request},
    table::ClaimTable,
};
