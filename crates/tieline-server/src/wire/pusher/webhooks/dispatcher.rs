//! The cluster's dispatcher of presence: what happens to rosters becomes events of channels.
//!
//! Owns what a change means to webhooks, and when a going is told. Must not know which webhooks there are. Invariant: a
//! change is done only when every request that follows from it is.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline::{DispatchError, Dispatcher, Position, Presence, PresenceEvent};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::channel::{Channel, ChannelKind},
    event::{Event, OF_CHANNELS, OF_MEMBERS},
    holds::{Holds, Subject},
    live::Webhooks,
    progress::{Progress, Receipt},
};
use crate::config::sections::pusher_webhooks::WebhookEvent;

/// How long whoever has gone has to return untold.
const HOLD: Duration = Duration::from_secs(3);

pub(super) struct WebhookDispatcher {
    shared: Arc<Shared>,
    presence: Presence,
    /// How long all have to come again after the registry has lost its data.
    return_time: Duration,
    _telling: AbortOnDropHandle<()>,
}

struct Shared {
    webhooks: Webhooks,
    progress: Progress,
    holds: Mutex<Holds<Arc<Receipt>>>,
    /// A time to tell has come nearer.
    held: Notify,
}

impl WebhookDispatcher {
    /// `lease` is that of the cluster's nodes.
    pub(super) fn new(webhooks: Webhooks, presence: Presence, lease: Duration) -> Self {
        let shared = Arc::new(Shared {
            webhooks,
            progress: Progress::default(),
            holds: Mutex::default(),
            held: Notify::new(),
        });
        let telling = tokio::spawn(Arc::clone(&shared).tell_due());
        Self {
            shared,
            presence,
            return_time: lease + HOLD,
            _telling: AbortOnDropHandle::new(telling),
        }
    }

    /// Who is there now, of what webhooks want.
    async fn there(&self) -> Result<Vec<Subject>, DispatchError> {
        let webhooks = &self.shared.webhooks;
        let mut there = Vec::new();
        for hub in webhooks.hubs_wanting(&[OF_CHANNELS, OF_MEMBERS].concat()) {
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
                if webhooks.want_any(&hub, OF_CHANNELS, &channel) {
                    there.push(subject(None));
                }
                if kind == Kind::Presence && webhooks.want_any(&hub, OF_MEMBERS, &channel) {
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
        for event in events {
            if let PresenceEvent::Reset { version } = event {
                let there = self.there().await?;
                self.shared.reset(&there, version, self.return_time);
            } else {
                self.shared.take(event);
            }
        }
        Ok(())
    }

    fn done(&self, _: &Position) -> Option<Position> {
        self.shared.progress.done()
    }

    fn handed_over(&self) {
        // First: whatever ends from now on is not done.
        self.shared.progress.forget();
        self.shared.holds.lock().suspend();
    }
}

impl Shared {
    fn reset(&self, there: &[Subject], version: &Position, return_time: Duration) {
        let receipt = self.progress.take(version.clone());
        let mut holds = self.holds.lock();
        let time = (Instant::now(), return_time);
        for subject in holds.reset(there, time, || Arc::clone(&receipt)) {
            self.tell_come(&subject, &receipt);
        }
        drop(holds);
        self.held.notify_one();
    }

    fn take(&self, event: &PresenceEvent) {
        let receipt = self.progress.take(event.version().clone());
        let mut holds = self.holds.lock();
        holds.resume();
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

    fn come(&self, holds: &mut Holds<Arc<Receipt>>, subject: &Subject, receipt: &Arc<Receipt>) {
        if holds.come(subject) {
            self.tell_come(subject, receipt);
        }
    }

    /// A subject has gone, which somebody wants to know or not.
    fn go(
        &self,
        holds: &mut Holds<Arc<Receipt>>,
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
        let channel = Arc::clone(&subject.channel);
        let event = match &subject.member {
            None => Event::of_channel(of_channel, channel),
            Some(user) => Event::of_member(of_member, channel, user),
        };
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
