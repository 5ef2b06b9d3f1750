//! A text added on the command line: what is said of it, the field that is chosen, and paths that lead to no file.

use crate::line::{Line, Place};
use anyhow::{Result, ensure};
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};
use tests::given;

#[test]
fn what_was_read_is_said() -> Result<()> {
    let place = Place::new()?;
    let path = place.path("chats.jsonl");
    let chats = "{\"id\": \"r1\", \"score\": NaN, \"conversations\": [{\"from\": \"human\", \"value\": \"two <s>cats</s>\"}]}\n\
                 {\"id\": \"r2\", \"conversations\": null}\n";
    fs::write(&path, chats)?;
    let path = path.to_string_lossy();
    let said = Line::on(&place, &["corpus", &path])
        .with("--model", given::tiny_model().display())
        .expect(0)?;
    said.answers(&[
        "corpus chats.jsonl: 1 documents, ",
        "field: conversations (messages, by the template 'turns')",
        "documents: 1 read, 1 skipped: 1 because the field is null",
        "special tokens written in the text, read as text: </s> 1 times, <s> 1 times",
        "document 1 begins:\n  human: two <s>cats</s>",
        "in tokens of tiny, each with its id:",
    ])?;
    // the same file again, read otherwise
    let ids = Line::on(&place, &["corpus", &path, "--text-field", "id"]);
    ids.expect(0)?
        .answers(&["corpus chats.jsonl-2: 2 documents", "field: id", "document 2 begins:\n  r2"])?;
    let other = Line::on(&place, &["corpus", "chats.jsonl", "--text-field", "id"]);
    other
        .expect(2)?
        .complains(&["text_field: ", "'chats.jsonl'", "was read otherwise"])?;
    let missing = Line::on(&place, &["corpus", &path, "--text-field", "body"]);
    missing.expect(1)?.complains(&["no record has the field 'body'"])
}

#[test]
fn a_sweep_takes_the_field_and_says_what_was_read() -> Result<()> {
    let place = Place::new()?;
    let path = place.path("lists.jsonl");
    let line = |n: usize| {
        format!("{{\"id\": \"r{n}\", \"turns\": [], \"story\": \"Once upon a time there were {n} small cats and a dog.\"}}\n")
    };
    fs::write(&path, (0..200).map(line).collect::<String>())?;
    let sweep = Line::sweep(&place).with("--corpus", path.display());
    let refused = sweep.expect(1)?;
    refused.complains(&[
        "line 1: found the fields id (a string), story (a string), turns (null or empty)",
        "--text-field",
    ])?;
    let said = sweep.with("--text-field", "story").expect(0)?;
    said.tells(&["corpus lists.jsonl: field: story; documents: 200 read, none skipped"])
}

#[test]
fn a_pipe_is_refused_at_once() -> Result<()> {
    let place = Place::new()?;
    let pipe = place.path("pipe");
    ensure!(Command::new("mkfifo").arg(&pipe).status()?.success());
    let pipe = pipe.to_string_lossy();
    let began = Instant::now();
    for path in [&*pipe, "/dev/zero"] {
        Line::on(&place, &["corpus", path])
            .expect(1)?
            .complains(&["cannot open", "expected a regular file"])?;
    }
    let folder = place.path("piped");
    std::fs::create_dir(&folder)?;
    ensure!(Command::new("mkfifo").arg(folder.join("tokenizer.json")).status()?.success());
    let tokenizer = folder.join("tokenizer.json").to_string_lossy().into_owned();
    let pretrain = Line::on(&place, &["pretrain", "--tokenizer", &tokenizer]).with("--corpus", place.stories.display());
    pretrain
        .expect(2)?
        .complains(&["it is a named pipe; expected a regular file"])?;
    ensure!(began.elapsed() < Duration::from_secs(60), "it took {:?}", began.elapsed());
    Ok(())
}
