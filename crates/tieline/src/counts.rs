//! How much a node holds.
//!
//! Owns the public form of the counts. Knows nobody who counts.

/// What a node holds, by [`Hub::counts`](crate::Hub::counts), or the nodes of a cluster together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that were accepted and have not ended, closing ones included.
    pub connections: u64,
    /// Users who have connections. One with connections on several nodes counts once for each node.
    pub users: u64,
    /// Groups that have members. One with members on several nodes counts once for each node.
    pub groups: u64,
}

#[cfg(feature = "cluster")]
impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.users += other.users;
        self.groups += other.groups;
    }
}
