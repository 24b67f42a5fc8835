//! What the contract asks, as commands.
//!
//! Owns the encoding of each operation and the size of its parts. Each part is a script that the
//! server runs as a whole, of [`BATCH`] ids at most: 5 ms of the server's time.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::{
    RedisRegistry,
    reply::{Reader, client, is_text, number, page, position, unexpected_reply, written_address},
    scripts::{
        CLAIM, DELETE_NODE, EXPIRED, JOIN, LEAVE, LOCATE, NODES, REAP, RELEASE, RENEW, Script,
    },
};
use crate::{
    contract::{Registry, RegistryFuture},
    error::RegistryError,
    id::ClientId,
    types::{
        Claim, ClaimKind, ClaimOutcomes, Cursor, Entry, ExpiredNode, JoinOutcome, JoinRequest,
        NodeInfo, NodeSession, Owner, Page, Release, ReleaseOutcome, Renewal, Stamp, Verdict,
    },
};

/// How many ids a script is given.
const BATCH: usize = 512;

/// How many scripts are sent together: the server serves others after each, but answers a connection
/// in order, so that what comes after them waits.
const TOGETHER: usize = 8;

impl RedisRegistry {
    /// A call of a script by the process of a session.
    fn call(&self, script: &Script, session: &NodeSession) -> Cmd {
        let mut command = script.call(&self.keys, &session.address);
        let process = session.process.hyphenated();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let process: &str = process.encode_lower(&mut text);
        command.arg(&*session.address).arg(process);
        command
    }

    async fn do_join(&self, request: &JoinRequest) -> Result<JoinOutcome, RegistryError> {
        const WHAT: &str = "join";
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
        let mut answer = Reader::new(WHAT, self.client.ask(WHAT, command).await?)?;
        match answer.text()?.as_str() {
            "OK" => Ok(JoinOutcome::Joined(session, answer.lease_info()?)),
            "BUSY" => Ok(JoinOutcome::Busy(answer.process()?)),
            _ => Err(unexpected_reply(WHAT)),
        }
    }

    async fn do_beat(&self, session: &NodeSession, now: Stamp) -> Result<Renewal, RegistryError> {
        const WHAT: &str = "renew the lease";
        let mut command = self.call(&RENEW, session);
        command.arg(now.0).arg(millis(session));
        let mut answer = Reader::new(WHAT, self.client.ask(WHAT, command).await?)?;
        match answer.text()?.as_str() {
            "OK" => Ok(Renewal::Renewed(answer.lease_info()?)),
            "REVIVED" => Ok(Renewal::Revived(answer.lease_info()?)),
            "LOST" => Ok(Renewal::Lost),
            _ => Err(unexpected_reply(WHAT)),
        }
    }

    async fn do_members(&self) -> Result<Vec<NodeInfo>, RegistryError> {
        const WHAT: &str = "name the nodes";
        let command = NODES.call(&self.keys, "");
        let mut answer = Reader::new(WHAT, self.client.ask(WHAT, command).await?)?;
        let mut members = Vec::with_capacity(answer.len() / 3);
        while !answer.is_empty() {
            members.push(answer.member()?);
        }
        Ok(members)
    }

    async fn do_claim(
        &self,
        session: &NodeSession,
        claims: &[Claim],
    ) -> Result<ClaimOutcomes, RegistryError> {
        const WHAT: &str = "claim ids";
        let mut verdicts = Vec::with_capacity(claims.len());
        for together in claims.chunks(BATCH * TOGETHER) {
            let calls: Vec<_> = together
                .chunks(BATCH)
                .map(|batch| self.claiming(session, batch))
                .collect();
            for answer in self.client.ask_all(WHAT, &calls).await? {
                let mut answer = Reader::new(WHAT, answer)?;
                if answer.text()? == "LOST" {
                    return Ok(ClaimOutcomes::Lost);
                }
                while !answer.is_empty() {
                    verdicts.push(answer.verdict()?);
                }
            }
        }
        check_count(WHAT, claims, verdicts)
    }

