//! Makes rosters change, and follows one, to measure what that costs a registry and its nodes.
//!
//! `tests/bench/followers.py` starts one process that changes rosters and several that follow:
//!
//! ```sh
//! cargo run --release -p tieline --features redis --example rosters -- change --rate 1000
//! cargo run --release -p tieline --features redis --example rosters -- follow
//! ```
//!
//! Half of the transitions of `change` are users who come into one of many groups that nobody follows, the others
//! are those who came a second before and go. Twenty times a second, somebody also comes into the group `clock`, with
//! the time as the information about it. `follow` follows that group alone, so it reads all transitions, as every
//! node does that follows anything, and tells next to none. It prints a line each second: how many times it has heard of the
//! time, how late in milliseconds, at most and now, and how often it was told everything anew.
#![allow(clippy::print_stdout, reason = "a command prints its result")]

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use futures_util::FutureExt;
use tieline::{
    Change, Cluster, ClusterConfig, Config, Exit, Following, Hub, Presence, TransitionKind,
    registry,
};
use tokio::time::{MissedTickBehavior, interval};

/// The group that is followed.
const CLOCK: &str = "clock";
/// Between two members of it.
const TICK: Duration = Duration::from_millis(50);
/// Between two steps of the load.
const STEP: Duration = Duration::from_millis(5);
/// How long a user stays.
const STAY: Duration = Duration::from_secs(1);

/// Measure the rosters of a registry.
#[derive(Debug, Parser)]
struct Options {
    /// The cluster's Redis
    #[arg(
        long,
        value_name = "URL",
        env = "TIELINE_REGISTRY",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379"
    )]
    registry: String,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Let users come and go
    Change {
        /// Transitions per second
        #[arg(long, default_value_t = 0)]
        rate: u32,
        /// Groups that they come into
        #[arg(long, default_value_t = 1000)]
        groups: u32,
    },
    /// Follow one group
    Follow,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let registry = registry::connect(&options.registry, "rosters")
        .await
        .context("cannot use the registry; start Redis, or pass its URL with --registry")?;
    match options.role {
        Role::Change { rate, groups } => {
            let hub = Hub::new(Config::default())?;
            let cluster = Cluster::start(hub, registry, ClusterConfig::default()).await?;
            change(&Presence::new(&cluster)?, rate, groups).await
        }
        Role::Follow => {
            let cluster = Cluster::connect(registry, ClusterConfig::default()).await?;
            follow(Presence::new(&cluster)?.follow(CLOCK).await?).await
        }
    }
}

/// Changes rosters until the process is ended.
async fn change(presence: &Presence, rate: u32, groups: u32) -> anyhow::Result<()> {
    let (start, mut steps) = (Instant::now(), interval(STEP));
    steps.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut come, mut ticks) = (0_u64, 0_u64);
    let mut there = VecDeque::new();
    loop {
        steps.tick().await;
        let now = Instant::now();
        let wanted = start.elapsed().as_micros() * u128::from(rate) / 2_000_000;
        while u128::from(come) < wanted {
            let (group, user) = (
                format!("group {}", come % u64::from(groups)),
                format!("user {come}"),
            );
            enter(
                presence,
                &group,
                &user,
                r#"{"name":"Ada Lovelace","role":"admin"}"#,
            );
            there.push_back((now, group, user));
            come += 1;
        }
        while there
            .front()
            .is_some_and(|(since, ..)| now - *since >= STAY)
        {
            if let Some((_, group, user)) = there.pop_front() {
                presence.exit(&group, &user, Exit::Left);
            }
        }
        if start.elapsed().as_millis() / TICK.as_millis() >= u128::from(ticks) {
            enter(
                presence,
                CLOCK,
                &ticks.to_string(),
                &unix_micros().to_string(),
            );
            if let Some(last) = ticks.checked_sub(1) {
                presence.exit(CLOCK, &last.to_string(), Exit::Left);
            }
            ticks += 1;
        }
    }
}

/// Enters a user, and does not wait for the registry.
fn enter(presence: &Presence, group: &str, user: &str, info: &str) {
    let _ = presence.enter(group, user, info).now_or_never();
}

/// Prints each second how late the clock is told.
async fn follow(mut clock: Following) -> anyhow::Result<()> {
    let mut seconds = interval(Duration::from_secs(1));
    let (mut heard, mut latest, mut most, mut anew) = (0, 0, 0, 0);
    loop {
        tokio::select! {
            change = clock.next() => {
                let times: Vec<u64> = match change {
                    Some(Change::Snapshot { members, .. }) => {
                        anew += 1;
                        members.iter().filter_map(|one| one.info.parse().ok()).collect()
                    }
                    Some(Change::Transitions { transitions, .. }) => transitions
                        .iter()
                        // Who goes has come long before, if its node has died.
                        .filter(|one| one.kind != TransitionKind::Left)
                        .filter_map(|one| one.member.info.parse().ok())
                        .collect(),
                    _ => bail!("the presence has ended"),
                };
                if let Some(newest) = times.into_iter().max() {
                    heard += 1;
                    latest = unix_micros().saturating_sub(newest) / 1000;
                    most = most.max(latest);
                }
            }
            _ = seconds.tick() => {
                println!("{heard} {most} {latest} {anew}");
                (heard, most) = (0, 0);
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared between processes of one machine"
)]
fn unix_micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}
