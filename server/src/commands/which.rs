//! `--dictionary`: numbers of dictionaries, or all of them.

use anyhow::{Result, bail};
use api::{ConfigError, DictionaryId, DictionaryInfo};
use std::str::FromStr;
use store::Store;

/// Which dictionaries.
#[derive(Clone, Debug, PartialEq)]
pub enum Which {
    /// All there are.
    All,
    /// Those of these numbers.
    These(Vec<DictionaryId>),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let number = |word: &str| {
            let number = word.trim().parse();
            number
                .map(DictionaryId)
                .map_err(|_| format!("found '{word}'; expected numbers of dictionaries such as 7,8, or all"))
        };
        text.split(',').map(number).collect::<Result<_, _>>().map(Self::These)
    }
}

impl Which {
    /// Their numbers, which the registry has.
    ///
    /// # Errors
    /// As [`Which::of`].
    pub async fn ids(&self, store: &Store) -> Result<Vec<DictionaryId>> {
        Ok(self.of(store).await?.into_iter().map(|info| info.id).collect())
    }

    /// The dictionaries, of the registry.
    ///
    /// # Errors
    /// Where one is not there, or none at all.
    pub async fn of(&self, store: &Store) -> Result<Vec<DictionaryInfo>> {
        let Self::These(ids) = self else {
            let all = store.dictionaries().await?;
            if all.is_empty() {
                bail!("there is no dictionary yet; train some with saescope sweep");
            }
            return Ok(all);
        };
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let missing = || {
                ConfigError::new(
                    "dictionary",
                    format!("found '{id}'; there is no dictionary {id} in the registry"),
                )
            };
            found.push(store.dictionary(*id).await?.ok_or_else(missing)?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_are_named_by_number() {
        assert_eq!("all".parse(), Ok(Which::All));
        assert_eq!("7, 8".parse(), Ok(Which::These(vec![DictionaryId(7), DictionaryId(8)])));
        assert!("7;8".parse::<Which>().unwrap_err().contains("'7;8'"));
    }
}
