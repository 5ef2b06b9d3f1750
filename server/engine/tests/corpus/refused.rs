//! What is wrong with a corpus or a tokenizer, and the message that says so.

use std::fs;

use api::{BosPolicy, EosPolicy};
use engine::corpus::{inspect, load_tokenizer};

use crate::{
    formats::{parquet_file, write_strings},
    workplace::*,
};

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
            "line 1: found the fields a (a string), b (a string); expected 'text' (a string), 'input_ids' or 'tokens' (token ids)",
        ),
        (
            "null.jsonl",
            b"{\"text\": null}\n{\"text\": \"\"}",
            "null.jsonl' holds no text",
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
                message(inspect(&source, &[])).contains(expected),
                "{name}: {}",
                message(inspect(&source, &[]))
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
    assert!(message(inspect(&columns, &[])).contains("found the fields a (a string), b (a string); expected 'text'"));
    write(&folder, "mixed/a.txt", "a");
    write(&folder, "mixed/b.jsonl", "{\"text\": \"b\"}");
    assert!(
        message(inspect(folder.path().join("mixed"), &[])).contains("two formats: 'a.txt' is text and 'b.jsonl' is json_lines")
    );
    assert!(message(inspect(folder.path().join("absent"), &[])).contains("cannot open"));

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
