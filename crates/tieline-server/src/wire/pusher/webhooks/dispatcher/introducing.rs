//! What a webhook is told that is new to the cluster, while others are told what happens.
//!
//! Owns when webhooks are looked through. Invariants: only the node that has the place introduces one, and none that the
//! cluster knows; a webhook counts as known once what it was told is sent or given up, so that the next node begins anew
//! if this one dies.

use std::{sync::Arc, time::Duration};

use tieline::{DispatchError, Position};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{OF_CHANNELS, OF_MEMBERS, OF_ROSTERS, Shared, about};
use crate::{
    config::sections::pusher_webhooks::WebhookEvent,
    wire::pusher::webhooks::{marks::RENEWAL, progress::Progress, webhook::Webhook},
};

/// Between two looks whether all was sent.
const POLL: Duration = Duration::from_secs(1);

/// A webhook that is being told who is there.
struct Introduction {
    webhook: Arc<Webhook>,
    progress: Progress,
}

impl Shared {
    /// Introduces webhooks while this node is in the place. Runs until that cannot be any more.
    pub(super) async fn introduce_new(self: Arc<Self>, mut in_place: watch::Receiver<bool>) {
        let mut reloads = self.webhooks.reloads();
        let mut under_way = Vec::new();
        let mut next_look = Instant::now();
        loop {
            let looks = tokio::select! {
                placed = in_place.changed() => match placed {
                    Ok(()) => true,
                    Err(_) => return,
                },
                Ok(()) = reloads.changed() => true,
                () = sleep_until(next_look) => true,
                () = sleep(POLL), if !under_way.is_empty() => false,
            };
            if looks {
                next_look = Instant::now() + RENEWAL;
            }
            if *in_place.borrow_and_update() {
                self.finish(&mut under_way).await;
                if looks {
                    self.look_through(&mut under_way).await;
                }
            } else {
                // Another node begins anew.
                let given_up = under_way.drain(..);
                given_up.for_each(|one: Introduction| one.progress.forget());
            }
        }
    }

    async fn finish(&self, under_way: &mut Vec<Introduction>) {
        let is_done = |one: &mut Introduction| one.progress.done().is_some();
        for done in under_way.extract_if(.., is_done).collect::<Vec<_>>() {
            self.mark(&done.webhook).await;
            tracing::debug!(url = %done.webhook.settings.url, "a webhook has been told who is there");
        }
    }

    async fn look_through(&self, under_way: &mut Vec<Introduction>) {
        for webhook in self.webhooks.wanting(&OF_ROSTERS.concat()) {
            if under_way
                .iter()
                .any(|one| Arc::ptr_eq(&one.webhook, &webhook))
            {
                continue;
            }
            let outcome = match self.marks.has(&webhook.settings).await {
                Ok(true) => {
                    self.mark(&webhook).await;
                    continue;
                }
                Ok(false) => self.introduce(&webhook).await,
                Err(error) => Err(error.into()),
            };
            match outcome {
                Ok(progress) => under_way.push(Introduction { webhook, progress }),
                Err(error) => {
                    tracing::debug!(%error, "a webhook that may be new is not told yet who is there");
                }
            }
        }
    }

    /// Tells a webhook who is there, as far as others were told.
    async fn introduce(&self, webhook: &Arc<Webhook>) -> Result<Progress, DispatchError> {
        let _taking = self.taking.lock().await;
        let own = webhook.settings.hub.as_str();
        let wants = |hub: &str, kinds: [WebhookEvent; 2], channel: &str| {
            hub == own && kinds.iter().any(|kind| webhook.wants(*kind, channel))
        };
        let mut there = self.there([own.to_owned()], wants).await?;
        let progress = Progress::default();
        let receipt = progress.take(Position::new("there"));
        let holds = self.holds.lock();
        // Nobody will be told that they have come, if they return in time.
        there.extend(holds.held().filter(|one| &*one.hub == own).cloned());
        for subject in &there {
            let event = about(subject, [OF_CHANNELS[0], OF_MEMBERS[0]]);
            self.webhooks.tell_one(webhook, &event, &receipt);
        }
        Ok(progress)
    }

    /// The cluster knows a webhook from now on.
    pub(super) async fn mark(&self, webhook: &Webhook) {
        if let Err(error) = self.marks.put(&webhook.settings).await {
            tracing::debug!(%error, "a webhook may be told again who is there");
        }
    }
}
