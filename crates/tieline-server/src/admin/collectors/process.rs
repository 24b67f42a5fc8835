//! Memory, processor time and descriptors of the process, under the names that other exporters use.
//!
//! Read from `/proc`. What cannot be read is left out.

use std::{fmt, fs, time::SystemTime};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};

use super::page::{Metric, Page};
use crate::app::clock;

#[derive(Debug)]
pub(in crate::admin) struct ProcessCollector {
    /// When the system started, in seconds since 1970. Read once: the clock may be set, and the process has started
    /// once.
    booted: Option<f64>,
}

impl ProcessCollector {
    pub(in crate::admin) fn new() -> Self {
        Self {
            booted: boot_time(),
        }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        const CPU: Metric = Metric::seconds(
            "process_cpu",
            "Processor time of the process, in user and kernel mode",
        );
        const RESIDENT: Metric = Metric::bytes(
            "process_resident_memory",
            "Memory of the process that is resident",
        );
        const VIRTUAL: Metric =
            Metric::bytes("process_virtual_memory", "Address space of the process");
        const THREADS: Metric = Metric::count("process_threads", "Threads of the process");
        const START: Metric = Metric::seconds(
            "process_start_time",
            "When the process started, as seconds since 1970",
        );
        const OPEN: Metric = Metric::count("process_open_fds", "Descriptors that are open");
        const MAX: Metric = Metric::count("process_max_fds", "Descriptors that may be open");
        let page = &mut Page(encoder);
        if let Some(stat) = fs::read_to_string("/proc/self/stat")
            .ok()
            .as_deref()
            .and_then(Stat::parse)
        {
            page.counter(CPU, &stat.cpu)?;
            page.gauge(RESIDENT, &stat.resident)?;
            page.gauge(VIRTUAL, &stat.virtual_bytes)?;
            page.gauge(THREADS, &stat.threads)?;
            if let Some(booted) = self.booted {
                page.gauge(START, &(booted + stat.started))?;
            }
        }
        if let Some(open) = open_descriptors() {
            page.gauge(OPEN, &open)?;
        }
        if let Some(max) = getrlimit(Resource::Nofile).current {
            page.gauge(MAX, &max)?;
        }
        Ok(())
    }
}

/// What `/proc/self/stat` says.
struct Stat {
    /// Seconds.
    cpu: f64,
    /// Seconds after the start of the system.
    started: f64,
    threads: u64,
    virtual_bytes: u64,
    resident: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name of the program precedes, and may have anything in it.
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        // proc(5) counts from 1, and this begins with the third.
        let field = |number: usize| fields.get(number - 3)?.trim().parse::<u64>().ok();
        #[expect(clippy::cast_precision_loss, reason = "it takes 2^53 ticks")]
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        Some(Self {
            cpu: seconds(field(14)? + field(15)?),
            started: seconds(field(22)?),
            threads: field(20)?,
            virtual_bytes: field(23)?,
            resident: field(24)?.saturating_mul(page_size() as u64),
        })
    }
}

/// When the system started, in seconds since 1970.
fn boot_time() -> Option<f64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    let now = clock::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(now.as_secs_f64() - uptime)
}

/// Since Linux 6.2 the folder has their number as its size; before, they have to be counted.
fn open_descriptors() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).ok()?.len() {
        0 => Some(fs::read_dir(FOLDER).ok()?.count() as u64),
        count => Some(count),
    }
}
