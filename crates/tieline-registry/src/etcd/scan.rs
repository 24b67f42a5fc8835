//! Reads and walks, and deletion by address.
//!
//! Owns the pages. A page begins at a key, so a walk lists each key at most once.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    batch::BATCH,
    call_error::CallError,
    client::RetrySafety,
    layout::{self, Shadow},
    registry::EtcdRegistry,
    rpc::{
        KeyValue, RangeRequest, RangeResponse, TxnRequest, delete, delete_if, first_of, get,
        get_stale, nested, value_is,
    },
};
use crate::{
    id::ClientId,
    types::{Cursor, Entry, Located, NodeInfo, Owner, Page},
};

/// Keys of one page.
const PAGE: i64 = 512;

impl EtcdRegistry {
    pub(super) async fn do_locate(&self, key: &str, fresh: bool) -> Result<Located, CallError> {
        let (entry, shadow) = (self.layout.entry_key(key), self.layout.shadow_key(key));
        let is_shared = entry.is_some();
        let keys = || entry.clone().into_iter().chain([shadow.clone()]);
        // The current endpoint may lag behind or be cut off. If it has an outdated entry, the node in the
        // entry corrects it; if it has none, nobody would, so the leader is asked.
        if !fresh {
            let reads = keys().map(get_stale).collect();
            let mut found = self.read(RetrySafety::StaleRead, reads).await?;
            if let Some(entry) = self.entry_of(&mut found, is_shared) {
                return Ok(Located::At(entry));
            }
        }
        // All as of one revision: the marks must be those of the moment at which the entry is missing.
        let epoch = get(self.layout.epoch_key());
        let mark = first_of(self.layout.marks());
        let reads = keys().map(get).chain([epoch, mark]).collect();
        let mut found = self.read(RetrySafety::Idempotent, reads).await?;
        if let Some(entry) = self.entry_of(&mut found, is_shared) {
            return Ok(Located::At(entry));
        }
        let mut next = || found.next().flatten();
        let (epoch, mark) = (next(), next());
        if epoch.is_none() {
            self.begin_epoch_by_lookup().await?;
        }
        Ok(if epoch.is_some() && mark.is_none() {
            Located::Nowhere
        } else {
            Located::Unknown
        })
    }

    /// What the next keys say: an entry, if other programs share it, and its shadow.
    fn entry_of(
        &self,
        found: &mut impl Iterator<Item = Option<KeyValue>>,
        is_shared: bool,
    ) -> Option<Entry> {
        let entry = if is_shared {
            found.next().flatten()
        } else {
            None
        };
        let shadow = found.next().flatten().as_ref().and_then(Shadow::parse);
        if let Some(shadow) = &shadow {
            self.clock.observe(shadow.stamp);
        }
        // If another program deleted the entry, or there is none, the shadow has the address.
        let address = match (&entry, &shadow) {
            (Some(entry), _) => layout::entry_address(entry),
            (None, Some(shadow)) => shadow.address.clone(),
            (None, None) => return None,
        };
        let owner = match shadow {
            // The keys expire with the node's lease, so it lives.
            Some(shadow) if shadow.address == address => Owner::Node {
                stamp: shadow.stamp,
                leased: true,
            },
            _ => Owner::Foreign,
        };
        Some(Entry { address, owner })
    }

    /// A page of a range, and the position of the next one.
    pub(super) async fn page(
        &self,
        (first, end): (Bytes, Bytes),
        from: &Cursor,
    ) -> Result<(Vec<KeyValue>, Option<Cursor>), CallError> {
        let request = RangeRequest {
            key: first.max(Bytes::copy_from_slice(&from.0)),
            range_end: end,
            limit: PAGE,
            ..RangeRequest::default()
        };
        let response = self.client.call(RetrySafety::Idempotent, request).await?;
        let RangeResponse { kvs, more, .. } = response;
        let next = kvs.last().filter(|_| more).map(|kv| {
            let mut after = kv.key.to_vec();
            after.push(0);
            Cursor(after)
        });
        Ok((kvs, next))
    }

