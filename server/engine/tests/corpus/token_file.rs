//! The token file on disk: kept, checked, made anew, and never half written.

use std::{fs, process::Command};

use api::{BosPolicy, EosPolicy, Packing};
use engine::corpus::{CorpusError, Format, TokenFile, inspect, pack};
use serde_json::json;

use crate::workplace::*;

#[test]
fn a_token_file_is_kept_checked_and_made_anew() {
    let folder = workplace();
    let source = write(&folder, "corpus.json", json!(documents()).to_string());
    let packing_16 = packing(16, BosPolicy::Document, EosPolicy::None);
    let first = pack_into(&folder, &source, &packing_16, "packed").unwrap();
    let to = folder.path().join("packed");
    let tokenizer = folder.path().join("tokenizer.json");
    let mut worked = 0;
    let mut again = |packing: &Packing| {
        worked = 0;
        let file = pack(&source, &tokenizer, D_VOCAB, packing, &to, &mut |done, total| {
            worked = done;
            done <= total
        });
        (file.unwrap().manifest().clone(), worked)
    };
    assert_eq!(again(&packing_16), (first.manifest().clone(), 0), "opened, not packed again");

    let train = to.join("train.bin");
    let sound = fs::read(&train).unwrap();
    fs::write(&train, &sound[..sound.len() - 4]).unwrap();
    assert!(message(TokenFile::open(&to)).contains(&format!(
        "train.bin': it has {} bytes; expected {}",
        sound.len() - 4,
        sound.len()
    )));
    let mut edited = sound.clone();
    edited[8] ^= 1;
    fs::write(&train, edited).unwrap();
    assert!(message(TokenFile::open(&to)).contains("train.bin': it was changed"));
    assert_eq!(
        again(&packing_16),
        (first.manifest().clone(), 200),
        "a damaged file is made anew"
    );
    assert_eq!(fs::read(&train).unwrap(), sound);

    let facts = inspect(&to, &[]).unwrap();
    assert_eq!((facts.format, facts.n_documents), (Format::TokenFile, 200));
    let copied = pack_into(&folder, &to, &packing_16, "copied").unwrap();
    assert_eq!(copied.manifest(), first.manifest());
    let packing_8 = packing(8, BosPolicy::Document, EosPolicy::None);
    assert!(message(pack_into(&folder, &to, &packing_8, "other")).contains("another tokenizer, vocabulary or packing"));
    assert_eq!(again(&packing_8).0.packing, packing_8, "another packing replaces it");
    assert_eq!(again(&packing_8).1, 0);

    let stopped = pack(
        &source,
        &tokenizer,
        D_VOCAB,
        &packing_8,
        &folder.path().join("stopped"),
        &mut |_, _| false,
    );
    assert!(matches!(stopped, Err(CorpusError::Stopped)));
    write(&folder, "mine/notes.md", "mine");
    assert!(
        message(pack_into(&folder, &source, &packing_8, "mine"))
            .ends_with("mine' exists and is no token file; give a folder that does not exist yet")
    );
    let manifest = fs::read_to_string(to.join("manifest.json")).unwrap();
    fs::write(to.join("manifest.json"), manifest.replacen('{', "{\"extra\": 1,", 1)).unwrap();
    assert!(message(TokenFile::open(&to)).contains("unknown field `extra`"));
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with('.') || name == "stopped"),
        "{left:?}"
    );
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let folder = workplace();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&disk)
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("skipped: no small tmpfs can be mounted here");
        return;
    }
    let source = write(&folder, "corpus.json", json!(vec!["abcdefgh".repeat(100); 100]).to_string());
    let result = pack_into(
        &folder,
        &source,
        &packing(16, BosPolicy::None, EosPolicy::None),
        "disk/packed",
    );
    let left = fs::read_dir(&disk).unwrap().count();
    Command::new("umount").arg(&disk).status().unwrap();
    let said = message(result);
    assert!(
        said.starts_with("cannot write '") && said.contains("No space left on device"),
        "{said}"
    );
    assert_eq!(left, 0);
}
