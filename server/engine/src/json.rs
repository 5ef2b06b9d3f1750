//! JSON as Python writes it: `NaN`, `Infinity` and `-Infinity` where a number is expected, and strings that hold half of a surrogate
//! pair. Neither is JSON, and both come out of `json.dumps`.

use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// What a number that is not finite is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonFinite {
    /// As null: a record without a value there.
    Null,
    /// As a string of that name, which no field that expects a number takes: a config whose value is missing gets a default, and one
    /// whose value is not finite must not.
    Named,
}

/// A text that is JSON where the given one was as Python writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended<'a> {
    /// The JSON, on the same lines.
    pub text: Cow<'a, str>,
    /// Halves of surrogate pairs that stood alone, and are U+FFFD now.
    pub n_surrogates: u64,
}

/// The value in `bytes`.
///
/// # Errors
/// What serde_json says of bytes that are no such value in Python either.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8], non_finite: NonFinite) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes).or_else(|error| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(from_str(text, non_finite)?.0),
        Err(_) => Err(error),
    })
}

/// The value in `text`, and how many halves of surrogate pairs were read as U+FFFD.
///
/// # Errors
/// As [`from_slice`].
pub fn from_str<T: DeserializeOwned>(text: &str, non_finite: NonFinite) -> Result<(T, u64), serde_json::Error> {
    serde_json::from_str(text).map(|value| (value, 0)).or_else(|error| {
        let mended = mend(text, non_finite);
        match mended.text {
            Cow::Borrowed(_) => Err(error),
            Cow::Owned(text) => Ok((serde_json::from_str(&text)?, mended.n_surrogates)),
        }
    })
}

/// `text` with what Python writes and JSON does not know replaced.
pub fn mend(text: &str, non_finite: NonFinite) -> Mended<'_> {
    let bytes = text.as_bytes();
    let (mut out, mut copied, mut n_surrogates) = (String::new(), 0, 0);
    let mut replace = |from: usize, to: usize, by: &str| {
        out.push_str(&text[copied..from]);
        out.push_str(by);
        copied = to;
    };
    let (mut at, mut in_string) = (0, false);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let step = match (in_string, rest[0]) {
            (_, b'"') => {
                in_string = !in_string;
                1
            }
            (true, b'\\') => match escape(rest) {
                Escape::Other(length) => length,
                Escape::Half => {
                    replace(at, at + 6, "\\uFFFD");
                    n_surrogates += 1;
                    6
                }
            },
            (false, b'N' | b'I' | b'-') => match ["NaN", "Infinity", "-Infinity"]
                .iter()
                .find(|word| rest.starts_with(word.as_bytes()))
            {
                None => 1,
                Some(word) => {
                    let by = match non_finite {
                        NonFinite::Null => "null".to_owned(),
                        NonFinite::Named => format!("\"{word}\""),
                    };
                    replace(at, at + word.len(), &by);
                    word.len()
                }
            },
            _ => 1,
        };
        at += step;
    }
    let text = match copied {
        0 => Cow::Borrowed(text),
        _ => Cow::Owned(out + &text[copied..]),
    };
    Mended { text, n_surrogates }
}

/// What an escape in a string is.
enum Escape {
    /// A half of a surrogate pair without its other half: `\uXXXX`.
    Half,
    /// Anything else, of so many bytes.
    Other(usize),
}

/// What the escape is that `rest` begins with.
fn escape(rest: &[u8]) -> Escape {
    match unit(rest) {
        Some(0xd800..0xdc00) => match unit(&rest[6..]) {
            Some(0xdc00..0xe000) => Escape::Other(12),
            _ => Escape::Half,
        },
        Some(0xdc00..0xe000) => Escape::Half,
        // the character behind a backslash has one byte wherever the string is JSON
        _ => Escape::Other(2.min(rest.len())),
    }
}

/// The number of the escape `\uXXXX` that `rest` begins with.
fn unit(rest: &[u8]) -> Option<u16> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &str) -> Result<(Value, u64), serde_json::Error> {
        from_str(text, NonFinite::Null)
    }

    #[test]
    fn what_python_writes_is_read() {
        let text = r#"{"a": NaN, "b": [Infinity, -Infinity, -1, "NaN \" Infinity"], "c": "\\ud83d"}"#;
        let expected = json!({"a": null, "b": [null, null, -1, "NaN \" Infinity"], "c": "\\ud83d"});
        assert_eq!(read(text).unwrap(), (expected, 0));
        let named: Value = from_slice(br#"{"a": NaN, "b": -Infinity}"#, NonFinite::Named).unwrap();
        assert_eq!(named, json!({"a": "NaN", "b": "-Infinity"}));
    }

    #[test]
    fn halves_of_surrogate_pairs_are_replaced_and_counted() {
        let text = r#"["a\ud83d", "\uDE00b", "\ud83d\ude00", "\ud83d\ud83d\ude00", "\ud83d\n"]"#;
        let expected = json!(["a\u{fffd}", "\u{fffd}b", "😀", "\u{fffd}😀", "\u{fffd}\n"]);
        assert_eq!(read(text).unwrap(), (expected, 4));
    }

    #[test]
    fn what_no_json_is_stays_refused() {
        for text in ["{\"a\": nan}", "{\"a\": NaNs}", "\"\\ud83", "[NaN", "\"a\\", "[1, \"é\\é\"]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
