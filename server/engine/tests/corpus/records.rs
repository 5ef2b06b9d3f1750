//! Which field of a record is read, what is skipped, and what a mask leaves out.

use api::{BosPolicy, CorpusReading, CorpusSummary, EosPolicy, Excerpt, FieldForm, FieldTaken, SkipReason, Skipped};
use engine::corpus::{CorpusFiles, Split, inspect};
use parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::writer::SerializedFileWriter,
};
use std::{fs, path::Path};

use crate::{
    formats::{parquet_file, write_strings},
    workplace::*,
};

fn reading(path: &Path, field: &str) -> CorpusFiles {
    let reading = CorpusReading {
        text_field: Some(field.into()),
        keep_runs: false,
    };
    CorpusFiles {
        path: path.to_owned(),
        reading,
    }
}

fn taken(name: &str, form: FieldForm) -> Option<FieldTaken> {
    Some(FieldTaken { name: name.into(), form })
}

/// How the documents begin.
fn texts(summary: &CorpusSummary) -> Vec<String> {
    let text = |excerpt: &Excerpt| match excerpt {
        Excerpt::Text(text) => text.clone(),
        Excerpt::Tokens(ids) => format!("{ids:?}"),
    };
    summary.first.iter().map(text).collect()
}

#[test]
fn known_shapes_are_read() {
    let folder = workplace();
    let cases = [
        (
            "sharegpt.jsonl",
            r#"{"id": "r1", "conversations": [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "hi"}]}"#,
            taken("conversations", FieldForm::Turns),
            "human: hello\n\ngpt: hi",
        ),
        (
            "chat.json",
            r#"[{"source": "s", "messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": null}, {"role": "assistant", "content": "b"}]}]"#,
            taken("messages", FieldForm::Turns),
            "user: a\n\nassistant: b",
        ),
        (
            "wrapped.json",
            "{\n \"version\": \"1\",\n \"data\": [\n  {\"text\": \"a\"}, {\"text\": \"b\"}\n ]\n}\n",
            taken("text", FieldForm::Text),
            "a",
        ),
        ("line.jsonl", r#"{"version": "1", "data": ["a", "b"]}"#, None, "a"),
        (
            "viewer.json",
            r#"{"features": [{"name": "story"}], "rows": [{"row_idx": 0, "row": {"story": "a"}, "truncated_cells": []}]}"#,
            taken("story", FieldForm::Text),
            "a",
        ),
        (
            "ids.jsonl",
            r#"{"name": "x", "tokens": [3, 4, 5]}"#,
            taken("tokens", FieldForm::Tokens),
            "[3, 4, 5]",
        ),
    ];
    for (name, content, field, first) in cases {
        let summary = inspect(write(&folder, name, content), &[]).unwrap().summary;
        assert_eq!((&summary.field, texts(&summary)[0].as_str()), (&field, first), "{name}");
    }
}

#[test]
fn a_field_that_may_be_no_text_is_refused_until_it_is_named() {
    let folder = workplace();
    let cases = [
        (
            "lists.jsonl",
            r#"{"id": "r1", "turns": ["a", "b"]}"#,
            "found the fields id (a string), turns (an array); expected 'text'",
        ),
        (
            "object.jsonl",
            r#"{"doc": "a", "meta": {"n": 1}}"#,
            "found the fields doc (a string), meta (an object)",
        ),
        (
            "id.jsonl",
            r#"{"id": "r1", "n": 1}"#,
            "found the fields id (a string), n (a number or a boolean)",
        ),
        (
            "title.json",
            r#"[{"title": "a"}]"#,
            "element 0: found the fields title (a string)",
        ),
        (
            "words.jsonl",
            r#"{"id": "1", "tokens": ["a", "b"]}"#,
            "id (a string), tokens (an array)",
        ),
        (
            "changing.jsonl",
            "{\"story\": \"a\"}\n{\"text\": \"b\"}",
            "line 2: has no field 'story', which the records before it were read from, but 'text'",
        ),
        (
            "squad.json",
            r#"{"version": "1", "data": [{"title": "t", "paragraphs": [{"context": "c"}]}]}"#,
            "element 0: found the fields paragraphs (an array), title (a string)",
        ),
        (
            "several.csv",
            "id,label,body\n1,pos,words\n",
            "the first line: found the columns id, label, body; expected 'text'",
        ),
    ];
    for (name, content, expected) in cases {
        let said = message(inspect(write(&folder, name, content), &[]));
        assert!(said.contains(expected) && said.contains("--text-field"), "{name}: {said}");
    }
    let schema = "message m { REQUIRED BYTE_ARRAY id (UTF8); REQUIRED group words (LIST) { REPEATED group list { REQUIRED BYTE_ARRAY element (UTF8); } } }";
    let path = parquet_file(&folder, "lists.parquet", schema, |writer| write_lists(writer, false));
    let said = message(inspect(path, &[]));
    assert!(said.contains("found the fields id (a string), words (an array)"), "{said}");
}

/// A row group of an id, and a list of one or two columns of strings.
fn write_lists(writer: &mut SerializedFileWriter<fs::File>, two: bool) {
    let mut group = writer.next_row_group().unwrap();
    let mut strings = |values: &[&str], repeats: Option<(&[i16], &[i16])>| {
        let values: Vec<_> = values.iter().map(|text| ByteArray::from(*text)).collect();
        let mut column = group.next_column().unwrap().unwrap();
        let (levels, repeats) = (repeats.map(|r| r.0), repeats.map(|r| r.1));
        column.typed::<ByteArrayType>().write_batch(&values, levels, repeats).unwrap();
        column.close().unwrap();
    };
    strings(&["r1"], None);
    strings(&["human", "gpt"], Some((&[1, 1], &[0, 1])));
    if two {
        strings(&["hello", "hi"], Some((&[1, 1], &[0, 1])));
    }
    group.close().unwrap();
}

#[test]
fn conversations_and_fields_inside_others_are_read_from_parquet() {
    let folder = workplace();
    let schema = "message m { REQUIRED BYTE_ARRAY id (UTF8); REQUIRED group conversations (LIST) { REPEATED group list { REQUIRED group element { \
                  REQUIRED BYTE_ARRAY from (UTF8); REQUIRED BYTE_ARRAY value (UTF8); } } } }";
    let path = parquet_file(&folder, "chat.parquet", schema, |writer| write_lists(writer, true));
    let summary = inspect(&path, &[]).unwrap().summary;
    assert_eq!(summary.field, taken("conversations", FieldForm::Turns));
    assert_eq!(texts(&summary), ["human: hello\n\ngpt: hi"]);
    assert_eq!(texts(&inspect(reading(&path, "id"), &[]).unwrap().summary), ["r1"]);

    let schema = "message m { REQUIRED BYTE_ARRAY id (UTF8); REQUIRED group doc { REQUIRED BYTE_ARRAY body (UTF8); } }";
    let path = parquet_file(&folder, "inside.parquet", schema, |writer| {
        write_strings(writer, &[vec!["r1", "r2"], vec!["a", "b"]])
    });
    assert!(message(inspect(&path, &[])).contains("found the fields id (a string), doc (an object)"));
    let summary = inspect(reading(&path, "doc.body"), &[]).unwrap().summary;
    assert_eq!(
        (texts(&summary), summary.field),
        (vec!["a".into(), "b".into()], taken("doc.body", FieldForm::Text))
    );
    assert!(message(inspect(reading(&path, "body"), &[])).contains("found the columns id, doc; expected 'body'"));
}

#[test]
fn a_named_field_is_read_and_nothing_else() {
    let folder = workplace();
    let lines = "{\"text\": \"no\", \"doc\": {\"body\": \"yes\", \"n.x\": \"dots\", \"ids\": [3, 4]}}\n{\"text\": \"no\"}\n";
    let path = write(&folder, "inside.jsonl", lines);
    for (field, form, expected) in [
        ("doc.body", FieldForm::Text, "yes"),
        ("doc.n.x", FieldForm::Text, "dots"),
        ("doc.ids", FieldForm::Tokens, "[3, 4]"),
    ] {
        let summary = inspect(reading(&path, field), &[]).unwrap().summary;
        assert_eq!(
            (texts(&summary), &summary.field),
            (vec![expected.to_owned()], &taken(field, form))
        );
        let absent = Skipped {
            reason: SkipReason::Absent,
            n: 1,
        };
        assert_eq!((summary.n_read, summary.skipped), (1, vec![absent]));
    }
    for (field, expected) in [
        (
            "body",
            "no record has the field 'body'; the first that lacks it has the fields doc, text",
        ),
        (
            "doc",
            "line 1: field 'doc' is an object; expected a string, token ids or messages",
        ),
    ] {
        let said = message(inspect(reading(&path, field), &[]));
        assert!(said.contains(expected), "{said}");
    }
    let plain = write(&folder, "plain.txt", "words");
    assert!(message(inspect(reading(&plain, "text"), &[])).contains("is plain text, which has no field 'text'"));
}

#[test]
fn tables_are_read_by_column() {
    let folder = workplace();
    let csv = write(
        &folder,
        "a.csv",
        "\u{feff}id,text\n1,\"one, and\n\"\"two\"\"\"\n2,\n3,three\n",
    );
    let facts = inspect(&csv, &[]).unwrap();
    assert_eq!(facts.format.to_string(), "csv");
    assert_eq!(texts(&facts.summary), ["one, and\n\"two\"", "three"]);
    assert_eq!((facts.summary.n_read, facts.summary.n_skipped()), (2, 1));
    assert_eq!(texts(&inspect(reading(&csv, "id"), &[]).unwrap().summary), ["1", "2", "3"]);
    assert!(message(inspect(reading(&csv, "body"), &[])).contains("found the columns id, text; expected 'body'"));
    // quotation marks that are part of the text, and such that enclose it
    for (name, content, expected) in [
        (
            "open.tsv",
            "n\ttext\n1\t\"so he said\n2\tand \"left\"\n",
            ["\"so he said", "and \"left\""],
        ),
        ("closed.tsv", "n\ttext\n1\t\"a\tb\"\n2\tc\n", ["a\tb", "c"]),
    ] {
        let facts = inspect(write(&folder, name, content), &[]).unwrap();
        assert_eq!(
            (texts(&facts.summary), facts.format.to_string()),
            (expected.map(String::from).to_vec(), "tsv".into())
        );
    }
    let ragged = write(&folder, "ragged.csv", "n,text\n1,a\n2,b,c\n");
    assert!(message(inspect(ragged, &[])).contains("ragged.csv', line 3: not a row of this table"));
}

#[test]
fn what_is_skipped_is_counted() {
    let folder = workplace();
    let lines = "{\"text\": null, \"score\": NaN}\n{\"text\": \"a\", \"score\": -Infinity}\n{\"text\": \" \\n\"}\n{\"text\": NaN}\n{\"n\": 1}\n{\"text\": \"b\\ud83d\"}\n";
    let as_array = format!("[{}]", lines.trim().replace('\n', ",\n"));
    for (name, content) in [("a.jsonl", lines), ("a.json", &as_array)] {
        let facts = inspect(write(&folder, name, content), &[]).unwrap();
        let summary = facts.summary;
        assert_eq!(
            (facts.n_documents, summary.n_surrogates, texts(&summary)),
            (2, 1, vec!["a".into(), "b\u{fffd}".into()])
        );
        let found: Vec<_> = summary.skipped.iter().map(|skipped| (skipped.reason, skipped.n)).collect();
        assert_eq!(
            found,
            [(SkipReason::Absent, 1), (SkipReason::Null, 2), (SkipReason::Empty, 1)]
        );
        assert_eq!(
            summary.lines(),
            [
                "field: text",
                "documents: 2 read, 4 skipped: 1 because the field is missing, 2 because the field is null, 1 because the text is empty",
                "lone surrogates: 1, each read as U+FFFD"
            ]
        );
    }
}

#[test]
fn masked_tokens_are_left_out() {
    let folder = workplace();
    let row = "{\"input_ids\": [0, 3, 4, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1], \"attention_mask\": [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]}\n\
               {\"input_ids\": [1, 1, 6, 7, 8], \"attention_mask\": [false, false, true, true, true]}\n\
               {\"input_ids\": [1, 1], \"attention_mask\": [0, 0]}\n";
    let lines = write(&folder, "padded.jsonl", row);
    let schema = "message m { REQUIRED group input_ids (LIST) { REPEATED group list { REQUIRED INT64 element; } } \
                  REQUIRED group attention_mask (LIST) { REPEATED group list { REQUIRED INT64 element; } } }";
    let parquet = parquet_file(&folder, "padded.parquet", schema, |writer| {
        let mut group = writer.next_row_group().unwrap();
        for column in [[0, 3, 4, 5, 1, 1, 6, 7, 8, 1], [1, 1, 1, 1, 0, 0, 1, 1, 1, 0]] {
            let mut writer = group.next_column().unwrap().unwrap();
            let repeats = [0, 1, 1, 1, 1, 0, 1, 1, 1, 1];
            writer
                .typed::<Int64Type>()
                .write_batch(&column, Some(&[1; 10]), Some(&repeats))
                .unwrap();
            writer.close().unwrap();
        }
        group.close().unwrap();
    });
    for (source, n_masked) in [(lines, 13), (parquet, 3)] {
        let summary = inspect(&source, &[]).unwrap().summary;
        assert_eq!((summary.n_masked, summary.n_read), (n_masked, 2));
        assert_eq!(texts(&summary), ["[0, 3, 4, 5]", "[6, 7, 8]"]);
        let file = pack_into(&folder, &source, &packing(2, BosPolicy::None, EosPolicy::None), "packed").unwrap();
        assert_eq!(all_contexts(&file).concat(), ["^a", "bc", "de"]);
        assert_eq!((file.starts(Split::Train), file.manifest().n_dropped_tokens), (&[0][..], 1));
    }
    for (mask, expected) in [
        (
            "[1, 0, 1]",
            "'attention_mask' is 0 at position 1 between positions that are 1",
        ),
        ("[1, 1]", "'attention_mask' has 2 entries and 'input_ids' has 3"),
        ("[1, 2, 1]", "'attention_mask' holds 2; expected 0 and 1"),
    ] {
        let line = format!("{{\"input_ids\": [3, 4, 5], \"attention_mask\": {mask}}}");
        let said = message(inspect(write(&folder, "mask.jsonl", line), &[]));
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn padding_without_a_mask_is_refused_unless_it_is_meant() {
    let folder = workplace();
    let pads = |n: usize| format!("{{\"input_ids\": [3, 4]}}\n{{\"input_ids\": [3, 4, 5{}]}}\n", ", 1".repeat(n));
    let plain = packing(2, BosPolicy::None, EosPolicy::None);
    let source = write(&folder, "pads.jsonl", pads(8));
    let said = message(pack_into(&folder, &source, &plain, "packed"));
    assert!(
        said.contains(
            "pads.jsonl': document 1 has the special token 1 ('</s>') 8 times in a row, as padding does; give 'attention_mask'"
        ) && said.contains("--keep-runs"),
        "{said}"
    );
    let meant = CorpusFiles {
        path: source,
        reading: CorpusReading {
            text_field: None,
            keep_runs: true,
        },
    };
    assert!(pack_files(&folder, meant, &plain, "meant").is_ok());
    let few = write(&folder, "few.jsonl", pads(7));
    assert!(pack_into(&folder, &few, &plain, "few").is_ok());
    // what is no special token may stand as often as it likes
    let letters = write(&folder, "letters.jsonl", pads(30).replace(", 1", ", 9"));
    assert!(pack_into(&folder, &letters, &plain, "letters").is_ok());
}

#[test]
fn another_reading_of_the_same_file_is_packed_anew() {
    let folder = workplace();
    let source = write(&folder, "two.jsonl", "{\"text\": \"aaaaaaaa\", \"other\": \"bbbbbbbb\"}\n");
    let plain = packing(2, BosPolicy::None, EosPolicy::None);
    let first = pack_into(&folder, &source, &plain, "packed").unwrap();
    let second = pack_files(&folder, reading(&source, "other"), &plain, "packed").unwrap();
    assert_eq!(
        (contexts(&first, Split::HeldOut), contexts(&second, Split::HeldOut)),
        (vec!["aa".into()], vec!["bb".into()])
    );
}
