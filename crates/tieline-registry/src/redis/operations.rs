//! The operations of the contract, as commands.
//!
//! Owns the encoding of each operation, and how many ids one command has. The operations that walk over
//! many ids are in `scan`.

use std::sync::Arc;

use redis::Cmd;

use super::{
    registry::RedisRegistry,
    reply::{ReplyReader, is_text, number, unexpected_reply},
    scan::BATCH,
    scripts::{CLAIM, EXPIRED, JOIN, LEAVE, LOCATE, NODES, REAP, RELEASE, RENEW, Script},
};
use crate::{
    contract::{Registry, RegistryFuture},
    error::{RegistryError, RegistryErrorKind},
    id::ClientId,
    types::{
        Claim, ClaimKind, ClaimOutcomes, Cursor, Entry, ExpiredNode, JoinOutcome, JoinRequest,
        NodeInfo, NodeSession, Owner, Page, Release, ReleaseOutcome, Renewal, Stamp,
    },
};

/// The script calls of one pipeline, at most. The server serves other clients between them, but answers
/// one connection in order: later requests of this node wait for the whole pipeline.
const PIPELINE: usize = 8;

impl RedisRegistry {
    /// A call of a script, with the session's address and process as its first arguments.
    fn call(&self, script: &Script, session: &NodeSession) -> Cmd {
        let mut command = script.evalsha(&self.keys, &session.address);
        let process = session.process.hyphenated();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let process: &str = process.encode_lower(&mut text);
        command.arg(&*session.address).arg(process);
        command
    }

    async fn do_join(&self, request: &JoinRequest) -> Result<JoinOutcome, RegistryError> {
        const OPERATION: &str = "join";
        let session = NodeSession {
            address: request.address.clone(),
            process: request.process,
            ttl: request.lease,
            lease_id: 0,
            fencing_token: 0,
        };
        let mut command = self.call(&JOIN, &session);
        let replace = request.replace.map(|process| process.to_string());
        command.arg(replace.unwrap_or_default());
        command.arg(request.now.0).arg(millis(&session));
        let mut reply = ReplyReader::new(OPERATION, self.client.query(OPERATION, command).await?)?;
        match reply.text()?.as_str() {
            "OK" => Ok(JoinOutcome::Joined(session, reply.lease_info()?)),
            "BUSY" => Ok(JoinOutcome::Busy(reply.process()?)),
            _ => Err(unexpected_reply(OPERATION)),
        }
    }

    async fn do_renew(&self, session: &NodeSession, now: Stamp) -> Result<Renewal, RegistryError> {
        const OPERATION: &str = "renew the lease";
        let mut command = self.call(&RENEW, session);
        command.arg(now.0).arg(millis(session));
        let mut reply = ReplyReader::new(OPERATION, self.client.query(OPERATION, command).await?)?;
        match reply.text()?.as_str() {
            "OK" => Ok(Renewal::Renewed(reply.lease_info()?)),
            "REVIVED" => Ok(Renewal::Revived(reply.lease_info()?)),
            "LOST" => Ok(Renewal::Lost),
            _ => Err(unexpected_reply(OPERATION)),
        }
    }

    pub(super) async fn do_nodes(&self) -> Result<Vec<NodeInfo>, RegistryError> {
        const OPERATION: &str = "list the nodes";
        let command = NODES.evalsha(&self.keys, "");
        let mut reply = ReplyReader::new(OPERATION, self.client.query(OPERATION, command).await?)?;
        let mut nodes = Vec::with_capacity(reply.len() / 3);
        while !reply.is_empty() {
            nodes.push(reply.node()?);
        }
        Ok(nodes)
    }

    async fn do_claim(
        &self,
        session: &NodeSession,
        claims: &[Claim],
    ) -> Result<ClaimOutcomes, RegistryError> {
        const OPERATION: &str = "claim ids";
        let mut verdicts = Vec::with_capacity(claims.len());
        for pipeline in claims.chunks(BATCH * PIPELINE) {
            let calls: Vec<_> = pipeline
                .chunks(BATCH)
                .map(|batch| self.claim_command(session, batch))
                .collect();
            for reply in self.client.query_all(OPERATION, &calls).await? {
                let mut reply = ReplyReader::new(OPERATION, reply)?;
                if reply.text()? == "LOST" {
                    return Ok(ClaimOutcomes::Lost);
                }
                while !reply.is_empty() {
                    verdicts.push(reply.verdict()?);
                }
            }
        }
        if verdicts.len() != claims.len() {
            return Err(unexpected_reply(OPERATION));
        }
        Ok(ClaimOutcomes::Verdicts(verdicts))
    }

    fn claim_command(&self, session: &NodeSession, claims: &[Claim]) -> Cmd {
        let mut command = self.call(&CLAIM, session);
        for claim in claims {
            let kind = match claim.kind {
                ClaimKind::Fresh => "0",
                ClaimKind::Held => "1",
                ClaimKind::Exclusive => "2",
            };
            command.arg(claim.id.as_str()).arg(claim.stamp.0).arg(kind);
        }
        command
    }

