//! The operations of the contract, as commands.
//!
//! Owns the encoding of each operation, and how many ids one command has. The operations that walk over
//! many ids are in `scan`.

use std::sync::Arc;

use tokio::time::timeout;

use super::{
    keys::KeyUse,
    registry::RedisRegistry,
    reply::{ReplyReader, is_text, number, unexpected_reply},
    scan::BATCH,
    scripts::{
        BALANCE, CLAIM, EXPIRED, JOIN, LEAVE, LOCATE, NODES, REAP, RELEASE, RENEW, Script,
        ScriptCall,
    },
};
use crate::{
    contract::{Registry, shared_id},
    error::RegistryError,
    id::ClientId,
    reply::RegistryFuture,
    rosters::Rosters,
    types::{
        Claim, ClaimKind, ClaimOutcomes, Cursor, Entry, ExpiredNode, JoinOutcome, JoinRequest,
        LeaseInfo, Located, NodeInfo, NodeReport, NodeSession, Owner, Page, Release,
        ReleaseOutcome, Renewal, Stamp,
    },
    values::Values,
};

/// The script calls of one pipeline, at most. The server serves other clients between them, but answers
/// one connection in order: later requests of this node wait for the whole pipeline.
const PIPELINE: usize = 8;

impl RedisRegistry {
    /// A call of a script, with the session's address and process as its first arguments.
    fn call_for(
        &self,
        script: &'static Script,
        uses: KeyUse<'_>,
        session: &NodeSession,
    ) -> ScriptCall {
        let mut call = script.call(&self.keys, uses);
        let process = session.process.hyphenated();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let process: &str = process.encode_lower(&mut text);
        call.arg(&*session.address).arg(process);
        call
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
        let mut call = self.call_for(&JOIN, KeyUse::Node(&session.address), &session);
        let replace = request.replace.map(|process| process.to_string());
        call.arg(replace.unwrap_or_default());
        call.arg(request.now.0).arg(millis(&session));
        call.arg(u8::from(request.has_connections));
        let joining = self.client.call(OPERATION, call);
        let (joined, balance) = tokio::join!(joining, self.foreign_balance());
        let mut reply = ReplyReader::new(OPERATION, joined?)?;
        match reply.text()?.as_str() {
            "OK" => {
                let lease_info = self.lease_info(reply, balance)?;
                Ok(JoinOutcome::Joined(session, lease_info))
            }
            "BUSY" => Ok(JoinOutcome::Busy(reply.process()?)),
            _ => Err(unexpected_reply(OPERATION)),
        }
    }

    async fn do_renew(
        &self,
        session: &NodeSession,
        report: NodeReport,
    ) -> Result<Renewal, RegistryError> {
        const OPERATION: &str = "renew the lease";
        let mut call = self.call_for(&RENEW, KeyUse::Node(&session.address), session);
        call.arg(report.now.0).arg(millis(session));
        call.arg(report.refilled.0);
        let renewing = self.client.call(OPERATION, call);
        let (renewed, balance) = tokio::join!(renewing, self.foreign_balance());
        let mut reply = ReplyReader::new(OPERATION, renewed?)?;
        match reply.text()?.as_str() {
            "OK" => self.lease_info(reply, balance).map(Renewal::Renewed),
            "REVIVED" => self.lease_info(reply, balance).map(Renewal::Revived),
            "LOST" => Ok(Renewal::Lost),
            _ => Err(unexpected_reply(OPERATION)),
        }
    }

    /// What a node learns with a join or renewal.
    fn lease_info(
        &self,
        mut reply: ReplyReader,
        foreign_balance: Option<i64>,
    ) -> Result<LeaseInfo, RegistryError> {
        let lease_info = reply.lease_info()?;
        self.client.observe(lease_info.clock);
        Ok(LeaseInfo {
            foreign_balance,
            ..lease_info
        })
    }

    /// Entries of the shared layout minus those that Tieline wrote; `None` if that cannot be told soon, as while
    /// the slot moves and there are no entries. A node that joins or renews does not wait longer for it: it
    /// has the lease all the same, and its own timeout may be as long as that of one operation.
    async fn foreign_balance(&self) -> Option<i64> {
        let call = BALANCE.call(&self.keys, KeyUse::Entries);
        let call = self.client.call("compare the entries", call);
        let reply = timeout(self.client.timeout() / 2, call).await.ok()?;
        number(&reply.ok()?)
    }

