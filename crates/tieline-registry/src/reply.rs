//! The future that each method of the contract returns.

use std::pin::Pin;

use crate::error::RegistryError;

/// The future that each method of a [`Registry`](crate::Registry) and of [`Rosters`](crate::Rosters) returns.
pub type RegistryFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send + 'a>>;
