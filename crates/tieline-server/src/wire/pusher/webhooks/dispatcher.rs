//! The cluster's dispatcher of presence: what happens to rosters becomes events of channels.
//!
//! Owns what a change means to webhooks, and when a going is told. Must not know which webhooks there are. Invariant: a
//! change is done only when every request that follows from it is.

mod introducing;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline::{DispatchError, Dispatcher, Position, Presence, PresenceEvent};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::channel::{Channel, ChannelKind},
    event::{Event, OF_CHANNELS, OF_MEMBERS},
    holds::{Holds, Subject},
    live::Webhooks,
    marks::Marks,
    progress::{Progress, Receipt},
};
use crate::config::sections::pusher_webhooks::WebhookEvent;

/// What is told of rosters.
pub(super) const OF_ROSTERS: [[WebhookEvent; 2]; 2] = [OF_CHANNELS, OF_MEMBERS];

/// How long whoever has gone has to return untold.
const HOLD: Duration = Duration::from_secs(3);

pub(super) struct WebhookDispatcher {
    shared: Arc<Shared>,
    /// How long all have to come again after the registry has lost its data.
    return_time: Duration,
    /// Whether this node has the place.
    is_in_place: watch::Sender<bool>,
    _telling: AbortOnDropHandle<()>,
    _introducing: AbortOnDropHandle<()>,
}

struct Shared {
    webhooks: Webhooks,
    presence: Presence,
    marks: Marks,
    /// Held while changes are taken, and while those who are there are read for a webhook that is new: what it is told of
    /// a channel last is what has happened last.
    taking: tokio::sync::Mutex<()>,
    progress: Progress,
    holds: Mutex<Holds<Receipt>>,
    /// A time to tell has come nearer.
    held: Notify,
}

impl WebhookDispatcher {
    /// `lease` is that of the cluster's nodes.
    pub(super) fn new(
        webhooks: Webhooks,
        presence: Presence,
        marks: Marks,
        lease: Duration,
    ) -> Self {
        let shared = Arc::new(Shared {
            webhooks,
            presence,
            marks,
            taking: tokio::sync::Mutex::default(),
            progress: Progress::default(),
            holds: Mutex::default(),
            held: Notify::new(),
        });
        let telling = tokio::spawn(Arc::clone(&shared).tell_due());
        let (is_in_place, in_place) = watch::channel(false);
        let introducing = tokio::spawn(Arc::clone(&shared).introduce_new(in_place));
        Self {
            shared,
            return_time: lease + HOLD,
            is_in_place,
            _telling: AbortOnDropHandle::new(telling),
            _introducing: AbortOnDropHandle::new(introducing),
        }
    }
}

impl Shared {
    /// Who is there now in these hubs, of what is wanted.
    async fn there(
        &self,
        hubs: impl IntoIterator<Item = String> + Send,
        wants: impl Fn(&str, [WebhookEvent; 2], &str) -> bool + Send + Sync,
    ) -> Result<Vec<Subject>, DispatchError> {
        let mut there = Vec::new();
        for hub in hubs {
            let presence = self.presence.namespace(&hub)?;
            let hub: Arc<str> = hub.into();
            for channel in presence.occupied().await? {
                let Some(kind) = kind(&channel) else {
                    continue;
                };
                let subject = |member| Subject {
                    hub: Arc::clone(&hub),
                    channel: Arc::clone(&channel),
                    member,
                };
                if wants(&hub, OF_CHANNELS, &channel) {
                    there.push(subject(None));
                }
                if kind == Kind::Presence && wants(&hub, OF_MEMBERS, &channel) {
                    let members = presence.roster(&channel).await?.into_iter();
                    there.extend(members.map(|member| subject(Some(member.user))));
                }
            }
        }
        Ok(there)
    }
}

impl Dispatcher for WebhookDispatcher {
    async fn dispatch(&self, events: &[PresenceEvent]) -> Result<(), DispatchError> {
        let shared = &self.shared;
        let _taking = shared.taking.lock().await;
        for event in events {
            if let PresenceEvent::Reset { version } = event {
                let hubs = shared.webhooks.hubs_wanting(&OF_ROSTERS.concat());
                let wants =
                    |hub: &str, kinds, channel: &str| shared.webhooks.want_any(hub, kinds, channel);
                // A webhook that comes meanwhile is told later, as one that is new.
                let told = shared.webhooks.wanting(&OF_ROSTERS.concat());
                let there = shared.there(hubs, wants).await?;
                if shared.reset(&there, version, self.return_time) {
                    for webhook in &told {
                        shared.mark(webhook).await;
                    }
                }
            } else {
                shared.take(event);
            }
        }
        Ok(())
    }

    fn done(&self, _: &Position) -> Option<Position> {
        let begins = |is: &mut bool| !std::mem::replace(is, true);
        self.is_in_place.send_if_modified(begins);
        self.shared.progress.done()
    }

    fn handed_over(&self) {
        // First: what is not told yet is dropped as soon as it is forgotten.
        self.shared.holds.lock().suspend();
        // Whatever ends from now on is not done.
        self.shared.progress.forget();
        self.is_in_place.send_replace(false);
    }
}

