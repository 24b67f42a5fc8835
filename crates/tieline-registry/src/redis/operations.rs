//! What the contract asks, as commands.
//!
//! Owns the encoding of each operation and the size of its parts. Each part is a script that the
//! server runs as a whole, of [`BATCH`] ids at most: 5 ms of the server's time.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::{
    RedisRegistry,
    answer::{Reader, client, garbled, is_text, number, page, position, written_address},
    scripts::{BEAT, CLAIM, CLEAR, EXPIRED, JOIN, LEAVE, LOCATE, MEMBERS, REAP, RELEASE, Script},
};
use crate::{
    contract::{Answer, Registry},
    error::RegistryError,
    id::ClientId,
    types::{
        Beat, Candidate, Claim, ClaimKind, Claimed, Cursor, Entry, Expired, Join, Member, Owner,
        Page, Release, Released, Session, Stamp, Verdict,
    },
};

/// How many ids a script is given.
const BATCH: usize = 512;

/// How many scripts are sent together: the server serves others after each, but answers a connection
/// in order, so that what comes after them waits.
const TOGETHER: usize = 8;

impl RedisRegistry {
    /// A call of a script by the process of a session.
    fn call(&self, script: &Script, session: &Session) -> Cmd {
        let mut command = script.call(&self.keys, &session.address);
        let process = session.process.hyphenated();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let process: &str = process.encode_lower(&mut text);
        command.arg(&*session.address).arg(process);
        command
    }

    async fn do_join(&self, candidate: &Candidate) -> Result<Join, RegistryError> {
        const WHAT: &str = "join";
        let session = Session {
            address: candidate.address.clone(),
            process: candidate.process,
            ttl: candidate.lease,
            lease: 0,
            fence: 0,
        };
        let mut command = self.call(&JOIN, &session);
        let replace = candidate.replace.map(|process| process.to_string());
        command.arg(replace.unwrap_or_default());
        command.arg(candidate.now.0).arg(millis(&session));
        let mut answer = Reader::new(WHAT, self.line.ask(WHAT, command).await?)?;
        match answer.text()?.as_str() {
            "OK" => Ok(Join::Joined(session, answer.tenure()?)),
            "BUSY" => Ok(Join::Busy(answer.process()?)),
            _ => Err(garbled(WHAT)),
        }
    }

    async fn do_beat(&self, session: &Session, now: Stamp) -> Result<Beat, RegistryError> {
        const WHAT: &str = "renew the lease";
        let mut command = self.call(&BEAT, session);
        command.arg(now.0).arg(millis(session));
        let mut answer = Reader::new(WHAT, self.line.ask(WHAT, command).await?)?;
        match answer.text()?.as_str() {
            "OK" => Ok(Beat::Renewed(answer.tenure()?)),
            "REVIVED" => Ok(Beat::Revived(answer.tenure()?)),
            "LOST" => Ok(Beat::Lost),
            _ => Err(garbled(WHAT)),
        }
    }

    async fn do_members(&self) -> Result<Vec<Member>, RegistryError> {
        const WHAT: &str = "name the nodes";
        let command = MEMBERS.call(&self.keys, "");
        let mut answer = Reader::new(WHAT, self.line.ask(WHAT, command).await?)?;
        let mut members = Vec::with_capacity(answer.len() / 3);
        while !answer.is_empty() {
            members.push(answer.member()?);
        }
        Ok(members)
    }

    async fn do_claim(
        &self,
        session: &Session,
        claims: &[Claim],
    ) -> Result<Claimed, RegistryError> {
        const WHAT: &str = "claim ids";
        let mut verdicts = Vec::with_capacity(claims.len());
        for together in claims.chunks(BATCH * TOGETHER) {
            let calls: Vec<_> = together
                .chunks(BATCH)
                .map(|batch| self.claiming(session, batch))
                .collect();
            for answer in self.line.ask_all(WHAT, &calls).await? {
                let mut answer = Reader::new(WHAT, answer)?;
                if answer.text()? == "LOST" {
                    return Ok(Claimed::Lost);
                }
                while !answer.is_empty() {
                    verdicts.push(answer.verdict()?);
                }
            }
        }
        check_count(WHAT, claims, verdicts)
    }

    fn claiming(&self, session: &Session, claims: &[Claim]) -> Cmd {
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
        session: &Session,
        releases: &[Release],
    ) -> Result<Released, RegistryError> {
        const WHAT: &str = "release ids";
        for together in releases.chunks(BATCH * TOGETHER) {
            let calls: Vec<_> = together
                .chunks(BATCH)
                .map(|batch| self.releasing(session, batch))
                .collect();
            for answer in self.line.ask_all(WHAT, &calls).await? {
                if is_text(&answer, "LOST") {
                    return Ok(Released::Lost);
                }
                if !is_text(&answer, "OK") {
                    return Err(garbled(WHAT));
                }
            }
        }
        Ok(Released::Done)
    }

    fn releasing(&self, session: &Session, releases: &[Release]) -> Cmd {
        let mut command = self.call(&RELEASE, session);
        for release in releases {
            command.arg(release.id.as_str()).arg(release.upto.0);
        }
        command
    }

