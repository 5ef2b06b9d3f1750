//! What `.ci/run` does before and after cargo: where it builds, what it lets stand there, and what it prints. Cargo itself
//! is played by a script that writes down how it was called.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use crate::build::root;
use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Writes down its folder and arguments. `xtask check` waits while the file `hold` is there, `xtask test` fails where `fail` is.
const CARGO: &str = r#"#!/bin/sh
echo "$CARGO_TARGET_DIR $*" >> "$PLACE/calls"
while [ "$*" = "xtask check" ] && [ -e "$PLACE/hold" ]; do sleep 0.05; done
! { [ "$*" = "xtask test" ] && [ -e "$PLACE/fail" ]; }
"#;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        let cargo = folder.path().join("bin/cargo");
        fs::write(&cargo, CARGO).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `.ci/run`, called from this place's folder.
    fn command(&self, target: Option<&str>) -> Command {
        let mut command = Command::new(root().join(".ci/run"));
        let old = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([self.path("bin")].into_iter().chain(env::split_paths(&old))).unwrap();
        command
            .env("PATH", path)
            .env("PLACE", self.folder.path())
            .env_remove("CARGO_TARGET_DIR");
        command
            .env("XDG_CACHE_HOME", self.path("cache"))
            .current_dir(self.folder.path());
        command.envs(target.map(|target| ("CARGO_TARGET_DIR", target)));
        command.stdout(Stdio::piped());
        command
    }

    /// What it printed, and whether it passed.
    fn run(&self, target: Option<&str>) -> (String, bool) {
        said(self.command(target).spawn().unwrap())
    }

    /// How cargo was called in `folder`.
    fn calls(&self, folder: &Path) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let folder = format!("{} ", folder.display());
        calls
            .lines()
            .filter_map(|call| call.strip_prefix(&folder))
            .map(str::to_owned)
            .collect()
    }

    /// Until `cargo xtask check` was called in `folder`.
    fn wait_for_check(&self, folder: &Path) {
        for _ in 0..1000 {
            if self.calls(folder).contains(&"xtask check".to_owned()) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        fs::remove_file(self.path("hold")).unwrap();
        panic!("no run called `cargo xtask check` in {}", folder.display());
    }
}

fn said(child: Child) -> (String, bool) {
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

/// Whether two runs can be kept apart here; elsewhere each clone has a folder of its own.
fn has_flock() -> bool {
    let has = Command::new("flock").arg("--version").output().is_ok();
    if !has {
        println!("skipped: there is no flock");
    }
    has
}

#[test]
fn it_builds_outside_the_clone_where_dependencies_stay_and_our_crates_do_not() {
    if !has_flock() {
        return;
    }
    let (place, folder) = (Place::new(), Place::new());
    assert!(place.run(None).1);
    let target = place.path("cache/saescope/target");
    assert_eq!(
        place.calls(&target),
        ["build --quiet --bin xtask", "xtask check", "xtask test"]
    );
    // what another clone, or another commit, has left
    fs::create_dir(target.join("debug")).unwrap();
    assert!(place.run(None).1);
    let calls = place.calls(&target);
    for own in ["api", "app", "engine", "frontend", "gpu", "server", "store", "tests", "xtask"] {
        let cleaned = |call: &&String| call.starts_with("clean ") && call.contains(&format!("-p {own}"));
        assert_eq!(
            calls.iter().filter(cleaned).count(),
            2,
            "{own} for the host and for the page: {calls:?}"
        );
    }
    // where it is told to, relative to the caller
    assert!(folder.run(Some("here")).1);
    let here = fs::canonicalize(folder.path("here")).unwrap();
    assert_eq!(folder.calls(&here).len(), 3, "{:?}", fs::read_to_string(folder.path("calls")));
}

#[test]
fn two_runs_at_once_build_in_two_folders() {
    if !has_flock() {
        return;
    }
    let place = Place::new();
    fs::write(place.path("hold"), "").unwrap();
    let first = place.command(None).spawn().unwrap();
    let target = place.path("cache/saescope/target");
    place.wait_for_check(&target);
    // the second holds its folder until its end, and does not wait for the first
    let second = place.command(None).spawn().unwrap();
    let other = place.path("cache/saescope/target-2");
    place.wait_for_check(&other);
    fs::remove_file(place.path("hold")).unwrap();
    assert!(said(first).1 && said(second).1);
    let n = place.calls(&other).len();
    assert!(place.run(None).1);
    assert_eq!(place.calls(&other).len(), n, "the first folder is free again");
}

#[test]
fn it_prints_its_time_and_fails_where_a_part_fails() {
    let place = Place::new();
    fs::write(place.path("fail"), "").unwrap();
    let (text, passed) = place.run(Some("here"));
    assert!(!passed);
    for line in ["the builder", "cargo xtask check", "cargo xtask test", "in all"] {
        assert!(
            text.lines().any(|said| said.contains(" s  ") && said.contains(line)),
            "{line}: {text}"
        );
    }
}
