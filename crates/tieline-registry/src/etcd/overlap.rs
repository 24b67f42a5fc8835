//! Clusters whose keys overlap: one prefix begins with the other, as `tieline` and `tieline-staging`.
//!
//! Owns how such a cluster is found: by the keys of its nodes, which live as long as their leases do. Must not know
//! entries: those of programs that join no registry name no cluster.

use super::{
    call_error::CallError,
    client::RetrySafety,
    layout::{Layout, prefix_of_live},
    registry::EtcdRegistry,
    rpc::{RangeRequest, TxnRequest, first_of},
};

/// Ranges of one transaction: etcd's limit is 128.
const RANGES: usize = 100;

/// Keys of one read.
const PAGE: i64 = 128;

impl EtcdRegistry {
    pub(super) async fn do_overlap(&self) -> Result<Option<String>, CallError> {
        match self.longer_prefix().await? {
            None => self.shorter_prefix().await,
            longer => Ok(longer),
        }
    }

    /// A live cluster whose prefix begins with this one's. Its own keys are those that begin as this one's do,
    /// and are none of this one's nodes, shadows and rosters.
    async fn longer_prefix(&self) -> Result<Option<String>, CallError> {
        for (mut key, range_end) in self.layout.own_keys_of_others() {
            loop {
                let range = RangeRequest {
                    key,
                    range_end: range_end.clone(),
                    limit: PAGE,
                    ..RangeRequest::default()
                };
                let found = self.client.call(RetrySafety::Idempotent, range).await?;
                let prefix = found.kvs.iter().find_map(|kv| prefix_of_live(&kv.key));
                if prefix.is_some() {
                    return Ok(prefix);
                }
                // Nothing but epochs and marks, which end later than the nodes, or never.
                let last = found.kvs.last().filter(|_| found.more);
                let Some(last) = last else { break };
                key = [&last.key[..], b"\0"].concat().into();
            }
        }
        Ok(None)
    }

    /// A live cluster whose prefix this one's begins with. A user who may not read its keys shares none with
    /// it.
    async fn shorter_prefix(&self) -> Result<Option<String>, CallError> {
        let prefix = self.layout.prefix();
        let ends = prefix.char_indices().map(|(end, _)| &prefix[..end]);
        let shorter: Vec<_> = ends
            .filter_map(|prefix| Some((prefix, Layout::new(prefix).ok()?)))
            .collect();
        for some in shorter.chunks(RANGES) {
            let ranges = some.iter().map(|(_, layout)| first_of(layout.nodes()));
            let txn = TxnRequest {
                compare: Vec::new(),
                success: ranges.collect(),
                failure: Vec::new(),
            };
            let found = match self.client.call(RetrySafety::Idempotent, txn).await {
                Ok(found) => found,
                Err(CallError::Denied(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            let mut with_nodes = found.reads().zip(some).filter(|(node, _)| node.is_some());
            if let Some((_, (prefix, _))) = with_nodes.next() {
                return Ok(Some((*prefix).to_owned()));
            }
        }
        Ok(None)
    }
}
