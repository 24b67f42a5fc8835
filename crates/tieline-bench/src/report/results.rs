//! The results that a report shows.

use crate::{
    compare::Comparison,
    outcome::Outcome,
    registry::{RegistryOutcome, RegistryPlan},
};

/// The results of one command.
pub(crate) enum Results {
    Measurement(Box<Outcome>),
    Comparison(Comparison),
    Registry(RegistryPlan, Box<RegistryOutcome>),
}