    /// A page of all ids with their addresses: first the entries, then the shadows that have none.
    pub(super) async fn page_of_entries(
        &self,
        from: &Cursor,
    ) -> Result<Page<(ClientId, Arc<str>)>, CallError> {
        let in_namespaces = self.layout.shadows_in_namespaces();
        if from.0.starts_with(&in_namespaces.0) {
            let (kvs, next) = self.page(in_namespaces, from).await?;
            let item = |kv: &KeyValue| {
                Some((
                    self.layout.id_of_shadow(&kv.key)?,
                    Shadow::parse(kv)?.address,
                ))
            };
            let items = kvs.iter().filter_map(item).collect();
            return Ok(Page { items, next });
        }
        let (kvs, next) = self.page(self.layout.entries(), from).await?;
        let item =
            |kv: &KeyValue| Some((self.layout.id_of_entry(&kv.key)?, layout::entry_address(kv)));
        let items = kvs.iter().filter_map(item).collect();
        let next = next.or_else(|| Some(Cursor(in_namespaces.0.to_vec())));
        Ok(Page { items, next })
    }

    pub(super) async fn do_nodes(&self) -> Result<Vec<NodeInfo>, CallError> {
        let (mut nodes, mut from) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let (kvs, next) = self.page(self.layout.nodes(), &cursor).await?;
            nodes.extend(kvs.iter().filter_map(|kv| {
                Some(NodeInfo {
                    address: self.layout.address_of_node(&kv.key)?,
                    process: layout::node_process(kv)?,
                    leased: true,
                })
            }));
            from = next;
        }
        Ok(nodes)
    }

    /// Deletes first the shadows, each with its entry, then the entries that have none.
    pub(super) async fn do_delete_node(&self, address: &str) -> Result<u64, CallError> {
        let shadow = |kv: KeyValue| {
            Shadow::parse(&kv).filter(|shadow| &*shadow.address == address)?;
            let entry = self
                .layout
                .entry_key(self.layout.id_of_shadow(&kv.key)?.key());
            let mut txn = delete_seen(kv);
            let delete_entry = entry.map(|entry| delete_if(entry, address.to_owned()));
            txn.success.extend(delete_entry);
            Some(txn)
        };
        let entry = |kv: KeyValue| (kv.value == address.as_bytes()).then(|| delete_seen(kv));
        let shadows = self.delete_where(self.layout.shadows(), shadow).await?;
        Ok(shadows + self.delete_where(self.layout.entries(), entry).await?)
    }

    /// Carries out a transaction for each key of a range. Returns how many of them deleted anything.
    async fn delete_where(
        &self,
        range: (Bytes, Bytes),
        txn: impl Fn(KeyValue) -> Option<TxnRequest>,
    ) -> Result<u64, CallError> {
        let (mut deleted, mut from) = (0, Some(Cursor::default()));
        while let Some(cursor) = from {
            let (kvs, next) = self.page(range.clone(), &cursor).await?;
            deleted += self
                .delete_all(kvs.into_iter().filter_map(&txn).collect())
                .await?;
            from = next;
        }
        Ok(deleted)
    }

    /// Carries out transactions. Returns how many of them deleted anything.
    async fn delete_all(&self, mut txns: Vec<TxnRequest>) -> Result<u64, CallError> {
        let mut deleted = 0;
        while !txns.is_empty() {
            let batch = txns.drain(..txns.len().min(BATCH)).map(nested);
            let txn = TxnRequest {
                compare: Vec::new(),
                success: batch.collect(),
                failure: Vec::new(),
            };
            let response = self.client.call(RetrySafety::SendOnce, txn).await?;
            deleted += response
                .nested()
                .map(|txn| u64::from(txn.deleted()))
                .sum::<u64>();
        }
        Ok(deleted)
    }
}

/// Deletes a key if it still has the value that was read.
fn delete_seen(kv: KeyValue) -> TxnRequest {
    TxnRequest {
        compare: vec![value_is(kv.key.clone(), kv.value)],
        success: vec![delete(kv.key)],
        failure: Vec::new(),
    }
}
