//! How much memory this process may still take: what the machine has free, or less where its control group or a limit on the process
//! leaves less.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// A limit as large as this stands for none.
const UNLIMITED: u64 = 1 << 60;

/// What bounds the memory of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// What the machine has.
    Machine,
    /// The limit of its control group, as containers have one.
    Group,
    /// A limit on its address space or its data, as `ulimit -v` and `ulimit -d` set one.
    Process,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Machine => "free on this machine",
            Self::Group => "free within the limit of this control group",
            Self::Process => "free within the limit of this process",
        })
    }
}

/// Memory under one bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What bounds it.
    pub bound: Bound,
    /// All that there is.
    pub total: u64,
    /// What may still be taken.
    pub free: u64,
}

impl Memory {
    /// The bound that leaves least; none where the system says nothing of memory.
    pub fn now() -> Option<Self> {
        Self::all().into_iter().min_by_key(|memory| memory.free)
    }

    /// As [`Memory::now`], once this process has let go of what it holds: its other jobs will have ended.
    pub fn when_idle() -> Option<Self> {
        let held = read("/proc/self/status").and_then(|status| kilobytes(&status, "RssAnon"));
        let freed = |memory: Self| Self {
            free: memory.free.saturating_add(held.unwrap_or(0)).min(memory.total),
            ..memory
        };
        Self::now().map(freed)
    }

    /// All that this process can ever have; none where the system says nothing of memory.
    pub fn total() -> Option<u64> {
        Self::all().into_iter().map(|memory| memory.total).min()
    }

    fn all() -> Vec<Self> {
        let machine = read("/proc/meminfo").and_then(|meminfo| of_machine(&meminfo));
        let process = match (read("/proc/self/limits"), read("/proc/self/status")) {
            (Some(limits), Some(status)) => of_process(&limits, &status),
            _ => Vec::new(),
        };
        let groups = read("/proc/self/cgroup").map_or_else(Vec::new, |groups| group_folders(&groups));
        let groups = groups.iter().filter_map(|folder| of_group(folder));
        machine.into_iter().chain(process).chain(groups).collect()
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// `NAME: 12 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1024))
}

fn of_machine(meminfo: &str) -> Option<Memory> {
    let total = kilobytes(meminfo, "MemTotal")?;
    // kernels before 3.14 do not say what is available
    let free = kilobytes(meminfo, "MemAvailable").or_else(|| kilobytes(meminfo, "MemFree"))?;
    Some(Memory {
        bound: Bound::Machine,
        total,
        free,
    })
}

fn of_process(limits: &str, status: &str) -> Vec<Memory> {
    let of = |(limit, used): (&str, &str)| {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit))?;
        let total = line.split_whitespace().next()?.parse::<u64>().ok()?; // or `unlimited`
        let used = kilobytes(status, used)?;
        Some(Memory {
            bound: Bound::Process,
            total,
            free: total.saturating_sub(used),
        })
    };
    [("Max address space", "VmSize"), ("Max data size", "VmData")]
        .into_iter()
        .filter_map(of)
        .collect()
}

/// The folders that say what a control group may take, of the process' own group and those above it. Lines are `0::/PATH` of the
/// second version and `N:CONTROLLERS:/PATH` of the first. In a container the path may be the host's, and only the root is there.
fn group_folders(groups: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let root = match controllers {
            "" => Path::new("/sys/fs/cgroup"),
            _ if controllers.split(',').any(|name| name == "memory") => Path::new("/sys/fs/cgroup/memory"),
            _ => continue,
        };
        let own = root.join(path.trim_start_matches('/'));
        found.extend(
            own.ancestors()
                .take_while(|folder| folder.starts_with(root))
                .map(Path::to_owned),
        );
    }
    found
}

/// What a control group leaves; none where it has no limit. The page cache that it counts is given back when it is wanted.
fn of_group(folder: &Path) -> Option<Memory> {
    let number = |names: [&str; 2]| {
        let text = names.iter().find_map(|name| read(folder.join(name)))?;
        text.trim().parse::<u64>().ok() // or `max`
    };
    let total = number(["memory.max", "memory.limit_in_bytes"]).filter(|limit| *limit < UNLIMITED)?;
    let used = number(["memory.current", "memory.usage_in_bytes"])?;
    let stat = read(folder.join("memory.stat")).unwrap_or_default();
    let cached = |names: [&str; 2]| {
        let value = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        names
            .iter()
            .find_map(|name| value(name))
            .and_then(|n| n.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let cache = cached(["total_inactive_file", "inactive_file"]).saturating_add(cached(["total_active_file", "active_file"]));
    Some(Memory {
        bound: Bound::Group,
        total,
        free: total.saturating_sub(used.saturating_sub(cache)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_counts_and_not_what_there_is() {
        let text = "MemTotal:       24000000 kB\nMemFree:  100 kB\nMemAvailable:   9000 kB\nSwapTotal:       1000000 kB\n";
        let memory = of_machine(text).unwrap();
        assert_eq!((memory.total, memory.free), (24_000_000 * 1024, 9000 * 1024));
        assert_eq!(of_machine("MemFree: 1 kB"), None);
    }

    #[test]
    fn a_limit_on_the_process_counts_what_it_has() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max data size             unlimited            unlimited            bytes\n\
                      Max address space         4294967296           unlimited            bytes\n";
        let status = "VmSize:\t 1048576 kB\nVmData:\t 1000 kB\n";
        let expected = Memory {
            bound: Bound::Process,
            total: 4 << 30,
            free: 3 << 30,
        };
        assert_eq!(of_process(limits, status), [expected]);
    }

    #[test]
    fn a_control_group_and_those_above_it_are_looked_at() {
        let found = group_folders("0::/a/b\n4:cpu,memory:/c\n5:cpu:/d\n");
        let expected = [
            "/sys/fs/cgroup/a/b",
            "/sys/fs/cgroup/a",
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/memory/c",
            "/sys/fs/cgroup/memory",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("memory.max", "max\n");
        assert_eq!(of_group(folder.path()), None);
        write("memory.max", "1000000\n");
        write("memory.current", "600000\n");
        write("memory.stat", "anon 1\nactive_file 100000\ninactive_file 200000\n");
        assert_eq!(of_group(folder.path()).unwrap().free, 700_000);
    }

    #[test]
    fn this_machine_has_some() {
        if let (Some(now), Some(total)) = (Memory::now(), Memory::total()) {
            assert!(now.free > 0 && now.free <= now.total && total <= now.total);
            assert!(Memory::when_idle().unwrap().free >= now.free);
        }
    }
}
