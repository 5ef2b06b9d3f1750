//! Uploaded files: streamed from the request to a temporary folder inside the data folder, never held in memory.
//! The folder is moved to its place when its content has been found usable, and removes itself otherwise.

use anyhow::Context as _;
use api::{ConfigError, CorpusReading};
use axum::{
    extract::{Multipart, multipart::Field},
    http::StatusCode,
};
use std::path::Path;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use super::error::Failure;

/// Bytes of one upload.
pub const LIMIT: usize = 4 << 30;

/// Which files an upload may hold.
pub struct Accepted {
    /// Whole names.
    pub names: &'static [&'static str],
    /// Beginnings of names.
    pub prefixes: &'static [&'static str],
    /// Ends of names.
    pub suffixes: &'static [&'static str],
    /// The same in words.
    pub what: &'static str,
    /// Whether the form may say how they are read: the parts `text_field` and `keep_runs`.
    pub reading: bool,
}

/// What was uploaded.
pub struct Uploaded {
    /// The files.
    pub folder: TempDir,
    /// What to call it.
    pub name: String,
    /// How they are read.
    pub reading: CorpusReading,
}

impl Uploaded {
    /// Where they come from, for people.
    pub fn source(&self) -> String {
        format!("uploaded as {}", self.name)
    }
}

/// Receives every part of `form`: files into a temporary folder under `data`, and the name.
///
/// # Errors
/// A form that breaks off, a file that is not `accepted`, no file at all, a full disk.
pub async fn receive(mut form: Multipart, data: &Path, accepted: &Accepted) -> Result<Uploaded, Failure> {
    let folder = tempfile::Builder::new()
        .prefix(store::UPLOAD_PREFIX)
        .tempdir_in(data)
        .context("cannot make a folder for the upload")?;
    let (mut name, mut first_file) = (None, None);
    let mut reading = CorpusReading::default();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let field_name = field.name().unwrap_or_default().to_string();
        if field_name == "name" {
            name = Some(field.text().await.map_err(broken)?).filter(|name| !name.trim().is_empty());
            continue;
        }
        match field_name.as_str() {
            "text_field" if accepted.reading => {
                let field = field.text().await.map_err(broken)?;
                reading.text_field = Some(field).filter(|field| !field.trim().is_empty());
                continue;
            }
            "keep_runs" if accepted.reading => {
                let said = field.text().await.map_err(broken)?;
                reading.keep_runs = said.parse().map_err(|_| {
                    let message = format!("found '{said}'; expected true or false");
                    ConfigError::new("keep_runs", message)
                })?;
                continue;
            }
            _ => {}
        }
        let file_name = file_name(&field_name, accepted)?;
        save(field, &folder.path().join(&file_name)).await?;
        first_file.get_or_insert(file_name);
    }
    let first_file = first_file.ok_or_else(|| ConfigError::new("files", format!("found none; expected {}", accepted.what)))?;
    Ok(Uploaded {
        folder,
        name: name.unwrap_or(first_file),
        reading,
    })
}

/// The last part of the field's name, which must be one that is accepted: browsers put the folder before it.
fn file_name(field: &str, accepted: &Accepted) -> Result<String, ConfigError> {
    let name = field.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_accepted = accepted.names.contains(&name)
        || accepted.prefixes.iter().any(|prefix| name.starts_with(prefix))
        || accepted.suffixes.iter().any(|suffix| name.ends_with(suffix));
    if name.is_empty() || name.starts_with('.') || name.contains('\0') || !is_accepted {
        return Err(ConfigError::new(
            "files",
            format!("found '{field}'; expected {}", accepted.what),
        ));
    }
    Ok(name.into())
}

async fn save(mut field: Field<'_>, path: &Path) -> Result<(), Failure> {
    let named = || {
        format!(
            "cannot write the uploaded '{}'",
            path.file_name().unwrap_or_default().display()
        )
    };
    let file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .await
        .with_context(named)?;
    let mut file = tokio::io::BufWriter::with_capacity(1 << 20, file);
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        file.write_all(&piece).await.with_context(named)?;
    }
    file.flush().await.with_context(named)?;
    file.get_ref().sync_all().await.with_context(named)?;
    Ok(())
}

fn broken(error: axum::extract::multipart::MultipartError) -> Failure {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::with_status(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "an upload may have {} GiB; put the files on the server's disk and give their folder instead",
                LIMIT >> 30
            ),
        ),
        status => Failure::with_status(status, format!("the upload cannot be read: {}", error.body_text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_kind_and_never_a_path() {
        let accepted = Accepted {
            names: &["config.json"],
            prefixes: &["tokenizer"],
            suffixes: &[".safetensors"],
            what: "a model",
            reading: false,
        };
        for (field, name) in [
            ("config.json", "config.json"),
            ("folder/model.safetensors", "model.safetensors"),
            ("../../tokenizer.json", "tokenizer.json"),
            ("C:\\models\\config.json", "config.json"),
        ] {
            assert_eq!(file_name(field, &accepted).unwrap(), name);
        }
        for field in ["pytorch_model.bin", "", "..", "folder/", ".safetensors"] {
            let message = file_name(field, &accepted).unwrap_err().to_string();
            assert!(
                message.contains(&format!("'{field}'")) && message.contains("a model"),
                "{message}"
            );
        }
    }
}
