//! Presence, as scripts, and reads of the stream that is the journal.
//!
//! Owns the encoding of each operation of [`Rosters`]. What they mean is in the scripts.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use redis::Value;

use super::{
    registry::RedisRegistry,
    reply::{ReplyReader, next_cursor, page, scan_cursor, text, unexpected_reply},
    scripts::{
        BEAT, END_TERM, HOOK, LIST_ROSTERS, OPEN_TERM, PAGE, PUT, ROSTER, Script, ScriptCall, TEND,
    },
};
use crate::{
    error::RegistryError,
    reply::RegistryFuture,
    roster::{
        BeatReply, HookReply, ItemOutcome, JournalEntry, JournalReply, MAX_READ, Member, OpenReply,
        Position, Pulse, Put, PutOp, PutReply, RosterKind, RosterName, RosterPage, RosterReply,
        TendReply, Term, TransitionKind,
    },
    rosters::Rosters,
    types::{Cursor, Page},
};

/// Entries that one call of `tend` removes: 4 to 7 ms of the server.
const CHUNK: usize = 512;

/// About so many members or rosters in a page.
const PAGE_SIZE: usize = 1000;

/// A call of a script that uses no entries and no roster.
fn call(registry: &RedisRegistry, script: &'static Script) -> ScriptCall {
    script.call_presence(&registry.keys, None, &[])
}

impl RedisRegistry {
    async fn reply(
        &self,
        operation: &'static str,
        call: ScriptCall,
    ) -> Result<ReplyReader, RegistryError> {
        ReplyReader::new(operation, self.client.call(operation, call).await?)
    }

    async fn do_open(&self, term: &Term) -> Result<OpenReply, RegistryError> {
        const OPERATION: &str = "open a term";
        let mut call = call(self, &OPEN_TERM);
        call.arg(name(term));
        call.arg(millis(term.time_to_live()))
            .arg(millis(term.lease));
        let mut reply = self.reply(OPERATION, call).await?;
        match reply.text()?.as_str() {
            "OK" => Ok(OpenReply::Opened {
                stands: reply.stamp()?.0,
                tail: Position::new(reply.text()?),
            }),
            "LOST" => Ok(OpenReply::Lost),
            _ => Err(unexpected_reply(OPERATION)),
        }
    }

    async fn do_beat(&self, term: &Term) -> Result<BeatReply, RegistryError> {
        const OPERATION: &str = "renew a term";
        let name = name(term);
        let mut call = BEAT.call_presence(&self.keys, Some(&name), &[]);
        call.arg(&name);
        call.arg(millis(term.time_to_live()))
            .arg(millis(term.lease));
        let mut reply = self.reply(OPERATION, call).await?;
        match reply.text()?.as_str() {
            "OK" => Ok(BeatReply::Renewed(Pulse {
                stands: reply.stamp()?.0,
                tail: Position::new(reply.text()?),
                entries: u64::try_from(reply.number()?).ok(),
                hold: duration(reply.number()?),
            })),
            "LOST" => Ok(BeatReply::Lost),
            _ => Err(unexpected_reply(OPERATION)),
        }
    }

    async fn do_put(&self, term: &Term, put: &Put) -> Result<PutReply, RegistryError> {
        const OPERATION: &str = "put users in rosters";
        let name = name(term);
        let (rosters, places) = places(put);
        let mut call = PUT.call_presence(&self.keys, Some(&name), &rosters);
        call.arg(&name).arg(millis(term.lease));
        call.arg(put.number).arg(put.acknowledged);
        call.arg(put.limit.unwrap_or(0));
        for roster in &rosters {
            call.arg(roster);
        }
        for (item, place) in put.items.iter().zip(places) {
            let op = match item.op {
                PutOp::Enter => "+",
                PutOp::Reenter => "=",
                PutOp::Leave => "-",
            };
            call.arg(format!("{op}{place}"));
            call.arg(&*item.user).arg(&*item.info);
        }
        let mut reply = self.reply(OPERATION, call).await?;
        match reply.text()?.as_str() {
            "OK" => {}
            "LOST" => return Ok(PutReply::Lost),
            "LOSS" => return Ok(PutReply::Loss),
            "STALE" => {
                let stands = reply.stamp()?.0;
                return Ok(PutReply::Stale { stands });
            }
            _ => return Err(unexpected_reply(OPERATION)),
        }
        let stands = reply.stamp()?.0;
        let mut outcomes = Vec::with_capacity(put.items.len());
        while !reply.is_empty() {
            outcomes.push(match reply.text()?.as_str() {
                "" => ItemOutcome::Done,
                "FULL" => ItemOutcome::Full,
                "LATER" => ItemOutcome::Later,
                _ => return Err(unexpected_reply(OPERATION)),
            });
        }
        if outcomes.len() != put.items.len() {
            return Err(unexpected_reply(OPERATION));
        }
        Ok(PutReply::Done { stands, outcomes })
    }

