//! The allocator, and how it returns free memory to the system.
//!
//! Must not know what is allocated. ADR 0020 has the measurements: with huge pages, or without
//! [`give_back`], connections keep the memory of their handshakes.

use std::{hint::black_box, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

// The unit tests have one that counts.
#[cfg(all(feature = "mimalloc", not(test)))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often free memory is returned.
const INTERVAL: Duration = Duration::from_secs(1);
/// Large enough for separate pages, which are never touched.
const BLOCK: usize = 1 << 20;

/// Disables transparent huge pages: memory in steps of 2 MiB, with what a storm of handshakes leaves
/// scattered over it, could not be returned. If the kernel refuses, the process only uses more memory.
pub(crate) fn refuse_huge_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Returns free memory to the system, for as long as the runtime lives. mimalloc does so only when it
/// frees whole pages, so a node that is idle after a storm would keep the memory of its handshakes.
/// Allocating and freeing a block makes it do so, and takes some microseconds.
pub(crate) async fn give_back() {
    let mut tick = interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        drop(black_box(Vec::<u8>::with_capacity(BLOCK)));
    }
}