    async fn do_locate(&self, id: &str) -> Result<Option<Entry>, RegistryError> {
        const WHAT: &str = "locate an id";
        let mut command = LOCATE.call(&self.keys, "");
        command.arg(id);
        let mut answer = Reader::new(WHAT, self.line.ask(WHAT, command).await?)?;
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

    async fn do_expired(&self) -> Result<Vec<Expired>, RegistryError> {
        const WHAT: &str = "name the nodes that expired";
        let command = EXPIRED.call(&self.keys, "");
        let mut answer = Reader::new(WHAT, self.line.ask(WHAT, command).await?)?;
        let mut expired = Vec::with_capacity(answer.len() / 2);
        while !answer.is_empty() {
            let (address, mark) = (answer.address()?, answer.address()?);
            expired.push(Expired { address, mark });
        }
        Ok(expired)
    }

    async fn do_reap(&self, expired: &Expired, most: usize) -> Result<bool, RegistryError> {
        const WHAT: &str = "reap a node";
        let mut command = REAP.call(&self.keys, &expired.address);
        command.arg(&*expired.address).arg(&*expired.mark);
        command.arg(most.min(BATCH));
        let answer = self.line.ask(WHAT, command).await?;
        let left = number(&answer).ok_or_else(|| garbled(WHAT))?;
        Ok(left > 0)
    }

    /// Walks the shared hash, and then what Tieline wrote under the address where the hash has lost it.
    async fn do_clear(&self, address: &str) -> Result<u64, RegistryError> {
        const WHAT: &str = "clear an address";
        let mut cleared = 0;
        let mut from = Cursor::default();
        loop {
            let answer = self.line.ask(WHAT, self.hash_page(WHAT, &from)?).await?;
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
                .line
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
            let mut command = CLEAR.call(&self.keys, address);
            command.arg(address);
            batch.iter().for_each(|id| {
                command.arg(id.as_str());
            });
            let answer = self.line.ask(what, command).await?;
            let count = number(&answer).and_then(|count| u64::try_from(count).ok());
            cleared += count.ok_or_else(|| garbled(what))?;
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
fn millis(session: &Session) -> u64 {
    u64::try_from(session.ttl.as_millis()).map_or(u64::MAX, |millis| millis.max(1))
}

fn check_count(
    what: &'static str,
    claims: &[Claim],
    verdicts: Vec<Verdict>,
) -> Result<Claimed, RegistryError> {
    if verdicts.len() != claims.len() {
        return Err(garbled(what));
    }
    Ok(Claimed::Verdicts(verdicts))
}

impl Registry for RedisRegistry {
    fn join<'a>(&'a self, candidate: &'a Candidate) -> Answer<'a, Join> {
        Box::pin(self.do_join(candidate))
    }

    fn beat<'a>(&'a self, session: &'a Session, now: Stamp) -> Answer<'a, Beat> {
        Box::pin(self.do_beat(session, now))
    }

    fn leave<'a>(&'a self, session: &'a Session) -> Answer<'a, ()> {
        Box::pin(async {
            let leaving = self.line.ask("leave", self.call(&LEAVE, session));
            leaving.await.map(drop)
        })
    }

    fn members(&self) -> Answer<'_, Vec<Member>> {
        Box::pin(self.do_members())
    }

    fn claim<'a>(&'a self, session: &'a Session, claims: &'a [Claim]) -> Answer<'a, Claimed> {
        Box::pin(self.do_claim(session, claims))
    }

    fn release<'a>(
        &'a self,
        session: &'a Session,
        releases: &'a [Release],
    ) -> Answer<'a, Released> {
        Box::pin(self.do_release(session, releases))
    }

    // The master alone is asked, so that every answer is fresh.
    fn locate<'a>(&'a self, id: &'a str, _fresh: bool) -> Answer<'a, Option<Entry>> {
        Box::pin(self.do_locate(id))
    }

    fn held<'a>(&'a self, session: &'a Session, from: Cursor) -> Answer<'a, Page<ClientId>> {
        const WHAT: &str = "name the ids of a node";
        Box::pin(async move {
            let command = self.set_page(WHAT, &session.address, &from)?;
            let answer = self.line.ask(WHAT, command).await?;
            page(WHAT, answer, 1, |item| client(&item[0]))
        })
    }

    fn expired(&self) -> Answer<'_, Vec<Expired>> {
        Box::pin(self.do_expired())
    }

    fn reap<'a>(&'a self, expired: &'a Expired, most: usize) -> Answer<'a, bool> {
        Box::pin(self.do_reap(expired, most))
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> Answer<'a, ()> {
        const WHAT: &str = "set an id";
        Box::pin(async move {
            let id = ClientId::new(id).map_err(|error| RegistryError::refused(WHAT, error))?;
            let mut command = redis::cmd("HSET");
            command.arg(&self.keys.places).arg(id.as_str()).arg(address);
            self.line.ask(WHAT, command).await.map(drop)
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut command = redis::cmd("HDEL");
            command.arg(&self.keys.places).arg(id);
            self.line.ask("delete an id", command).await.map(drop)
        })
    }

    fn clear<'a>(&'a self, address: &'a str) -> Answer<'a, u64> {
        Box::pin(self.do_clear(address))
    }

    fn all(&self, from: Cursor) -> Answer<'_, Page<(ClientId, Arc<str>)>> {
        const WHAT: &str = "name all ids";
        Box::pin(async move {
            let command = self.hash_page(WHAT, &from)?;
            let answer = self.line.ask(WHAT, command).await?;
            page(WHAT, answer, 2, |pair| {
                Some((client(&pair[0])?, written_address(&pair[1])?))
            })
        })
    }
}