    async fn do_release(
        &self,
        session: &NodeSession,
        releases: &[Release],
    ) -> Result<ReleaseOutcome, RegistryError> {
        const OPERATION: &str = "release ids";
        for pipeline in releases.chunks(BATCH * PIPELINE) {
            let calls: Vec<_> = pipeline
                .chunks(BATCH)
                .map(|batch| self.release_command(session, batch))
                .collect();
            for reply in self.client.query_all(OPERATION, &calls).await? {
                if is_text(&reply, "LOST") {
                    return Ok(ReleaseOutcome::Lost);
                }
                if !is_text(&reply, "OK") {
                    return Err(unexpected_reply(OPERATION));
                }
            }
        }
        Ok(ReleaseOutcome::Done)
    }

    fn release_command(&self, session: &NodeSession, releases: &[Release]) -> Cmd {
        let mut command = self.call(&RELEASE, session);
        for release in releases {
            command.arg(release.id.as_str()).arg(release.up_to.0);
        }
        command
    }

    async fn do_locate(&self, id: &str) -> Result<Option<Entry>, RegistryError> {
        const OPERATION: &str = "locate an id";
        let mut command = LOCATE.evalsha(&self.keys, "");
        command.arg(id);
        let mut reply = ReplyReader::new(OPERATION, self.client.query(OPERATION, command).await?)?;
        if reply.is_empty() {
            return Ok(None);
        }
        let address = reply.address()?;
        let owner = if reply.is_empty() {
            Owner::Foreign
        } else {
            Owner::Node {
                stamp: reply.stamp()?,
                leased: reply.number()? == 1,
            }
        };
        Ok(Some(Entry { address, owner }))
    }

    async fn do_expired(&self) -> Result<Vec<ExpiredNode>, RegistryError> {
        const OPERATION: &str = "list the expired nodes";
        let command = EXPIRED.evalsha(&self.keys, "");
        let mut reply = ReplyReader::new(OPERATION, self.client.query(OPERATION, command).await?)?;
        let mut expired = Vec::with_capacity(reply.len() / 2);
        while !reply.is_empty() {
            let (address, mark) = (reply.address()?, reply.address()?);
            expired.push(ExpiredNode { address, mark });
        }
        Ok(expired)
    }

    async fn do_reap(&self, expired: &ExpiredNode, limit: usize) -> Result<bool, RegistryError> {
        const OPERATION: &str = "reap a node";
        let mut command = REAP.evalsha(&self.keys, &expired.address);
        command.arg(&*expired.address).arg(&*expired.mark);
        command.arg(limit.min(BATCH));
        let reply = self.client.query(OPERATION, command).await?;
        let left = number(&reply).ok_or_else(|| unexpected_reply(OPERATION))?;
        Ok(left > 0)
    }
}

/// The lease in milliseconds, at least one.
fn millis(session: &NodeSession) -> u64 {
    u64::try_from(session.ttl.as_millis()).map_or(u64::MAX, |millis| millis.max(1))
}

impl Registry for RedisRegistry {
    fn cluster(&self) -> &str {
        &self.keys.entries
    }

    fn overlap<'a>(&'a self, address: Option<&'a str>) -> RegistryFuture<'a, Option<String>> {
        Box::pin(self.do_overlap(address))
    }

    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        Box::pin(self.do_join(request))
    }

    fn renew<'a>(&'a self, session: &'a NodeSession, now: Stamp) -> RegistryFuture<'a, Renewal> {
        Box::pin(self.do_renew(session, now))
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        Box::pin(async {
            let leaving = self.client.query("leave", self.call(&LEAVE, session));
            leaving.await.map(drop)
        })
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        Box::pin(self.do_nodes())
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        Box::pin(self.do_claim(session, claims))
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        Box::pin(self.do_release(session, releases))
    }

    // Only the master is asked, so every reply is fresh.
    fn locate<'a>(&'a self, id: &'a str, _fresh: bool) -> RegistryFuture<'a, Option<Entry>> {
        Box::pin(self.do_locate(id))
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<ClientId>> {
        Box::pin(async move {
            self.scan_ids_of("list a node's ids", &session.address, &from)
                .await
        })
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        Box::pin(self.do_expired())
    }

    fn reap<'a>(&'a self, expired: &'a ExpiredNode, limit: usize) -> RegistryFuture<'a, bool> {
        Box::pin(self.do_reap(expired, limit))
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        const OPERATION: &str = "set an id";
        Box::pin(async move {
            let id = ClientId::new(id).map_err(|error| {
                RegistryError::of_kind(RegistryErrorKind::InvalidInput, OPERATION, error)
            })?;
            let mut command = redis::cmd("HSET");
            command
                .arg(&self.keys.entries)
                .arg(id.as_str())
                .arg(address);
            self.client.query(OPERATION, command).await.map(drop)
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let mut command = redis::cmd("HDEL");
            command.arg(&self.keys.entries).arg(id);
            self.client.query("delete an id", command).await.map(drop)
        })
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        Box::pin(self.do_delete_node(address))
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        Box::pin(async move { self.scan_all(&from).await })
    }
}