    pub(super) async fn do_nodes(&self) -> Result<Vec<NodeInfo>, RegistryError> {
        const OPERATION: &str = "list the nodes";
        let call = NODES.call(&self.keys, KeyUse::Nodes);
        let mut reply = ReplyReader::new(OPERATION, self.client.call(OPERATION, call).await?)?;
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
            for reply in self.client.call_all(OPERATION, &calls).await? {
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

    fn claim_command(&self, session: &NodeSession, claims: &[Claim]) -> ScriptCall {
        let uses = KeyUse::NodeAndEntries(&session.address);
        let mut command = self.call_for(&CLAIM, uses, session);
        for claim in claims {
            let kind = match claim.kind {
                ClaimKind::Fresh => "0",
                ClaimKind::Held => "1",
                ClaimKind::Exclusive => "2",
            };
            command.arg(claim.id.key()).arg(claim.stamp.0).arg(kind);
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
            for reply in self.client.call_all(OPERATION, &calls).await? {
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

    fn release_command(&self, session: &NodeSession, releases: &[Release]) -> ScriptCall {
        let uses = KeyUse::NodeAndEntries(&session.address);
        let mut command = self.call_for(&RELEASE, uses, session);
        for release in releases {
            command.arg(release.id.key()).arg(release.up_to.0);
        }
        command
    }

    async fn do_locate(&self, key: &str) -> Result<Located, RegistryError> {
        const OPERATION: &str = "locate an id";
        let mut call = LOCATE.call(&self.keys, KeyUse::Entries);
        call.arg(key);
        let mut reply = ReplyReader::new(OPERATION, self.client.call(OPERATION, call).await?)?;
        match reply.absence() {
            Some(0) => return Ok(Located::Nowhere),
            Some(_) => return Ok(Located::Unknown),
            None => {}
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
        Ok(Located::At(Entry { address, owner }))
    }

    async fn do_expired(&self) -> Result<Vec<ExpiredNode>, RegistryError> {
        const OPERATION: &str = "list the expired nodes";
        let call = EXPIRED.call(&self.keys, KeyUse::Nodes);
        let mut reply = ReplyReader::new(OPERATION, self.client.call(OPERATION, call).await?)?;
        let mut expired = Vec::with_capacity(reply.len() / 2);
        while !reply.is_empty() {
            let (address, mark) = (reply.address()?, reply.address()?);
            expired.push(ExpiredNode { address, mark });
        }
        Ok(expired)
    }

    async fn do_reap(&self, expired: &ExpiredNode, limit: usize) -> Result<bool, RegistryError> {
        const OPERATION: &str = "reap a node";
        let uses = KeyUse::NodeAndEntries(&expired.address);
        let mut call = REAP.call(&self.keys, uses);
        call.arg(&*expired.address).arg(&*expired.mark);
        call.arg(limit.min(BATCH));
        let reply = self.client.call(OPERATION, call).await?;
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

    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        report: NodeReport,
    ) -> RegistryFuture<'a, Renewal> {
        Box::pin(self.do_renew(session, report))
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        Box::pin(async {
            let call = self.call_for(&LEAVE, KeyUse::Node(&session.address), session);
            let leaving = self.client.call("leave", call);
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
    fn locate<'a>(&'a self, key: &'a str, _fresh: bool) -> RegistryFuture<'a, Located> {
        Box::pin(self.do_locate(key))
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>> {
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

    fn rosters(&self) -> Option<&dyn Rosters> {
        Some(self)
    }

    fn values(&self) -> Option<&dyn Values> {
        Some(self)
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        const OPERATION: &str = "set an id";
        Box::pin(async move {
            let id = shared_id(OPERATION, id)?;
            let mut command = redis::cmd("HSET");
            command.arg(&self.keys.entries).arg(id.key()).arg(address);
            self.client.query(OPERATION, command).await.map(drop)
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        const OPERATION: &str = "delete an id";
        Box::pin(async move {
            let id = shared_id(OPERATION, id)?;
            let mut command = redis::cmd("HDEL");
            command.arg(&self.keys.entries).arg(id.key());
            self.client.query(OPERATION, command).await.map(drop)
        })
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        Box::pin(self.do_delete_node(address))
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        Box::pin(async move { self.scan_all(&from).await })
    }
}