    async fn do_tend(&self, lease: Duration) -> Result<TendReply, RegistryError> {
        const OPERATION: &str = "end terms that have run out";
        let (entries, rosters) = self.keys.presence_prefixes();
        let mut call = call(self, &TEND);
        call.arg(millis(lease)).arg(CHUNK).arg(entries).arg(rosters);
        let mut reply = self.reply(OPERATION, call).await?;
        match reply.text()?.as_str() {
            "HOLD" => Ok(TendReply::Held(duration(reply.number()?))),
            "OK" => Ok(TendReply::Done {
                left: u64::try_from(reply.number()?).unwrap_or(0),
            }),
            _ => Err(unexpected_reply(OPERATION)),
        }
    }

    async fn do_roster(
        &self,
        roster: &RosterName,
        most: usize,
    ) -> Result<RosterReply, RegistryError> {
        const OPERATION: &str = "read a roster";
        let mut call = ROSTER.call_presence(&self.keys, None, &[roster.as_str()]);
        // The server counts with numbers that are exact below 2^53.
        call.arg(most.min(u32::MAX as usize));
        let mut reply = self.reply(OPERATION, call).await?;
        let tail = Position::new(reply.text()?);
        let count = u64::try_from(reply.number()?).unwrap_or(0);
        let all = usize::try_from(count).is_ok_and(|count| count <= most);
        let members = all.then(|| members(OPERATION, reply)).transpose()?;
        Ok(RosterReply {
            tail,
            count,
            members,
        })
    }

    async fn do_page(
        &self,
        roster: &RosterName,
        from: Cursor,
    ) -> Result<RosterPage, RegistryError> {
        const OPERATION: &str = "read a page of a roster";
        let mut call = PAGE.call_presence(&self.keys, None, &[roster.as_str()]);
        call.arg(scan_cursor(OPERATION, &from)?).arg(PAGE_SIZE);
        let mut reply = self.reply(OPERATION, call).await?;
        Ok(RosterPage {
            tail: Position::new(reply.text()?),
            next: next_cursor(reply.text()?),
            members: members(OPERATION, reply)?,
        })
    }

    async fn do_rosters(
        &self,
        kind: RosterKind,
        from: Cursor,
    ) -> Result<Page<RosterName>, RegistryError> {
        const OPERATION: &str = "list the rosters";
        let mut call = call(self, &LIST_ROSTERS);
        call.arg(scan_cursor(OPERATION, &from)?).arg(PAGE_SIZE);
        let reply = self.client.call(OPERATION, call).await?;
        let mut page = page(OPERATION, reply, 1, |values| {
            RosterName::from_text(text(values.first()?.clone())?)
        })?;
        page.items.retain(|roster| roster.kind() == kind);
        Ok(page)
    }

    async fn do_read(&self, after: &Position) -> Result<JournalReply, RegistryError> {
        const OPERATION: &str = "read the journal";
        // That of a registry without a journal.
        if after.as_str().is_empty() {
            return Ok(JournalReply::Broken);
        }
        // No script: it would take the server three times as long. A server that has become a replica may answer, and
        // what it says is as old as its last write.
        let mut command = redis::cmd("XRANGE");
        command
            .arg(self.keys.journal())
            .arg(after.as_str())
            .arg("+");
        command.arg("COUNT").arg(MAX_READ + 1);
        let reply = self.client.query(OPERATION, command).await?;
        let mut reply = ReplyReader::new(OPERATION, reply)?;
        if reply.is_empty() {
            return Ok(JournalReply::Broken);
        }
        // What was read last must stand there still, the same.
        let (mut reached, _) = record(OPERATION, reply.next()?)?;
        let is_other = |digest| reached.digest() != Some(digest);
        if reached != *after || after.digest().is_some_and(is_other) {
            return Ok(JournalReply::Broken);
        }
        let mut entries = Vec::with_capacity(reply.len());
        while !reply.is_empty() {
            let (position, entry) = record(OPERATION, reply.next()?)?;
            reached = position;
            entries.extend(entry);
        }
        Ok(JournalReply::Entries { entries, reached })
    }

