//! What the shipped set is made of: `demo/recipe.json`.

use anyhow::{Context as _, Result, ensure};
use api::{CorpusId, PretrainConfig, SweepRequest};
use engine::corpus::storyworld::{self, Storyworld};
use serde::{Deserialize, Serialize};
use std::{fs::File, io::Write as _, path::Path};

use crate::behaviours::Questions;

/// The shipped set's.
const SHIPPED: &str = include_str!("../../../demo/recipe.json");

/// Everything that a set depends on, but the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The set's version: raised when the set is another one.
    pub version: u32,
    /// What the language model learns from. The corpus' name is the config's.
    pub pretraining: Stories,
    /// The language model.
    pub model: PretrainConfig,
    /// What the model is asked, for its README.
    pub questions: Questions,
    /// What the dictionaries learn from: the text that comes with the set. It begins as the other does, and a document is held
    /// out by its content, so what is held out here was held out there. The corpus' name is the sweeps'.
    pub text: Stories,
    /// The stories on which is measured what dictionaries know of labels, of a seed that no training text has.
    pub known: Stories,
    /// The dictionaries.
    pub sweeps: Vec<SweepRequest>,
}

/// The stories of one corpus: the first `n` of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stories {
    /// The generator's version.
    pub version: u32,
    /// The generator's seed.
    pub seed: u64,
    /// How many, from number 0 on.
    pub n: u64,
}

impl Recipe {
    /// The shipped set's.
    ///
    /// # Errors
    /// A recipe that is none, by the field; tested.
    pub fn shipped() -> Result<Self> {
        serde_json::from_str(SHIPPED).context("demo/recipe.json")
    }

    /// The one in a file.
    ///
    /// # Errors
    /// A file that cannot be read, or is none, by the field.
    pub fn read(path: &Path) -> Result<Self> {
        let json = engine::file::read(path).with_context(|| format!("cannot read '{}'", path.display()))?;
        serde_json::from_slice(&json).with_context(|| format!("'{}'", path.display()))
    }

    /// The corpus of the dictionaries.
    ///
    /// # Errors
    /// A recipe without dictionaries.
    pub fn corpus(&self) -> Result<&CorpusId> {
        let first = self.sweeps.first().context("the recipe has no sweeps")?;
        Ok(&first.corpus)
    }
}

impl Stories {
    /// Writes them as JSON lines, whole or not at all.
    ///
    /// # Errors
    /// Another version's stories; the system's.
    pub fn write(self, path: &Path) -> Result<()> {
        ensure!(
            self.version == storyworld::VERSION,
            "the stories are of version {} of the generator; this program has version {}",
            self.version,
            storyworld::VERSION
        );
        let world = Storyworld::new(self.seed);
        Ok(store::write_atomic(path, |file: &mut File| {
            let mut out = std::io::BufWriter::new(file);
            for number in 0..self.n {
                writeln!(out, "{}", serde_json::json!({ "text": world.story(number).text }))?;
            }
            out.flush()
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{demo::About, jobs::request};
    use api::{JobConfig, ResolvedAgainst};

    #[test]
    fn the_shipped_recipe_is_one() {
        let recipe = Recipe::shipped().unwrap();
        recipe.model.validate().unwrap();
        let corpus = recipe.corpus().unwrap().clone();
        for sweep in &recipe.sweeps {
            assert_eq!((&sweep.model, &sweep.corpus), (&recipe.model.name, &corpus));
        }
        // what is held out of the one is held out of the other only if they begin alike
        assert_eq!(recipe.text.seed, recipe.pretraining.seed);
        assert!(recipe.text.n <= recipe.pretraining.n);
    }

    /// Whatever the defaults are by now, a rebuild makes what is shipped.
    #[test]
    fn the_shipped_runs_are_what_the_recipe_comes_to() {
        let about: About = serde_json::from_str(include_str!("../../../demo/about.json")).unwrap();
        assert_eq!(about.recipe, Recipe::shipped().unwrap());
        let shape = about.recipe.model.shape;
        let facts = ResolvedAgainst {
            width: shape.d_model,
            d_vocab: 1024,
            max_n_ctx: shape.n_ctx,
            has_bos: true,
            parents: &[],
        };
        let mut resolved = Vec::new();
        for sweep in &about.recipe.sweeps {
            let runs = sweep.resolve(facts).unwrap().runs;
            resolved.extend(request::with_commands(sweep, runs));
        }
        assert_eq!(resolved.len(), about.runs.len());
        for ((config, command), run) in resolved.into_iter().zip(&about.runs) {
            assert_eq!((&JobConfig::from(config), &command), (&run.config, &run.command));
        }
    }
}
