//! How much memory this process may use.
//!
//! Owns the reading of the limits that Linux sets: the machine's memory, and the control groups of the
//! process, version 1 and 2. Knows nothing of what the memory is for.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where systems mount the control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The memory of the machine, or of the process's control group if that is less; `None` if neither is
/// known.
pub(super) fn available() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files = groups.lines().flat_map(limit_files);
    let limits = files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.chain(machine).min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The files that may hold a limit for a line of `/proc/self/cgroup`: of the group itself and of those
/// around it. In a container the mount shows the group as its root, while the line may name a path that
/// is not visible there.
fn limit_files(line: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':');
    let (_, Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (root, file) = if controllers.is_empty() {
        (Path::new(CGROUPS).to_path_buf(), "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        let root = Path::new(CGROUPS).join("memory");
        (root, "memory.limit_in_bytes")
    } else {
        return Vec::new();
    };
    let groups = Path::new(path.trim_start_matches('/')).ancestors();
    groups.map(|group| root.join(group).join(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_memory_is_available_here() {
        assert!(available().unwrap() > 1024 * 1024);
    }

    #[test]
    fn the_memory_of_the_machine_is_in_kib() {
        let meminfo = "MemTotal:       16384 kB\nMemFree:        8 kB\n";
        assert_eq!(total(meminfo), Some(16 * 1024 * 1024));
        assert_eq!(total("MemFree: 8 kB\n"), None);
    }

    #[test]
    fn a_group_and_those_around_it_may_hold_the_limit() {
        assert_eq!(
            limit_files("0::/pods/one"),
            [
                "/sys/fs/cgroup/pods/one/memory.max",
                "/sys/fs/cgroup/pods/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
            .map(PathBuf::from)
        );
        assert_eq!(
            limit_files("4:memory:/a"),
            [
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
            .map(PathBuf::from)
        );
        assert!(limit_files("3:cpuset:/a").is_empty());
        assert!(limit_files("nonsense").is_empty());
    }
}
