//! `saescope storyworld`: stories of which everything is known, as a corpus with its labels.

use anyhow::{Context as _, Result, bail};
use api::ConfigError;
use clap::Args;
use engine::corpus::storyworld::{LABELS, Label, LabelKind, Statistics, Story, Storyworld, VERSION};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    Global,
    say::{note, say},
};

/// The files of the folder, in the order in which they are written: the last one says that all are whole.
const STORIES: &str = "stories.jsonl";
const LABELS_FILE: &str = "labels.jsonl";
const SUMMARY: &str = "storyworld.json";

/// Write short English stories of which every word is labelled and whose entropy is known
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope storyworld --stories 20000 --out stories
  saescope train --corpus stories/stories.jsonl ...

The folder gets stories.jsonl (a story per line, for --corpus), labels.jsonl (every word's place, surprise and labels, a line
per story) and storyworld.json (seed, nats per token, distinct n-grams, what the labels mean).

Without --out nothing is written:
  saescope storyworld --print 3
  saescope storyworld --report")]
pub struct StoryworldCommand {
    /// The folder to write; made where it is missing, refused where it holds stories already
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// How many stories
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    stories: u64,
    /// The seed; a story depends on it and on the story's number alone
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The number of the first story
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// Print this many of the stories
    #[arg(long, value_name = "N", default_value_t = 0)]
    print: u64,
    /// Print how long, how surprising and how varied the stories are
    #[arg(long)]
    report: bool,
}

impl StoryworldCommand {
    /// Runs the command.
    pub fn run(self, _: &Global) -> Result<ExitCode> {
        if self.stories == 0 {
            return Err(ConfigError::new("stories", "found 0; expected at least 1".to_owned()).into());
        }
        if self.first.checked_add(self.stories).is_none() {
            let message = format!(
                "found {}; with {} stories, numbers go past {}",
                self.first,
                self.stories,
                u64::MAX
            );
            return Err(ConfigError::new("first", message).into());
        }
        if self.out.is_none() && self.print == 0 && !self.report {
            let message = "missing; say where to write with --out FOLDER, or look with --print N or --report".to_owned();
            return Err(ConfigError::new("out", message).into());
        }
        for (index, number) in self.numbers().take(self.print as usize).enumerate() {
            if index > 0 {
                say!("")?;
            }
            say!("{}", Storyworld::new(self.seed).story(number).text)?;
        }
        if let Some(folder) = &self.out {
            let statistics = self.write(folder)?;
            note!(
                "{} stories, {} tokens in '{}'",
                statistics.n_stories,
                statistics.n_tokens,
                folder.display()
            );
            if self.report {
                say!("{}", report(&statistics))?;
            }
        } else if self.report {
            let mut statistics = Statistics::default();
            self.numbers()
                .for_each(|number| statistics.add(&Storyworld::new(self.seed).story(number)));
            say!("{}", report(&statistics))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.first..self.first + self.stories
    }

    fn write(&self, folder: &Path) -> Result<Statistics> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
        for name in [STORIES, LABELS_FILE, SUMMARY] {
            let file = folder.join(name);
            if file.exists() {
                bail!("'{}' is there already; give another folder, or remove it", file.display());
            }
        }
        let mut statistics = Statistics::default();
        self.write_lines(&folder.join(STORIES), |story, out| {
            statistics.add(story);
            writeln!(out, "{}", json!({ "text": story.text }))
        })?;
        self.write_lines(&folder.join(LABELS_FILE), |story, out| writeln!(out, "{}", labels(story)))?;
        let summary = format!("{:#}\n", self.summary(&statistics));
        store::write_atomic(&folder.join(SUMMARY), |file| file.write_all(summary.as_bytes()))?;
        Ok(statistics)
    }

    fn write_lines(&self, path: &Path, mut line: impl FnMut(&Story, &mut BufWriter<&mut File>) -> io::Result<()>) -> Result<()> {
        let world = Storyworld::new(self.seed);
        store::write_atomic(path, |file| {
            let mut out = BufWriter::new(file);
            self.numbers().try_for_each(|number| line(&world.story(number), &mut out))?;
            out.flush()
        })
        .with_context(|| format!("cannot write '{}'", path.display()))
    }

    fn summary(&self, statistics: &Statistics) -> Value {
        let label = |label: &Label| {
            json!({
                "name": label.name,
                "from": match label.kind { LabelKind::Token => "token", LabelKind::Context | LabelKind::Planted => "context" },
                "planted": label.is_planted(),
                "parent": label.parent,
            })
        };
        json!({
            "version": VERSION,
            "seed": self.seed,
            "first": self.first,
            "n_stories": statistics.n_stories,
            "n_tokens": statistics.n_tokens,
            "nats": statistics.nats,
            "nats_per_token": statistics.nats_per_token(),
            "distinct_ngrams": (1..=4).map(|n| statistics.distinct(n).1).collect::<Vec<_>>(),
            "labels": LABELS.iter().map(label).collect::<Vec<_>>(),
        })
    }
}

/// A story's labels: of each word the first byte, the byte after the last and its nats; for each label the words of which it is true,
/// and where it is not asked of all, those of which it is false.
fn labels(story: &Story) -> Value {
    let words: Vec<Value> = story
        .words
        .iter()
        .map(|word| json!([word.start, word.end, word.nats]))
        .collect();
    let (mut yes, mut no) = (Map::new(), Map::new());
    for label in LABELS {
        let answers: Vec<Option<bool>> = story.words.iter().map(|word| label.of(word, &story.cast)).collect();
        let of = |wanted: bool| -> Vec<usize> { (0..answers.len()).filter(|index| answers[*index] == Some(wanted)).collect() };
        let (is_true, is_false) = (of(true), of(false));
        if !is_true.is_empty() {
            yes.insert(label.name.to_owned(), is_true.into());
        }
        if answers.contains(&None) && !is_false.is_empty() {
            no.insert(label.name.to_owned(), is_false.into());
        }
    }
    json!({ "nats": story.nats, "words": words, "yes": yes, "no": no })
}

fn report(statistics: &Statistics) -> String {
    let nats = statistics.nats_per_token();
    let mut text = format!(
        "{} stories of {} to {} tokens, {:.1} on average (a token is a word or a mark)\n\
         {nats:.4} nats per token ({:.4} bits) by the choices made: an upper bound of the text's entropy\n\
         {:.1} nats per story; {:.4} nats per byte",
        statistics.n_stories,
        statistics.shortest,
        statistics.longest,
        statistics.n_tokens as f64 / statistics.n_stories as f64,
        nats / std::f64::consts::LN_2,
        statistics.nats / statistics.n_stories as f64,
        statistics.nats / statistics.n_bytes as f64,
    );
    for n in 1..=4 {
        let (share, distinct) = statistics.distinct(n);
        text += &format!("\n{distinct} distinct {n}-grams ({:.2} % of all)", 100.0 * share);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_list_words_that_are_and_where_asked_those_that_are_not() {
        let story = Storyworld::new(0).story(0);
        let value = labels(&story);
        let of = |side: &str, name: &str| value[side][name].as_array().cloned().unwrap_or_default().len();
        assert_eq!(value["words"].as_array().unwrap().len(), story.words.len());
        assert!(of("yes", "class=name") > 0 && of("no", "class=name") == 0);
        let n_gendered = story.words.iter().filter(|word| word.gender.is_some()).count();
        assert_eq!(of("yes", "gender=feminine") + of("no", "gender=feminine"), n_gendered);
    }
}
