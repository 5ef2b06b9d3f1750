//! How much a tokenizer's normaliser makes of a text. A tokenizer is somebody's file: a rule that replaces a letter by a thousand, or
//! twenty rules that double what they find, would fill the memory from a line of text. What a normaliser can do is read from its rules,
//! and where that is much, a large text is tried piece by piece before it is normalised as a whole.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer as _, Tokenizer};

/// Bytes that a normaliser may make of one, by its rules. Those in use come to some hundreds, of characters that stand for phrases.
const MOST_BY_RULES: u64 = 1 << 14;
/// Bytes that it may make of one in a whole text, and what any text may come to.
const MOST_IN_TEXT: u64 = 16;
const ROOM: u64 = 16 << 20;
/// Bytes of a piece; the largest character has four.
const PIECE: usize = 256;
/// A prefix of no more than this is none that matters.
const SHORT_PREFIX: usize = 1024;

/// What a normaliser makes of a byte at most, by its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth(u64);

impl Growth {
    /// Of the tokenizer's normaliser.
    ///
    /// # Errors
    /// Rules that make more of a text than any language needs.
    pub fn by_rules(tokenizer: &Tokenizer) -> Result<Self, String> {
        let rules = tokenizer.get_normalizer().map(serde_json::to_value);
        let growth = rules.and_then(Result::ok).map_or(1, |rules| growth(&rules));
        if growth > MOST_BY_RULES {
            let found = if growth == u64::MAX {
                "any number of".to_owned()
            } else {
                growth.to_string()
            };
            return Err(format!(
                "its normaliser can make {found} bytes of each byte of a text; expected {MOST_BY_RULES} at most"
            ));
        }
        Ok(Self(growth))
    }

    /// Whether `text` may be normalised as a whole.
    ///
    /// # Errors
    /// A text that becomes much larger.
    pub fn check(self, tokenizer: &Tokenizer, text: &str) -> Result<(), String> {
        let most = ROOM + MOST_IN_TEXT * text.len() as u64;
        let Some(normaliser) = tokenizer.get_normalizer() else {
            return Ok(());
        };
        if self.0.saturating_mul(text.len() as u64) <= most {
            return Ok(());
        }
        let (mut rest, mut total) = (text, 0);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.floor_char_boundary(PIECE));
            let mut piece = NormalizedString::from(piece);
            normaliser.normalize(&mut piece).map_err(|error| error.to_string())?;
            total += piece.get().len() as u64;
            if total > most {
                return Err(format!(
                    "the tokenizer's normaliser makes more than {most} bytes of a text of {}; expected {MOST_IN_TEXT} times as many at most",
                    text.len()
                ));
            }
            rest = later;
        }
        Ok(())
    }
}

/// What the rules make of a byte at most; `u64::MAX` where they do not say.
fn growth(rules: &Value) -> u64 {
    let length = |value: &Value| value.as_str().map_or(0, str::len) as u64;
    match rules["type"].as_str().unwrap_or_default() {
        "Sequence" => {
            let each = rules["normalizers"].as_array().into_iter().flatten();
            each.map(growth).fold(1, u64::saturating_mul)
        }
        "Replace" => {
            let content = length(&rules["content"]);
            match &rules["pattern"]["String"] {
                // an empty pattern is found between all characters
                Value::String(pattern) if pattern.is_empty() => content + 1,
                Value::String(pattern) => content.div_ceil(pattern.len() as u64).max(1),
                // what an expression finds may be empty, too
                _ => content + 1,
            }
        }
        "Prepend" => match length(&rules["prepend"]) {
            short if short <= SHORT_PREFIX as u64 => 1,
            long => long,
        },
        // the character that stands for the longest phrase has 3 bytes and becomes 33
        "NFKC" | "NFKD" => 11,
        "NFC" | "NFD" | "BertNormalizer" => 3,
        "Lowercase" | "ByteLevel" => 2,
        "Precompiled" => longest(rules["precompiled_charsmap"].as_str().unwrap_or_default()).max(1),
        _ => 1,
    }
}

/// The longest of the strings that a table of sentencepiece's puts in place of characters: behind the table, whose length is its first
/// number, they stand one after the other, each with a zero at its end.
fn longest(table: &str) -> u64 {
    let strings = STANDARD.decode(table).ok().and_then(|bytes| {
        let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let strings = bytes.get(4..)?.get(length..)?;
        strings.split(|byte| *byte == 0).map(<[u8]>::len).max()
    });
    strings.map_or(u64::MAX, |n| n as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    #[test]
    fn what_rules_can_make_of_a_byte() {
        let sequence = |rules: Vec<Value>| json!({"type": "Sequence", "normalizers": rules});
        let llama = sequence(vec![
            json!({"type": "Prepend", "prepend": "▁"}),
            replace(json!({"String": " "}), "▁"),
        ]);
        assert_eq!(growth(&llama), 3);
        assert_eq!(growth(&replace(json!({"String": "``"}), "\"")), 1);
        assert_eq!(growth(&replace(json!({"Regex": " {2,}"}), "▁")), 4);
        assert_eq!(growth(&replace(json!({"String": ""}), "ab")), 3);
        let doubles = sequence(vec![replace(json!({"String": "a"}), "aa"); 70]);
        assert_eq!(growth(&doubles), u64::MAX);
        let albert = sequence(vec![
            json!({"type": "NFKD"}),
            json!({"type": "StripAccents"}),
            json!({"type": "Lowercase"}),
        ]);
        assert_eq!(growth(&albert), 22);
    }

    #[test]
    fn the_longest_string_of_a_table_counts() {
        let table = [&8u32.to_le_bytes()[..], &[0; 8], b"a\0seven_7\0bc\0"].concat();
        assert_eq!(longest(&STANDARD.encode(table)), 7);
        assert_eq!(longest("no table"), u64::MAX);
    }
}
