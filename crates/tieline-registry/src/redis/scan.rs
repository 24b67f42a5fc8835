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
        ReplyReader, client_id, is_text, next_cursor, number, page, scan_cursor, shared_address,
        unexpected_reply,
    },
    scripts::{DELETE_NODE, LIST},
};
use crate::{
    error::RegistryError,
    id::ClientId,
    types::{Cursor, Page, Stamp},
};

/// The ids of one page or one script call, at most. A script call with so many takes about 5 ms of the
/// server's time, during which the server serves nobody else.
pub(super) const BATCH: usize = 512;

impl RedisRegistry {
    /// A page of all ids with their addresses.
    pub(super) async fn scan_all(
        &self,
        from: &Cursor,
    ) -> Result<Page<(ClientId, Arc<str>)>, RegistryError> {
        const OPERATION: &str = "list the ids";
        let reply = self.scan_entries(OPERATION, from).await?;
        page(OPERATION, reply, 2, |pair| {
            Some((client_id(&pair[0])?, shared_address(&pair[1])?))
        })
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
            let reply = self.scan_entries(OPERATION, &cursor).await?;
            let of_address = |pair: &[Value]| {
                is_text(&pair[1], address)
                    .then(|| client_id(&pair[0]))
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
                call.arg(id.as_str());
            }
            let reply = self.client.call(operation, call).await?;
            let count = number(&reply).and_then(|count| u64::try_from(count).ok());
            deleted += count.ok_or_else(|| unexpected_reply(operation))?;
        }
        Ok(deleted)
    }

    /// The raw page of the shared hash.
    async fn scan_entries(
        &self,
        operation: &'static str,
        from: &Cursor,
    ) -> Result<Value, RegistryError> {
        let mut command = redis::cmd("HSCAN");
        command.arg(&self.keys.entries);
        add_position(&mut command, operation, from)?;
        self.client.query(operation, command).await
    }
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
