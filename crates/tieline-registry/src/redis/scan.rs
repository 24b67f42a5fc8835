//! The operations that walk over many ids.
//!
//! Owns the pages, which are those of HSCAN and SSCAN: an id may be listed twice, and one that exists during
//! the whole walk is listed at least once.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::{
    keys::KeyUse,
    registry::RedisRegistry,
    reply::{
        ReplyReader, client_id, is_text, next_cursor, number, page, scan_cursor, shadow_address,
        shared_address, shared_client_id, unexpected_reply,
    },
    scripts::{DELETE_NODE, LIST},
};
use crate::{
    error::RegistryError,
    id::{ClientId, DEFAULT_NAMESPACE},
    types::{Cursor, Page, Stamp},
};

/// The ids of one page or one script call, at most. A script call with so many takes about 5 ms of the
/// server's time, during which the server serves nobody else.
pub(super) const BATCH: usize = 512;

/// The field of the number of shadows without an entry, as in `prelude.lua`.
const UNSHARED: &str = "\0\0";

/// How a cursor begins whose walk has come to the shadows.
const IN_SHADOWS: &[u8] = b"own ";

impl RedisRegistry {
    /// A page of all ids with their addresses: first those of the shared hash, then the shadows that have no
    /// entries.
    pub(super) async fn scan_all(
        &self,
        from: &Cursor,
    ) -> Result<Page<(ClientId, Arc<str>)>, RegistryError> {
        const OPERATION: &str = "list the ids";
        if let Some(from) = from.0.strip_prefix(IN_SHADOWS) {
            let from = Cursor(from.to_vec());
            let reply = self.scan_hash(OPERATION, &self.keys.shadows, &from).await?;
            let mut page = page(OPERATION, reply, 2, |pair| {
                let id = client_id(&pair[0]).filter(|id| id.namespace() != DEFAULT_NAMESPACE)?;
                Some((id, shadow_address(&pair[1])?))
            })?;
            page.next = page.next.map(|next| in_shadows(&next));
            return Ok(page);
        }
        let reply = self.scan_hash(OPERATION, &self.keys.entries, from).await?;
        let mut page = page(OPERATION, reply, 2, |pair| {
            Some((shared_client_id(&pair[0])?, shared_address(&pair[1])?))
        })?;
        if page.next.is_none() && self.has_unshared(OPERATION).await? {
            page.next = Some(in_shadows(&Cursor::default()));
        }
        Ok(page)
    }

    /// Whether any shadow has no entry: only then are the shadows walked.
    async fn has_unshared(&self, operation: &'static str) -> Result<bool, RegistryError> {
        let mut command = redis::cmd("HGET");
        command.arg(&self.keys.shadows).arg(UNSHARED);
        let count = self.client.query(operation, command).await?;
        Ok(count != Value::Nil)
    }

    /// A page of the ids whose shadow has this address, with their stamps.
    pub(super) async fn scan_ids_of(
        &self,
        operation: &'static str,
        address: &str,
        from: &Cursor,
    ) -> Result<Page<(ClientId, Stamp)>, RegistryError> {
        let mut call = LIST.call(&self.keys, KeyUse::Node(address));
        call.arg(address);
        call.arg(scan_cursor(operation, from)?).arg(BATCH);
        let mut reply = ReplyReader::new(operation, self.client.call(operation, call).await?)?;
        let cursor = reply.text()?;
        let mut items = Vec::with_capacity(reply.len() / 2);
        while !reply.is_empty() {
            let id = client_id(&reply.next()?);
            let stamp = reply.stamp()?;
            items.extend(id.map(|id| (id, stamp)));
        }
        let next = next_cursor(cursor);
        Ok(Page { items, next })
    }

    /// Walks over the shared hash, then over the ids that Tieline has registered under the address: the
    /// hash may have lost the entries of some.
    pub(super) async fn do_delete_node(&self, address: &str) -> Result<u64, RegistryError> {
        const OPERATION: &str = "delete a node's ids";
        let mut deleted = 0;
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            let reply = self
                .scan_hash(OPERATION, &self.keys.entries, &cursor)
                .await?;
            let of_address = |pair: &[Value]| {
                is_text(&pair[1], address)
                    .then(|| shared_client_id(&pair[0]))
                    .flatten()
            };
            let page = page(OPERATION, reply, 2, of_address)?;
            deleted += self.delete_ids(OPERATION, address, &page.items).await?;
            from = page.next;
        }
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            let page = self.scan_ids_of(OPERATION, address, &cursor).await?;
            let ids: Vec<_> = page.items.into_iter().map(|(id, _)| id).collect();
            deleted += self.delete_ids(OPERATION, address, &ids).await?;
            from = page.next;
        }
        Ok(deleted)
    }

    async fn delete_ids(
        &self,
        operation: &'static str,
        address: &str,
        ids: &[ClientId],
    ) -> Result<u64, RegistryError> {
        let mut deleted = 0;
        for batch in ids.chunks(BATCH) {
            let mut call = DELETE_NODE.call(&self.keys, KeyUse::NodeAndEntries(address));
            call.arg(address);
            for id in batch {
                call.arg(id.key());
            }
            let reply = self.client.call(operation, call).await?;
            let count = number(&reply).and_then(|count| u64::try_from(count).ok());
            deleted += count.ok_or_else(|| unexpected_reply(operation))?;
        }
        Ok(deleted)
    }

    /// The raw page of a hash.
    async fn scan_hash(
        &self,
        operation: &'static str,
        key: &str,
        from: &Cursor,
    ) -> Result<Value, RegistryError> {
        let mut command = redis::cmd("HSCAN");
        command.arg(key);
        add_position(&mut command, operation, from)?;
        self.client.query(operation, command).await
    }
}

/// The position in the walk over the shadows.
fn in_shadows(at: &Cursor) -> Cursor {
    Cursor([IN_SHADOWS, &at.0].concat())
}

fn add_position(
    command: &mut Cmd,
    operation: &'static str,
    from: &Cursor,
) -> Result<(), RegistryError> {
    command.arg(scan_cursor(operation, from)?);
    command.arg("COUNT").arg(BATCH);
    Ok(())
}