impl Shared {
    /// Tells what was missed. Whether that was everybody who is there.
    fn reset(&self, there: &[Subject], version: &Position, return_time: Duration) -> bool {
        let receipt = self.progress.take(version.clone());
        let mut holds = self.holds.lock();
        let is_complete = holds.know_nobody();
        let time = (Instant::now(), return_time);
        for subject in holds.reset(there, time, &receipt) {
            self.tell_come(&subject, &receipt);
        }
        drop(holds);
        self.held.notify_one();
        is_complete
    }

    fn take(&self, event: &PresenceEvent) {
        let receipt = self.progress.take(event.version().clone());
        let mut holds = self.holds.lock();
        let Some((hub, channel)) = place(event) else {
            return;
        };
        let of_members = kind(channel) == Some(Kind::Presence);
        let of_others = kind(channel) == Some(Kind::Other);
        let subject = |member: Option<&Arc<str>>| Subject {
            hub: Arc::clone(hub),
            channel: Arc::clone(channel),
            member: member.cloned(),
        };
        let is_wanted = |kinds| self.webhooks.want_any(hub, kinds, channel);
        match event {
            PresenceEvent::Joined { user, members, .. } if of_members => {
                if *members == 1 && is_wanted(OF_CHANNELS) {
                    self.come(&mut holds, &subject(None), &receipt);
                }
                if is_wanted(OF_MEMBERS) {
                    self.come(&mut holds, &subject(Some(user)), &receipt);
                }
            }
            PresenceEvent::Left { user, members, .. } if of_members => {
                self.go(
                    &mut holds,
                    subject(Some(user)),
                    (is_wanted(OF_MEMBERS), &receipt),
                );
                if *members == 0 {
                    self.go(
                        &mut holds,
                        subject(None),
                        (is_wanted(OF_CHANNELS), &receipt),
                    );
                }
            }
            PresenceEvent::Occupied { .. } if of_others && is_wanted(OF_CHANNELS) => {
                self.come(&mut holds, &subject(None), &receipt);
            }
            PresenceEvent::Vacated { .. } if of_others => {
                self.go(
                    &mut holds,
                    subject(None),
                    (is_wanted(OF_CHANNELS), &receipt),
                );
            }
            _ => {}
        }
    }

    fn come(&self, holds: &mut Holds<Receipt>, subject: &Subject, receipt: &Arc<Receipt>) {
        if holds.come(subject) {
            self.tell_come(subject, receipt);
        }
    }

    /// A subject has gone, which somebody wants to know or not.
    fn go(
        &self,
        holds: &mut Holds<Receipt>,
        subject: Subject,
        (is_wanted, receipt): (bool, &Arc<Receipt>),
    ) {
        if !is_wanted {
            holds.forget(&subject);
            return;
        }
        let told = subject.clone();
        if let Some(receipt) = holds.go(subject, Instant::now() + HOLD, Arc::clone(receipt)) {
            self.tell_gone(&told, &receipt);
        }
        self.held.notify_one();
    }

    fn tell_come(&self, subject: &Subject, receipt: &Arc<Receipt>) {
        self.tell(subject, [OF_CHANNELS[0], OF_MEMBERS[0]], receipt);
    }

    fn tell_gone(&self, subject: &Subject, receipt: &Arc<Receipt>) {
        self.tell(subject, [OF_CHANNELS[1], OF_MEMBERS[1]], receipt);
    }

    /// Under the lock of the holds, so that the events of a channel are queued in the order in which they were decided.
    fn tell(
        &self,
        subject: &Subject,
        [of_channel, of_member]: [WebhookEvent; 2],
        receipt: &Arc<Receipt>,
    ) {
        let event = about(subject, [of_channel, of_member]);
        self.webhooks.tell_hub(&subject.hub, &event, receipt);
    }

    /// Tells who has gone and has not returned. Runs until it is dropped.
    async fn tell_due(self: Arc<Self>) {
        loop {
            let due = {
                let mut holds = self.holds.lock();
                while let Some((subject, receipt)) = holds.pop(Instant::now()) {
                    self.tell_gone(&subject, &receipt);
                }
                holds.next_due()
            };
            let until_due = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = until_due => {}
                () = self.held.notified() => {}
            }
        }
    }
}

/// What is told of a subject.
fn about(subject: &Subject, [of_channel, of_member]: [WebhookEvent; 2]) -> Event {
    let channel = Arc::clone(&subject.channel);
    match &subject.member {
        None => Event::of_channel(of_channel, channel),
        Some(user) => Event::of_member(of_member, channel, user),
    }
}

/// The hub and the group in which somebody has come or gone.
fn place(event: &PresenceEvent) -> Option<(&Arc<str>, &Arc<str>)> {
    match event {
        PresenceEvent::Joined {
            namespace, group, ..
        }
        | PresenceEvent::Left {
            namespace, group, ..
        }
        | PresenceEvent::Occupied {
            namespace, group, ..
        }
        | PresenceEvent::Vacated {
            namespace, group, ..
        } => Some((namespace, group)),
        _ => None,
    }
}

/// How the roster of a channel is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Presence,
    Other,
}

/// That of a group; `None` if it is no channel that webhooks are told about.
fn kind(group: &str) -> Option<Kind> {
    match Channel::parse(group).ok()?.kind() {
        ChannelKind::Presence => Some(Kind::Presence),
        ChannelKind::ToUser(_) => None,
        _ => Some(Kind::Other),
    }
}
