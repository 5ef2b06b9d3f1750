//! Which process holds a job, so that others on the same machine can tell that it is gone without waiting for its lease.
//!
//! A process is named by the kernel's boot, its namespace of process numbers, its number and the time it started. Only a process
//! that shares the first two can say anything about the number; to all others a lease is the only sign of life. Where the
//! system has no `/proc`, processes have no name, and leases are all there is.

use std::{fs, io, path::Path};

/// This process' name; none where the system does not give it.
pub(crate) fn here() -> Option<String> {
    name_of(std::process::id())
}

/// What can be seen of a process from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It is on this machine and lives.
    There,
    /// It was on this machine and has ended.
    Gone,
    /// Neither can be said for certain.
    Unknown,
}

/// Looks for the process that `name` names.
pub(crate) fn look(name: &str) -> Sight {
    let parts = name.split_once(' ').and_then(|(place, process)| {
        let (id, start) = process.split_once(' ')?;
        Some((place, id.parse::<u32>().ok()?, start))
    });
    let Some((place, id, start)) = parts else {
        return Sight::Unknown;
    };
    // where the processes of others are hidden, one that is not seen may live
    if place_here().as_deref() != Some(place) || !Path::new("/proc/1/stat").exists() {
        return Sight::Unknown;
    }
    match stat(id) {
        Ok(Some(found)) if found.start != start || found.has_ended => Sight::Gone,
        Ok(Some(_)) => Sight::There,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Sight::Gone,
        Ok(None) | Err(_) => Sight::Unknown,
    }
}

/// `BOOT/NAMESPACE NUMBER START`.
fn name_of(id: u32) -> Option<String> {
    let found = stat(id).ok()??;
    Some(format!("{} {id} {}", place_here()?, found.start))
}

fn place_here() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.display()))
}

struct Stat {
    /// When it started, in ticks since the boot.
    start: String,
    /// It was killed, and its parent has not looked yet.
    has_ended: bool,
}

/// The process' state and start; none where the system's answer is not what it should be.
fn stat(id: u32) -> io::Result<Option<Stat>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // the name of the program, in parentheses, may hold anything
    let fields = text
        .rsplit_once(')')
        .map(|(_, fields)| fields.split_whitespace().collect::<Vec<_>>());
    // proc_pid_stat(5) counts from 1 and has the state as 3, the start as 22
    Ok(fields.and_then(|fields| {
        Some(Stat {
            has_ended: matches!(*fields.first()?, "Z" | "X"),
            start: (*fields.get(19)?).to_owned(),
        })
    }))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_there_until_it_ends_and_a_later_one_of_its_number_is_another() {
        let own = here().unwrap();
        assert_eq!(look(&own), Sight::There);
        let (rest, start) = own.rsplit_once(' ').unwrap();
        assert_eq!(look(&format!("{rest} {}1", start)), Sight::Gone);

        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let name = name_of(child.id()).unwrap();
        assert_eq!(look(&name), Sight::There);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(look(&name), Sight::Gone);
    }

    #[test]
    fn nothing_is_said_of_other_machines_boots_and_namespaces() {
        let own = here().unwrap();
        let (place, process) = own.split_once(' ').unwrap();
        let (id, start) = process.split_once(' ').unwrap();
        for name in [
            format!("other/{} {id} 1", place.split_once('/').unwrap().1),
            format!("{}/pid:[1] {id} 1", place.split_once('/').unwrap().0),
            format!("{place} x {start}"),
            String::new(),
        ] {
            assert_eq!(look(&name), Sight::Unknown, "{name}");
        }
    }
}
