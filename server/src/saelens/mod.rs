//! The names under which SAELens loads published dictionaries: `gpt2-small-res-jb/blocks.8.hook_resid_pre` is a folder of a repository on
//! the hub. They come from its registry, by `make.py`, which says how the table is written.

use anyhow::{Context as _, Result};
use api::ConfigError;
use engine::dictionary::{Normaliser, TokenNorm};

const TABLE: &str = include_str!("table.txt");
/// Names that a message lists.
const SOME: usize = 5;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The repository on the hub and the path in it: `owner/name/path`.
    pub place: String,
    /// How it sees activations, where the registry knows more of that than its files.
    pub normaliser: Option<Normaliser>,
}

/// What `name`, `RELEASE/ID`, stands for; none where there is no such release.
///
/// # Errors
/// A release that has no such dictionary, with some that it has.
pub fn find(name: &str) -> Result<Option<Entry>> {
    let Some((release, id)) = name.split_once('/') else {
        return Ok(None);
    };
    let mut lines = TABLE.lines().skip(1);
    let head = lines.by_ref().find_map(|line| {
        let mut words = line.strip_prefix("= ")?.split(' ');
        (words.next() == Some(release)).then_some(words)
    });
    let Some(mut head) = head else { return Ok(None) };
    let repository = head.next().context("a release has a repository")?;
    let of_all = match head.next() {
        None => None,
        Some("layer_norm") => Some(Normaliser::Token(TokenNorm::Layer)),
        Some("constant_norm_rescale") => Some(Normaliser::Token(TokenNorm::Constant)),
        Some(other) => anyhow::bail!("the table of names has the normalisation '{other}'"),
    };
    let own = || lines.clone().take_while(|line| !line.starts_with("= "));
    let Some(line) = own().find(|line| line.split(' ').next() == Some(id)) else {
        let some: Vec<&str> = own().filter_map(|line| line.split(' ').next()).take(SOME).collect();
        let message = format!(
            "SAELens' release '{release}' has no dictionary '{id}'; it has {} others, such as {}",
            own().count(),
            some.join(", ")
        );
        return Err(ConfigError::new("source", message).into());
    };
    let mut words = line.split(' ').skip(1);
    let path = words.next().unwrap_or(id);
    let factor = words.next().map(str::parse::<f64>).transpose();
    let factor = factor.with_context(|| format!("the table of names has '{line}'"))?;
    Ok(Some(Entry {
        place: format!("{repository}/{path}"),
        normaliser: factor.map(Normaliser::Scale).or(of_all),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_saelens() {
        let place = |name: &str| find(name).unwrap().unwrap();
        assert_eq!(
            place("gpt2-small-res-jb/blocks.8.hook_resid_pre"),
            Entry {
                place: "jbloom/GPT2-Small-SAEs-Reformatted/blocks.8.hook_resid_pre".into(),
                normaliser: None,
            }
        );
        let scaled = place("gemma-2b-res-jb/blocks.12.hook_resid_post");
        assert_eq!(
            scaled.place,
            "jbloom/Gemma-2b-Residual-Stream-SAEs/gemma_2b_blocks.12.hook_resid_post_16384"
        );
        assert_eq!(scaled.normaliser, Some(Normaliser::Scale(0.21381938399317255)));
        // ids have parts of their own
        let gemma = place("gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71");
        assert_eq!(gemma.place, "google/gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71");
        let mistral = place("mistral-7b-res-wg/blocks.8.hook_resid_pre");
        assert_eq!(mistral.normaliser, Some(Normaliser::Token(TokenNorm::Constant)));
    }

    #[test]
    fn a_release_without_the_dictionary_says_what_it_has() {
        let error = find("gpt2-small-res-jb/blocks.99.hook_resid_pre").unwrap_err().to_string();
        assert!(
            error.contains("has no dictionary 'blocks.99.hook_resid_pre'") && error.contains("blocks.0.hook_resid_pre"),
            "{error}"
        );
        for name in ["google/gemma-scope-2b-pt-res", "nobody/knows", "gpt2"] {
            assert_eq!(find(name).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn every_line_is_read() {
        let mut release = "";
        let mut n = 0;
        for line in TABLE.lines().skip(1) {
            match line.strip_prefix("= ") {
                Some(head) => release = head.split(' ').next().unwrap(),
                None => {
                    let mut words = line.split(' ');
                    let id = words.next().unwrap();
                    assert!(words.clone().count() <= 2, "{line}");
                    assert!(words.nth(1).is_none_or(|factor| factor.parse::<f64>().is_ok()), "{line}");
                    // each is looked for from the top
                    if n % 50 == 0 {
                        let entry = find(&format!("{release}/{id}")).unwrap().unwrap();
                        assert!(entry.place.split('/').count() >= 3, "{line}");
                    }
                    n += 1;
                }
            }
        }
        assert!(n > 4000, "{n}");
    }
}