    fn claiming(&self, session: &NodeSession, claims: &[Claim]) -> Cmd {
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
        const WHAT: &str = "release ids";
        for together in releases.chunks(BATCH * TOGETHER) {
            let calls: Vec<_> = together
                .chunks(BATCH)
                .map(|batch| self.releasing(session, batch))
                .collect();
            for answer in self.client.ask_all(WHAT, &calls).await? {
                if is_text(&answer, "LOST") {
                    return Ok(ReleaseOutcome::Lost);
                }
                if !is_text(&answer, "OK") {
                    return Err(unexpected_reply(WHAT));
                }
            }
        }
        Ok(ReleaseOutcome::Done)
    }

    fn releasing(&self, session: &NodeSession, releases: &[Release]) -> Cmd {
        let mut command = self.call(&RELEASE, session);
        for release in releases {
            command.arg(release.id.as_str()).arg(release.up_to.0);
        }
        command
    }

    async fn do_locate(&self, id: &str) -> Result<Option<Entry>, RegistryError> {
        const WHAT: &str = "locate an id";
        let mut command = LOCATE.call(&self.keys, "");
        command.arg(id);
        let mut answer = Reader::new(WHAT, self.client.ask(WHAT, command).await?)?;
        if answer.is_empty() {
            return Ok(None);
        }
        let address = answer.address()?;
        let owner = if answer.is_empty() {
            Owner::Foreign
        } else {
            Owner::Node {
                stamp: answer.stamp()?,
                leased: answer.number()? == 1,
            }
        };
        Ok(Some(Entry { address, owner }))
    }

    async fn do_expired(&self) -> Result<Vec<ExpiredNode>, RegistryError> {
        const WHAT: &str = "name the nodes that expired";
        let command = EXPIRED.call(&self.keys, "");
        let mut answer = Reader::new(WHAT, self.client.ask(WHAT, command).await?)?;
        let mut expired = Vec::with_capacity(answer.len() / 2);
        while !answer.is_empty() {
            let (address, mark) = (answer.address()?, answer.address()?);
            expired.push(ExpiredNode { address, mark });
        }
        Ok(expired)
    }

    async fn do_reap(&self, expired: &ExpiredNode, most: usize) -> Result<bool, RegistryError> {
        const WHAT: &str = "reap a node";
        let mut command = REAP.call(&self.keys, &expired.address);
        command.arg(&*expired.address).arg(&*expired.mark);
        command.arg(most.min(BATCH));
        let answer = self.client.ask(WHAT, command).await?;
        let left = number(&answer).ok_or_else(|| unexpected_reply(WHAT))?;
        Ok(left > 0)
    }

