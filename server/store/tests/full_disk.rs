//! A disk that becomes full, and has room again: a small file system of its own, where this user may mount one.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

mod common;

use std::{fs, io::Write as _, path::Path, process::Command};

use common::{config, corpus, model};
use store::Store;

/// A mounted tmpfs, unmounted when dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// None where this user may not mount.
    fn at(folder: &'a Path) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "saescope-test"])
            .arg(folder)
            .output();
        mount.is_ok_and(|done| done.status.success()).then_some(Self(folder))
    }

    /// Writes a file until nothing fits any more.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        let piece = [0; 4096];
        while file.write_all(&piece).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_registry_that_met_a_full_disk_is_written_again_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Mounted::at(folder.path()) else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let store = Store::open(folder.path()).await.unwrap();
    store.add_model(&model("m", "aa")).await.unwrap();
    store.add_corpus(&corpus("c", "bb")).await.unwrap();
    let runs: Vec<_> = (0..20).map(|i| (config(), format!("saescope sweep {i}"))).collect();
    disk.fill();
    // on every connection of the pool, and until the log has no room left inside
    let mut n_failed = 0;
    for _ in 0..50 {
        let (a, b, c) = tokio::join!(store.enqueue(&runs), store.enqueue(&runs), store.enqueue(&runs));
        for error in [a, b, c].into_iter().filter_map(Result::err) {
            assert!(error.to_string().contains("registry.sqlite"), "{error}");
            assert!(!error.to_string().contains("depth"), "{error}");
            n_failed += 1;
        }
    }
    assert!(n_failed > 9, "the disk was not full: {n_failed}");
    let before = store.jobs().await.unwrap().len();
    disk.make_room();
    for _ in 0..8 {
        store.enqueue(&runs).await.unwrap();
    }
    assert_eq!(store.jobs().await.unwrap().len(), before + 8 * runs.len());
    store.close().await;
}
