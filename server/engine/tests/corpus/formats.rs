//! Every format, and what a document is in it.

use std::{fs, path::PathBuf, sync::Arc};

use api::{BosPolicy, EosPolicy};
use engine::corpus::{Format, SplitBy, inspect};
use parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::json;
use tempfile::TempDir;

use crate::workplace::*;

pub fn parquet_file(
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

pub fn write_strings(writer: &mut SerializedFileWriter<fs::File>, columns: &[Vec<&str>]) {
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
        let facts = inspect(source, &[]).unwrap();
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
        "{\"input_ids\": [0, 3, 4, 5], \"attention_mask\": [1, 1, 1, 1]}\n{\"input_ids\": [6, 7, 8]}\n",
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
    let n_documents = |name: &str, content: &str| inspect(write(&folder, name, content), &[]).unwrap().n_documents;
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
    assert_eq!(inspect(folder.path().join("book"), &[]).unwrap().n_documents, 2);
}
