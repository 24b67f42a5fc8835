//! A registry in memory.

/// A registry in memory.
#[derive(Debug, Default)]
pub struct MemoryRegistry;
