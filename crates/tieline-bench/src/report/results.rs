//! The results that a report shows.

use crate::{
    compare::Comparison,
    outcome::Outcome,
    registry::{RegistryOutcome, RegistryPlan},
};

/// The results of one command.
pub(crate) enum Results {
    Measurement(Outcome),
    Comparison(Comparison),
    Registry(RegistryPlan, RegistryOutcome),
}