    /// Walks the shared hash, and then what Tieline wrote under the address where the hash has lost it.
    async fn do_delete_node(&self, address: &str) -> Result<u64, RegistryError> {
        const WHAT: &str = "clear an address";
        let mut cleared = 0;
        let mut from = Cursor::default();
        loop {
            let answer = self.client.ask(WHAT, self.hash_page(WHAT, &from)?).await?;
            let under = |pair: &[Value]| {
                is_text(&pair[1], address)
                    .then(|| client(&pair[0]))
                    .flatten()
            };
            let page = page(WHAT, answer, 2, under)?;
            cleared += self.clear_ids(WHAT, address, &page.items).await?;
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        let mut from = Cursor::default();
        loop {
            let answer = self
                .client
                .ask(WHAT, self.set_page(WHAT, address, &from)?)
                .await?;
            let page = page(WHAT, answer, 1, |item| client(&item[0]))?;
            cleared += self.clear_ids(WHAT, address, &page.items).await?;
            match page.next {
                Some(next) => from = next,
                None => return Ok(cleared),
            }
        }
    }

    async fn clear_ids(
        &self,
        what: &'static str,
        address: &str,
        ids: &[ClientId],
    ) -> Result<u64, RegistryError> {
        let mut cleared = 0;
        for batch in ids.chunks(BATCH) {
            let mut command = DELETE_NODE.call(&self.keys, address);
            command.arg(address);
            batch.iter().for_each(|id| {
                command.arg(id.as_str());
            });
            let answer = self.client.ask(what, command).await?;
            let count = number(&answer).and_then(|count| u64::try_from(count).ok());
            cleared += count.ok_or_else(|| unexpected_reply(what))?;
        }
        Ok(cleared)
    }

    fn hash_page(&self, what: &'static str, from: &Cursor) -> Result<Cmd, RegistryError> {
        let mut command = redis::cmd("HSCAN");
        command.arg(&self.keys.places).arg(position(what, from)?);
        command.arg("COUNT").arg(BATCH);
        Ok(command)
    }

    fn set_page(
        &self,
        what: &'static str,
        address: &str,
        from: &Cursor,
    ) -> Result<Cmd, RegistryError> {
        let mut command = redis::cmd("SSCAN");
        command
            .arg(self.keys.set(address))
            .arg(position(what, from)?);
        command.arg("COUNT").arg(BATCH);
        Ok(command)
    }
}

/// A lease is at least a millisecond.
fn millis(session: &NodeSession) -> u64 {
    u64::try_from(session.ttl.as_millis()).map_or(u64::MAX, |millis| millis.max(1))
}

fn check_count(
    what: &'static str,
    claims: &[Claim],
    verdicts: Vec<Verdict>,
) -> Result<ClaimOutcomes, RegistryError> {
    if verdicts.len() != claims.len() {
        return Err(unexpected_reply(what));
    }
    Ok(ClaimOutcomes::Verdicts(verdicts))
}

impl Registry for RedisRegistry {
    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        Box::pin(self.do_join(request))
    }

    fn renew<'a>(&'a self, session: &'a NodeSession, now: Stamp) -> RegistryFuture<'a, Renewal> {
        Box::pin(self.do_beat(session, now))
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        Box::pin(async {
            let leaving = self.client.ask("leave", self.call(&LEAVE, session));
            leaving.await.map(drop)
        })
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        Box::pin(self.do_members())
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

    // The master alone is asked, so that every answer is fresh.
    fn locate<'a>(&'a self, id: &'a str, _fresh: bool) -> RegistryFuture<'a, Option<Entry>> {
        Box::pin(self.do_locate(id))
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<ClientId>> {
        const WHAT: &str = "name the ids of a node";
        Box::pin(async move {
            let command = self.set_page(WHAT, &session.address, &from)?;
            let answer = self.client.ask(WHAT, command).await?;
            page(WHAT, answer, 1, |item| client(&item[0]))
        })
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        Box::pin(self.do_expired())
    }

    fn reap<'a>(&'a self, expired: &'a ExpiredNode, most: usize) -> RegistryFuture<'a, bool> {
        Box::pin(self.do_reap(expired, most))
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        const WHAT: &str = "set an id";
        Box::pin(async move {
            let id = ClientId::new(id).map_err(|error| RegistryError::refused(WHAT, error))?;
            let mut command = redis::cmd("HSET");
            command.arg(&self.keys.places).arg(id.as_str()).arg(address);
            self.client.ask(WHAT, command).await.map(drop)
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let mut command = redis::cmd("HDEL");
            command.arg(&self.keys.places).arg(id);
            self.client.ask("delete an id", command).await.map(drop)
        })
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        Box::pin(self.do_delete_node(address))
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        const WHAT: &str = "name all ids";
        Box::pin(async move {
            let command = self.hash_page(WHAT, &from)?;
            let answer = self.client.ask(WHAT, command).await?;
            page(WHAT, answer, 2, |pair| {
                Some((client(&pair[0])?, written_address(&pair[1])?))
            })
        })
    }
}
