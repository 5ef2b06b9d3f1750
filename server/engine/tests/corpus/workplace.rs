//! What every test here starts from: a tokenizer of one token per character, files, and contexts as letters.

use std::{
    fs,
    path::{Path, PathBuf},
};

use api::{BosPolicy, EosPolicy, Packing};
use engine::corpus::{CorpusError, CorpusFiles, Split, TokenFile, pack};
use serde_json::json;
use tempfile::TempDir;

pub const BOS: u32 = 0;
pub const EOS: u32 = 1;
pub const D_VOCAB: usize = 32;

/// A folder with a tokenizer of one token per character: `<s>` 0, `</s>` 1, `<unk>` 2, then `a` to `z`, space, newline.
pub fn workplace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let specials = ["<s>", "</s>", "<unk>"];
    let characters = ('a'..='z').chain([' ', '\n']).map(String::from);
    let vocab: serde_json::Map<_, _> = specials
        .iter()
        .map(ToString::to_string)
        .chain(characters)
        .enumerate()
        .map(|(id, token)| (token, json!(id)))
        .collect();
    let added: Vec<_> = specials.iter().enumerate().map(|(id, token)| {
        json!({"id": id, "content": token, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
    }).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": null, "added_tokens": added, "normalizer": null, "pre_tokenizer": null, "decoder": null,
        // adds a BOS of its own, which packing must not take over
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": []},
    });
    write(&folder, "tokenizer.json", tokenizer.to_string());
    write(&folder, "config.json", r#"{"bos_token_id": 0, "eos_token_id": [1, 2]}"#);
    folder
}

pub fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

pub fn packing(n_ctx: usize, bos: BosPolicy, eos: EosPolicy) -> Packing {
    Packing { n_ctx, bos, eos }
}

pub fn pack_into(folder: &TempDir, source: &Path, packing: &Packing, name: &str) -> Result<TokenFile, CorpusError> {
    pack_files(folder, source.into(), packing, name)
}

pub fn pack_files(folder: &TempDir, files: CorpusFiles, packing: &Packing, name: &str) -> Result<TokenFile, CorpusError> {
    let to = folder.path().join(name);
    pack(
        files,
        &folder.path().join("tokenizer.json"),
        D_VOCAB,
        packing,
        &to,
        &mut |_, _| true,
    )
}

/// The contexts of a split in letters: `^` BOS, `$` EOS.
pub fn contexts(file: &TokenFile, split: Split) -> Vec<String> {
    let letter = |id: &u32| match *id {
        BOS => '^',
        EOS => '$',
        2 => '?',
        29 => ' ',
        30 => '\n',
        id => char::from(b'a' + id as u8 - 3),
    };
    (0..file.n_contexts(split))
        .map(|index| file.context(split, index).iter().map(letter).collect())
        .collect()
}

pub fn all_contexts(file: &TokenFile) -> [Vec<String>; 3] {
    Split::ALL.map(|split| contexts(file, split))
}

pub fn binaries(folder: &Path) -> [Vec<u8>; 3] {
    Split::ALL.map(|split| fs::read(folder.join(format!("{split}.bin"))).unwrap())
}

pub fn message<T>(result: Result<T, CorpusError>) -> String {
    result.err().expect("an error").to_string()
}

/// Two hundred short texts of several lines.
pub fn documents() -> Vec<String> {
    let word = |n: usize| {
        ('a'..='z')
            .cycle()
            .skip(n * 7 % 26)
            .step_by(1 + n % 5)
            .take(5 + n % 23)
            .collect::<String>()
    };
    (0..200)
        .map(|n| format!("{} {}\n\n{}", word(n), word(3 * n + 1), word(n / 2)))
        .collect()
}
