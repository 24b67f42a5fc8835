//! The allocator, the same as in `tieline serve`; ADR 0020 gives the reasons.

use std::{hint::black_box, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often free memory is returned.
const EVERY: Duration = Duration::from_secs(1);
/// Large enough for separate pages, which are never touched.
const BLOCK: usize = 1 << 20;

/// Restricts memory to pages of 4 KiB.
pub(crate) fn refuse_huge_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Returns free memory to the system: mimalloc does so only when it next frees whole pages.
pub(crate) async fn give_back() {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        drop(black_box(Vec::<u8>::with_capacity(BLOCK)));
    }
}