    async fn do_hook(
        &self,
        term: &Term,
        reached: Option<&Position>,
    ) -> Result<HookReply, RegistryError> {
        const OPERATION: &str = "take the dispatcher's place";
        let mut call = call(self, &HOOK);
        call.arg(name(term))
            .arg(reached.map_or("", Position::as_str));
        let mut reply = self.reply(OPERATION, call).await?;
        match reply.text()?.as_str() {
            "OK" => Ok(HookReply::Held(Position::new(reply.text()?))),
            "RESET" => Ok(HookReply::Reset(Position::new(reply.text()?))),
            "BUSY" => Ok(HookReply::Busy),
            "LOST" => Ok(HookReply::Lost),
            _ => Err(unexpected_reply(OPERATION)),
        }
    }
}

impl Rosters for RedisRegistry {
    fn open<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, OpenReply> {
        Box::pin(self.do_open(term))
    }

    fn beat<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, BeatReply> {
        Box::pin(self.do_beat(term))
    }

    fn put<'a>(&'a self, term: &'a Term, put: &'a Put) -> RegistryFuture<'a, PutReply> {
        Box::pin(self.do_put(term, put))
    }

    fn tend(&self, lease: Duration) -> RegistryFuture<'_, TendReply> {
        Box::pin(self.do_tend(lease))
    }

    fn end<'a>(&'a self, term: &'a Term, after: Duration) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let mut call = call(self, &END_TERM);
            let after = if after.is_zero() { 0 } else { millis(after) };
            call.arg(name(term)).arg(after);
            self.client.call("end a term", call).await.map(drop)
        })
    }

    fn roster<'a>(
        &'a self,
        roster: &'a RosterName,
        most: usize,
    ) -> RegistryFuture<'a, RosterReply> {
        Box::pin(self.do_roster(roster, most))
    }

    fn page<'a>(&'a self, roster: &'a RosterName, from: Cursor) -> RegistryFuture<'a, RosterPage> {
        Box::pin(self.do_page(roster, from))
    }

    fn rosters(&self, kind: RosterKind, from: Cursor) -> RegistryFuture<'_, Page<RosterName>> {
        Box::pin(self.do_rosters(kind, from))
    }

    fn read<'a>(&'a self, after: &'a Position) -> RegistryFuture<'a, JournalReply> {
        Box::pin(self.do_read(after))
    }

    fn hook<'a>(
        &'a self,
        term: &'a Term,
        reached: Option<&'a Position>,
    ) -> RegistryFuture<'a, HookReply> {
        Box::pin(self.do_hook(term, reached))
    }
}

/// The rosters of a put, and the place of that of each item among them, from 1.
fn places(put: &Put) -> (Vec<&str>, Vec<usize>) {
    let (mut rosters, mut known) = (Vec::new(), HashMap::new());
    let places = put.items.iter().map(|item| {
        let roster = item.roster.as_str();
        *known.entry(roster).or_insert_with(|| {
            rosters.push(roster);
            rosters.len()
        })
    });
    let places = places.collect();
    (rosters, places)
}

/// An entry of the journal with its place; `None` for the mark with which a journal begins.
fn record(
    operation: &'static str,
    value: Value,
) -> Result<(Position, Option<JournalEntry>), RegistryError> {
    let mut record = ReplyReader::new(operation, value)?;
    let place = record.text()?;
    let mut fields = ReplyReader::new(operation, record.next()?)?;
    let mut field = || fields.text();
    let (roster, user, what, info) = (field()?, field()?, field()?, field()?);
    let mut digest = DefaultHasher::new();
    (&roster, &user, &what, &info).hash(&mut digest);
    let position = Position::new(place).with_digest(digest.finish());
    let unexpected = || unexpected_reply(operation);
    let (kind, count) = what.split_at_checked(1).ok_or_else(unexpected)?;
    let kind = match kind {
        "!" => return Ok((position, None)),
        "+" => TransitionKind::Joined,
        "-" => TransitionKind::Left,
        "~" => TransitionKind::Changed,
        _ => return Err(unexpected()),
    };
    let roster = RosterName::from_text(roster);
    let entry = JournalEntry {
        position: position.clone(),
        kind,
        roster: roster.ok_or_else(unexpected)?,
        user: user.into(),
        info: info.into(),
        count: count.parse().map_err(|_| unexpected())?,
    };
    Ok((position, Some(entry)))
}

/// Users, each with "terms information".
fn members(operation: &'static str, mut reply: ReplyReader) -> Result<Vec<Member>, RegistryError> {
    let mut members = Vec::with_capacity(reply.len() / 2);
    while !reply.is_empty() {
        let user = Arc::from(reply.text()?);
        let value = reply.text()?;
        let (_, info) = value
            .split_once(' ')
            .ok_or_else(|| unexpected_reply(operation))?;
        let info = info.into();
        members.push(Member { user, info });
    }
    Ok(members)
}

fn name(term: &Term) -> String {
    term.name.to_string()
}

/// At least one.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).map_or(u64::MAX, |millis| millis.max(1))
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
