//! Reads and walks, and the layout as other programs use it.

use bytes::Bytes;

use super::{
    EtcdRegistry,
    batch::BATCH,
    call_error::Fault,
    client::RetrySafety,
    layout::{self, Shadow},
    lifecycle,
    rpc::{
        KeyValue, RangeRequest, RangeResponse, RequestOp, TxnRequest, delete, delete_if, equals,
        get, get_nearby, nested,
    },
};
use crate::types::{Cursor, Entry, NodeInfo, Owner};

/// Keys of one page.
const PAGE: i64 = 512;

impl EtcdRegistry {
    pub(super) async fn find(&self, id: &str, fresh: bool) -> Result<Option<Entry>, Fault> {
        // The nearest server may be behind, or cut off: what it does not know may stand there all the
        // same. What it knows and is old, the node that it names corrects.
        if !fresh && let Some(entry) = self.read(id, get_nearby, RetrySafety::Nearby).await? {
            return Ok(Some(entry));
        }
        self.read(id, get, RetrySafety::Harmless).await
    }

    async fn read(
        &self,
        id: &str,
        read: fn(Bytes) -> RequestOp,
        repeat: RetrySafety,
    ) -> Result<Option<Entry>, Fault> {
        let txn = TxnRequest {
            compare: Vec::new(),
            success: vec![read(self.layout.place(id)), read(self.layout.shadow(id))],
            failure: Vec::new(),
        };
        let mut reads = self.client.call(repeat, txn).await?.reads();
        let place = reads.next().flatten();
        let own = reads.next().flatten().as_ref().and_then(Shadow::read);
        if let Some(own) = &own {
            self.clock.observe(own.stamp);
        }
        // The shadow answers where a foreign program deleted the entry.
        let address = match (&place, &own) {
            (Some(place), _) => layout::address(place),
            (None, Some(own)) => own.address.clone(),
            (None, None) => return Ok(None),
        };
        let owner = match own {
            // What stands here goes with its node's lease.
            Some(own) if own.address == address => Owner::Node {
                stamp: own.stamp,
                leased: true,
            },
            _ => Owner::Foreign,
        };
        Ok(Some(Entry { address, owner }))
    }

    /// A page of a range, and where the next begins.
    pub(super) async fn page(
        &self,
        (first, end): (Bytes, Bytes),
        from: &Cursor,
    ) -> Result<(Vec<KeyValue>, Option<Cursor>), Fault> {
        let request = RangeRequest {
            key: first.max(Bytes::copy_from_slice(&from.0)),
            range_end: end,
            limit: PAGE,
            serializable: false,
        };
        let answer = self.client.call(RetrySafety::Harmless, request).await?;
        let RangeResponse { kvs, more, .. } = answer;
        let next = kvs.last().filter(|_| more).map(|kv| {
            let mut after = kv.key.to_vec();
            after.push(0);
            Cursor(after)
        });
        Ok((kvs, next))
    }

    pub(super) async fn nodes(&self) -> Result<Vec<NodeInfo>, Fault> {
        let (mut members, mut from) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let (kvs, next) = self.page(self.layout.nodes(), &cursor).await?;
            members.extend(kvs.iter().filter_map(|kv| {
                Some(NodeInfo {
                    address: self.layout.address(&kv.key)?,
                    process: lifecycle::process(kv)?,
                    leased: true,
                })
            }));
            from = next;
        }
        Ok(members)
    }

    /// First the shadows, each with its entry, then the entries that have none.
    pub(super) async fn clear_all(&self, address: &str) -> Result<u64, Fault> {
        let shadow = |kv: KeyValue| {
            Shadow::read(&kv).filter(|own| &*own.address == address)?;
            let place = self.layout.place(&self.layout.owned(&kv.key)?);
            let mut txn = delete_seen(kv);
            txn.success.push(delete_if(place, address.to_owned()));
            Some(txn)
        };
        let entry = |kv: KeyValue| (kv.value == address.as_bytes()).then(|| delete_seen(kv));
        let shadows = self.delete_where(self.layout.shadows(), shadow).await?;
        Ok(shadows + self.delete_where(self.layout.places(), entry).await?)
    }

    /// Carries out what is to be done about each key of a range; how many of these deleted anything.
    async fn delete_where(
        &self,
        range: (Bytes, Bytes),
        what: impl Fn(KeyValue) -> Option<TxnRequest>,
    ) -> Result<u64, Fault> {
        let (mut deleted, mut from) = (0, Some(Cursor::default()));
        while let Some(cursor) = from {
            let (kvs, next) = self.page(range.clone(), &cursor).await?;
            deleted += self
                .delete_all(kvs.into_iter().filter_map(&what).collect())
                .await?;
            from = next;
        }
        Ok(deleted)
    }

    /// How many of these deleted anything.
    async fn delete_all(&self, mut txns: Vec<TxnRequest>) -> Result<u64, Fault> {
        let mut deleted = 0;
        while !txns.is_empty() {
            let batch = txns.drain(..txns.len().min(BATCH)).map(nested);
            let txn = TxnRequest {
                compare: Vec::new(),
                success: batch.collect(),
                failure: Vec::new(),
            };
            let answer = self.client.call(RetrySafety::Harmful, txn).await?;
            deleted += answer
                .nested()
                .map(|txn| u64::from(txn.deleted()))
                .sum::<u64>();
        }
        Ok(deleted)
    }
}

/// Deletes a key that has the value that was seen.
fn delete_seen(kv: KeyValue) -> TxnRequest {
    TxnRequest {
        compare: vec![equals(kv.key.clone(), kv.value)],
        success: vec![delete(kv.key)],
        failure: Vec::new(),
    }
}
