//! Corpora: every format gives the same documents, packing loses nothing but the dropped ends, splits are disjoint,
//! threads change nothing, and what is wrong with a file is said by name.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use api::{BosPolicy, EosPolicy, Packing};
use engine::corpus::{CorpusError, Format, Order, Split, SplitBy, TokenFile, inspect, load_tokenizer, pack, special_tokens};
use parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

const BOS: u32 = 0;
const EOS: u32 = 1;
const D_VOCAB: usize = 32;

/// A folder with a tokenizer of one token per character: `<s>` 0, `</s>` 1, `<unk>` 2, then `a` to `z`, space, newline.
fn workplace() -> TempDir {
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

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn packing(n_ctx: usize, bos: BosPolicy, eos: EosPolicy) -> Packing {
    Packing { n_ctx, bos, eos }
}

fn pack_into(folder: &TempDir, source: &Path, packing: &Packing, name: &str) -> Result<TokenFile, CorpusError> {
    let to = folder.path().join(name);
    pack(
        source,
        &folder.path().join("tokenizer.json"),
        D_VOCAB,
        packing,
        &to,
        &mut |_, _| true,
    )
}

/// The contexts of a split in letters: `^` BOS, `$` EOS.
fn contexts(file: &TokenFile, split: Split) -> Vec<String> {
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

fn all_contexts(file: &TokenFile) -> [Vec<String>; 3] {
    Split::ALL.map(|split| contexts(file, split))
}

fn binaries(folder: &Path) -> [Vec<u8>; 3] {
    Split::ALL.map(|split| fs::read(folder.join(format!("{split}.bin"))).unwrap())
}

fn message<T>(result: Result<T, CorpusError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn contexts_by_hand() {
    let folder = workplace();
    let one = write(&folder, "one.jsonl", r#"{"text": "abcdefghijkl"}"#);
    let two = write(&folder, "two.json", r#"["abc", "def"]"#);
    let cases = [
        (
            &one,
            4,
            BosPolicy::None,
            EosPolicy::None,
            [vec!["abcd"], vec!["efgh"], vec!["ijkl"]],
            0,
        ),
        (
            &one,
            4,
            BosPolicy::Document,
            EosPolicy::None,
            [vec!["^abc"], vec!["defg"], vec!["hijk"]],
            1,
        ),
        (
            &one,
            4,
            BosPolicy::Context,
            EosPolicy::None,
            [vec!["^abc", "^def"], vec!["^ghi"], vec!["^jkl"]],
            0,
        ),
        (
            &one,
            4,
            BosPolicy::None,
            EosPolicy::Document,
            [vec!["abcd"], vec!["efgh"], vec!["ijkl"]],
            1,
        ),
        (
            &two,
            2,
            BosPolicy::None,
            EosPolicy::None,
            [vec!["ab"], vec!["cd"], vec!["ef"]],
            0,
        ),
        (
            &two,
            2,
            BosPolicy::Document,
            EosPolicy::None,
            [vec!["^a", "bc"], vec!["^d"], vec!["ef"]],
            0,
        ),
        (
            &two,
            3,
            BosPolicy::Document,
            EosPolicy::Document,
            [vec!["^ab"], vec!["c$^"], vec!["def"]],
            1,
        ),
    ];
    for (index, (source, n_ctx, bos, eos, expected, n_dropped)) in cases.into_iter().enumerate() {
        let file = pack_into(&folder, source, &packing(n_ctx, bos, eos), &format!("packed{index}")).unwrap();
        assert_eq!(
            all_contexts(&file),
            expected.map(|split| split.into_iter().map(String::from).collect::<Vec<_>>()),
            "case {index}"
        );
        let manifest = file.manifest();
        assert_eq!(
            (manifest.n_dropped_tokens, manifest.split_by),
            (n_dropped, SplitBy::Context),
            "case {index}"
        );
        assert_eq!(
            (manifest.bos, manifest.eos, &manifest.special),
            (Some(BOS), Some(EOS), &vec![0, 1, 2])
        );
        assert_eq!(manifest.train.n_tokens, (file.n_contexts(Split::Train) * n_ctx) as u64);
    }
}

#[test]
fn few_documents_are_dealt_whole() {
    let folder = workplace();
    let source = write(&folder, "few.json", r#"["aaaa", "bbbb", "cccc", "aaaa"]"#);
    let file = pack_into(&folder, &source, &packing(4, BosPolicy::None, EosPolicy::None), "packed").unwrap();
    let splits = all_contexts(&file);
    let mut all = splits.concat();
    all.sort_unstable();
    assert_eq!(all, ["aaaa", "aaaa", "bbbb", "cccc"]);
    for split in splits {
        assert!(
            split.iter().all(|context| *context == split[0]),
            "equal documents lie together: {split:?}"
        );
    }
    assert_eq!(file.manifest().split_by, SplitBy::Dealt);
}

fn documents() -> Vec<String> {
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

fn parquet_file(
    folder: &TempDir,
    name: &str,
    schema: &str,
    write_columns: impl Fn(&mut SerializedFileWriter<fs::File>),
) -> PathBuf {
    let path = write(folder, name, "");
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::builder().build())).unwrap();
    write_columns(&mut writer);
    writer.close().unwrap();
    path
}

fn write_strings(writer: &mut SerializedFileWriter<fs::File>, columns: &[Vec<&str>]) {
    let mut group = writer.next_row_group().unwrap();
    for strings in columns {
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = strings.iter().map(|text| ByteArray::from(*text)).collect();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
}

#[test]
fn every_format_gives_the_same_contexts() {
    let folder = workplace();
    let documents = documents();
    let strings: Vec<&str> = documents.iter().map(String::as_str).collect();
    let separated = documents.join("\n<|endoftext|>\n");
    let lines = |field: &str| {
        documents
            .iter()
            .map(|text| format!("{}\n", json!({field: text, "n": 1})))
            .collect::<String>()
    };
    let objects: Vec<_> = documents.iter().map(|text| json!({"text": text, "title": "x"})).collect();
    let sources = [
        (Format::Text, write(&folder, "a.txt", &separated)),
        (
            Format::Text,
            write(&folder, "crlf.txt", format!("\u{feff}{}", separated.replace('\n', "\r\n"))),
        ),
        (Format::JsonLines, write(&folder, "a.jsonl", lines("text"))),
        (
            Format::JsonLines,
            write(&folder, "only.jsonl", lines("story").replace('\n', "\r\n")),
        ),
        (Format::JsonLines, write(&folder, "unnamed", lines("text"))),
        (Format::JsonArray, write(&folder, "a.json", json!(documents).to_string())),
        (
            Format::JsonArray,
            write(
                &folder,
                "objects.json",
                format!("\u{feff} {}", serde_json::to_string_pretty(&objects).unwrap()),
            ),
        ),
        (
            Format::Parquet,
            parquet_file(
                &folder,
                "a.parquet",
                "message m { REQUIRED BYTE_ARRAY id (UTF8); REQUIRED BYTE_ARRAY text (UTF8); }",
                |writer| {
                    write_strings(writer, &[vec!["x"; 120], strings[..120].to_vec()]);
                    write_strings(writer, &[vec!["y"; 80], strings[120..].to_vec()]);
                },
            ),
        ),
        (
            Format::Parquet,
            parquet_file(
                &folder,
                "only.parquet",
                "message m { REQUIRED BYTE_ARRAY story (UTF8); }",
                |writer| {
                    write_strings(writer, std::slice::from_ref(&strings));
                },
            ),
        ),
        (Format::JsonLines, {
            for (part, half) in lines("text").lines().collect::<Vec<_>>().chunks(100).enumerate() {
                write(&folder, &format!("parts/data/part-{part}.jsonl"), half.join("\n"));
            }
            write(&folder, "parts/README.md", "about");
            write(&folder, "parts/dataset_info.json", "{}");
            folder.path().join("parts")
        }),
    ];
    let packing = packing(16, BosPolicy::Document, EosPolicy::None);
    let n_bytes: usize = documents.iter().map(String::len).sum();
    let mut expected = None;
    for (index, (format, source)) in sources.iter().enumerate() {
        let facts = inspect(source).unwrap();
        assert_eq!(
            (facts.format, facts.n_documents, facts.n_bytes),
            (*format, 200, n_bytes as u64),
            "{}",
            source.display()
        );
        let name = format!("packed{index}");
        let file = pack_into(&folder, source, &packing, &name).unwrap();
        assert_eq!(file.manifest().split_by, SplitBy::Hash);
        let found = binaries(&folder.path().join(name));
        assert_eq!(*expected.get_or_insert_with(|| found.clone()), found, "{}", source.display());
    }
}

#[test]
fn tokens_are_taken_as_they_are() {
    let folder = workplace();
    // the first has its BOS already, the second has not
    let rows: [&[i64]; 2] = [&[0, 3, 4, 5], &[6, 7, 8]];
    let lines = write(
        &folder,
        "ids.jsonl",
        "{\"input_ids\": [0, 3, 4, 5], \"attention_mask\": [1]}\n{\"input_ids\": [6, 7, 8]}\n",
    );
    let schema = "message m { REQUIRED group input_ids (LIST) { REPEATED group list { REQUIRED INT64 element; } } }";
    let parquet = parquet_file(&folder, "ids.parquet", schema, |writer| {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        for row in rows {
            let repeats: Vec<i16> = (0..row.len()).map(|at| i16::from(at > 0)).collect();
            column
                .typed::<Int64Type>()
                .write_batch(row, Some(&vec![1; row.len()]), Some(&repeats))
                .unwrap();
        }
        column.close().unwrap();
        group.close().unwrap();
    });
    for (index, source) in [lines, parquet].iter().enumerate() {
        let file = pack_into(
            &folder,
            source,
            &packing(2, BosPolicy::Document, EosPolicy::None),
            &format!("packed{index}"),
        )
        .unwrap();
        assert_eq!(
            all_contexts(&file),
            [vec!["^a", "bc"], vec!["^d"], vec!["ef"]].map(|split| split.into_iter().map(String::from).collect::<Vec<_>>())
        );
    }
}

#[test]
fn what_a_document_is_in_text() {
    let folder = workplace();
    let n_documents = |name: &str, content: &str| inspect(&write(&folder, name, content)).unwrap().n_documents;
    assert_eq!(
        n_documents("wiki.txt", " \n = One = \n \n a b \n = = Part = = \n c \n = Two = \n d\n"),
        2
    );
    assert_eq!(n_documents("endoftext.txt", "a\n<|endoftext|>\n\n<|endoftext|>\nb\n"), 2);
    // paragraphs of 801 bytes: the third ends beyond 2,000
    let paragraph = format!("{}\n\n", "a".repeat(800));
    assert_eq!(n_documents("paragraphs.txt", &paragraph.repeat(7)), 3);
    assert_eq!(
        n_documents("no_blank_lines.txt", &format!("{}\n", "a".repeat(99)).repeat(400)),
        3
    );
    assert_eq!(n_documents("line.txt", &"a".repeat(50_000)), 1);
    for name in ["book/one.txt", "book/two.txt"] {
        write(&folder, name, paragraph.repeat(7));
    }
    assert_eq!(inspect(&folder.path().join("book")).unwrap().n_documents, 2);
}

fn policies() -> impl Strategy<Value = Packing> {
    let bos = prop_oneof![Just(BosPolicy::Document), Just(BosPolicy::Context), Just(BosPolicy::None)];
    let eos = prop_oneof![Just(EosPolicy::Document), Just(EosPolicy::None)];
    (2_usize..12, bos, eos).prop_map(|(n_ctx, bos, eos)| packing(n_ctx, bos, eos))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_but_the_dropped_ends(documents in prop::collection::vec("[a-d]{1,20}", 1..80), packing in policies()) {
        let folder = workplace();
        let source = write(&folder, "corpus.json", json!(documents).to_string());
        let per_document = usize::from(packing.bos == BosPolicy::Document) + usize::from(packing.eos == EosPolicy::Document);
        let n_tokens = documents.iter().map(|text| text.len() + per_document).sum::<usize>();
        let opens = usize::from(packing.bos == BosPolicy::Context);
        let context_text = packing.n_ctx - opens;

        let packed: Vec<_> = [1, 2, 3].map(|n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| pack_into(&folder, &source, &packing, &format!("packed{n_threads}")))
        }).into_iter().collect();
        if n_tokens / context_text < 3 {
            for result in packed {
                let said = message(result);
                prop_assert!(said.contains(&format!("has {n_tokens} tokens")) && said.contains(&format!("{} tokens", 3 * context_text)), "{}", said);
            }
            return Ok(());
        }
        let files = packed.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        let manifest = files[0].manifest();
        for (file, n_threads) in files.iter().zip(1..) {
            prop_assert_eq!(file.manifest(), manifest);
            prop_assert_eq!(binaries(&folder.path().join(format!("packed{n_threads}"))), binaries(&folder.path().join("packed1")));
        }

        let n_contexts: usize = Split::ALL.iter().map(|split| files[0].n_contexts(*split)).sum();
        prop_assert_eq!(n_contexts * context_text + manifest.n_dropped_tokens as usize, n_tokens);
        prop_assert_eq!(manifest.splits().iter().map(|split| split.n_documents).sum::<u64>(), documents.len() as u64);
        prop_assert!(Split::ALL.iter().all(|split| files[0].n_contexts(*split) > 0));

        let mut seen: HashSet<String> = HashSet::new();
        for split in Split::ALL {
            let contexts = contexts(&files[0], split);
            prop_assert!(opens == 0 || contexts.iter().all(|context| context.starts_with('^')));
            let joined: String = contexts.iter().map(|context| &context[opens..]).collect();
            if packing.eos == EosPolicy::Document && manifest.split_by != SplitBy::Context {
                // whole documents, in their order, each content in one split only
                let (whole, _) = joined.rsplit_once('$').unwrap_or_default();
                let found: Vec<&str> = whole.split('$').map(|text| text.trim_start_matches('^')).filter(|text| !text.is_empty()).collect();
                let mut rest = documents.iter();
                prop_assert!(found.iter().all(|text| rest.any(|document| document == text)));
                let distinct: HashSet<String> = found.into_iter().map(String::from).collect();
                prop_assert!(seen.is_disjoint(&distinct));
                seen.extend(distinct);
            }
        }
    }

    #[test]
    fn an_order_resumes_anywhere(seed: u64, n in 1_usize..40, from in 0_u64..200) {
        let mut whole = Order::new(seed, n);
        let visited: Vec<usize> = (0..300).map(|position| whole.at(position)).collect();
        let mut resumed = Order::new(seed, n);
        for position in from..300 {
            prop_assert_eq!(resumed.at(position), visited[position as usize]);
        }
        for (pass, visits) in visited.chunks_exact(n).enumerate() {
            prop_assert_eq!(whole.pass((pass * n) as u64), pass as u64);
            let mut sorted = visits.to_vec();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        }
    }
}

/// Stored runs depend on these numbers (computed independently, from ChaCha8's definition).
#[test]
fn the_order_never_changes() {
    let mut order = Order::new(7, 8);
    let visited: Vec<usize> = (0..16).map(|position| order.at(position)).collect();
    assert_eq!(visited, [2, 5, 7, 4, 1, 0, 3, 6, 4, 2, 5, 1, 3, 7, 0, 6]);
    assert_ne!(visited[..8], visited[8..]);
    let mut other = Order::new(8, 8);
    assert_ne!(visited, (0..16).map(|position| other.at(position)).collect::<Vec<_>>());
}

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

    let facts = inspect(&to).unwrap();
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
fn what_is_wrong_is_said() {
    let folder = workplace();
    let cases: [(&str, &[u8], &str); 17] = [
        (
            "latin.txt",
            b"caf\xe9 au lait",
            "latin.txt' is not UTF-8 at byte 3; convert it to UTF-8 first",
        ),
        (
            "latin.json",
            b"[\"a\", \"\xff\"]",
            "latin.json' is not UTF-8 at byte 7; convert it to UTF-8 first",
        ),
        ("blank.txt", b" \r\n\n", "blank.txt' holds no text"),
        ("empty.json", b"", "empty.json' holds no text"),
        ("no_elements.json", b"[]", "no_elements.json' holds no text"),
        (
            "broken.jsonl",
            b"{\"text\": \"a\"}\n{\"text\": \n",
            "broken.jsonl', line 2: not a JSON value: EOF while parsing a value",
        ),
        (
            "fields.jsonl",
            b"{\"a\": \"x\", \"b\": \"y\"}",
            "line 1: found the fields a, b; expected 'text', or 'input_ids', or just one field that is a string",
        ),
        (
            "null.jsonl",
            b"{\"text\": null}",
            "line 1: field 'text' is null; expected a string",
        ),
        (
            "number.json",
            b"[\"a\", 7]",
            "number.json', element 1: found a number; expected a string or an object",
        ),
        (
            "cut.json",
            b"[\"a\", \"b\"",
            "cut.json', line 1: not a JSON array: EOF while parsing a list",
        ),
        (
            "after.json",
            b"[\"a\"] x",
            "after.json', line 1: not a JSON array: trailing characters",
        ),
        (
            "ids.jsonl",
            b"{\"input_ids\": [1, -2]}",
            "line 1: 'input_ids' holds -2; expected token ids",
        ),
        (
            "prose.json",
            b"Once upon a time",
            "prose.json' is named as JSON but does not begin with '[', '{' or '\"'",
        ),
        (
            "packed.jsonl",
            b"\x1f\x8b\x08",
            "packed.jsonl' is compressed with gzip (unpack it first)",
        ),
        (
            "not.parquet",
            b"hello",
            "not.parquet' is named .parquet but does not begin with PAR1",
        ),
        (
            "broken.parquet",
            b"PAR1 and then nothing",
            "broken.parquet', the footer: not readable as Parquet",
        ),
        (
            "vocabulary.jsonl",
            b"{\"input_ids\": [3, 4]}\n{\"input_ids\": [31, 32]}",
            "document 1 holds token id 32, and the model's vocabulary has 32 entries",
        ),
    ];
    for (name, content, expected) in cases {
        let source = write(&folder, name, content);
        if !name.starts_with("vocabulary") {
            assert!(
                message(inspect(&source)).contains(expected),
                "{name}: {}",
                message(inspect(&source))
            );
        }
        let said = message(pack_into(
            &folder,
            &source,
            &packing(2, BosPolicy::None, EosPolicy::None),
            "packed",
        ));
        assert!(said.contains(expected), "{name}: {said}");
        assert!(!folder.path().join("packed").exists());
    }

    let two = "message m { REQUIRED BYTE_ARRAY a (UTF8); REQUIRED BYTE_ARRAY b (UTF8); }";
    let columns = parquet_file(&folder, "columns.parquet", two, |writer| {
        write_strings(writer, &[vec!["x"], vec!["y"]])
    });
    assert!(message(inspect(&columns)).contains("found the columns a, b; expected 'text'"));
    write(&folder, "mixed/a.txt", "a");
    write(&folder, "mixed/b.jsonl", "{\"text\": \"b\"}");
    assert!(message(inspect(&folder.path().join("mixed"))).contains("two formats: 'a.txt' is text and 'b.jsonl' is json_lines"));
    assert!(message(inspect(&folder.path().join("absent"))).contains("cannot open"));

    let source = write(&folder, "good.txt", "abcdefghij");
    assert_eq!(
        message(pack_into(
            &folder,
            &source,
            &packing(4, BosPolicy::None, EosPolicy::None),
            "packed"
        )),
        format!(
            "'{}' has 10 tokens; training, validation and held-out text need a context each: 12 tokens at n_ctx 4; give more text or a smaller n_ctx",
            source.display()
        )
    );
    assert_eq!(
        message(pack_into(
            &folder,
            &source,
            &packing(1, BosPolicy::None, EosPolicy::None),
            "packed"
        )),
        "n_ctx is 1; expected at least 2"
    );
    assert!(message(load_tokenizer(folder.path(), 30)).contains("token ids up to 30, and the model's vocabulary has 30 entries"));
    assert!(load_tokenizer(folder.path(), 31).is_ok());
    fs::remove_file(folder.path().join("config.json")).unwrap();
    let said = message(pack_into(
        &folder,
        &source,
        &packing(2, BosPolicy::Document, EosPolicy::None),
        "packed",
    ));
    assert!(
        said.starts_with("bos 'document' needs a token that the tokenizer in "),
        "{said}"
    );
    write(&folder, "tokenizer.json", "{}");
    assert!(message(load_tokenizer(folder.path(), 31)).contains("tokenizer.json': not a tokenizer"));
    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(message(load_tokenizer(folder.path(), 31)).starts_with("cannot read '"));
}

#[test]
fn special_tokens_are_found_beside_the_tokenizer() {
    let folder = workplace();
    let found = || {
        let special = special_tokens(folder.path()).unwrap();
        (special.bos, special.eos, special.all)
    };
    assert_eq!(found(), (Some(0), Some(1), vec![0, 1, 2]));
    write(&folder, "generation_config.json", r#"{"bos_token_id": 5}"#);
    assert_eq!(found(), (Some(5), Some(1), vec![0, 1, 2, 5]));
    // a default id of some config, which the tokenizer does not have
    write(&folder, "generation_config.json", r#"{"bos_token_id": 50256}"#);
    assert_eq!(found(), (None, Some(1), vec![0, 1, 2]));
    write(
        &folder,
        "tokenizer_config.json",
        r#"{"bos_token": {"content": "<unk>"}, "eos_token": null}"#,
    );
    assert_eq!(found(), (Some(2), None, vec![0, 1, 2]));
    write(&folder, "tokenizer_config.json", r#"{"bos_token": "<bos>"}"#);
    assert!(
        message(special_tokens(folder.path())).contains("bos_token is '<bos>', which tokenizer.json beside it does not have")
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

#[test]
fn real_text_and_tokenizers() {
    let Some(data) = std::env::var_os("SAESCOPE_TEST_DATA").map(PathBuf::from) else {
        println!("skipped: SAESCOPE_TEST_DATA is not set");
        return;
    };
    for (name, d_vocab, expected) in [("gpt2", 50_257, [15_496, 995]), ("neox", 50_304, [12_092, 1_533])] {
        let tokenizer = load_tokenizer(&data.join("tokenizers").join(name), d_vocab).unwrap();
        assert_eq!(tokenizer.encode_fast("Hello world", false).unwrap().get_ids(), expected);
    }
    let model = data.join("models/stories260k");
    let special = special_tokens(&model).unwrap();
    assert_eq!((special.bos, special.eos, special.all), (Some(1), Some(2), vec![0, 1, 2]));

    let stories = data.join("text/tinystories_1000.json");
    let facts = inspect(&stories).unwrap();
    assert_eq!((facts.format, facts.n_documents), (Format::JsonArray, 1000));
    let folder = tempfile::tempdir().unwrap();
    let packing = packing(256, BosPolicy::Document, EosPolicy::None);
    let file = pack(
        &stories,
        &model.join("tokenizer.json"),
        512,
        &packing,
        &folder.path().join("packed"),
        &mut |_, _| true,
    )
    .unwrap();
    let manifest = file.manifest();
    let held: u64 = manifest.splits().iter().map(|split| split.n_tokens).sum();
    assert_eq!(held + manifest.n_dropped_tokens, 479_318);
    assert_eq!((manifest.split_by, file.context(Split::Train, 0)[0]), (SplitBy::Hash, 1));
    let shares = manifest.splits().map(|split| split.n_documents);
    assert!(shares[0] > 860 && shares[1] > 25 && shares[2] > 25, "{shares:?}");

    let novels = inspect(&data.join("text/novels")).unwrap();
    assert_eq!((novels.format, novels.n_documents), (Format::Text, 12));
    let wikitext = inspect(&data.join("text/wikitext2_valid.txt")).unwrap();
    assert_eq!((wikitext.format, wikitext.n_documents), (Format::Text, 60));
}
