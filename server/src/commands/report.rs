//! A job's progress for people: a bar on a terminal, plain lines elsewhere. Both on stderr, so that stdout stays for results.

use super::say::note;
use api::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal as _,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a plain line comes while nothing but the count changes.
const EVERY: Duration = Duration::from_secs(10);

/// Shows the progress of one job.
pub struct Report {
    title: String,
    out: Out,
}

enum Out {
    Bar(ProgressBar),
    Lines(Mutex<Option<(String, Instant)>>),
}

impl Report {
    /// A report under `title`.
    pub fn new(title: String) -> Self {
        let out = if std::io::stderr().is_terminal() {
            Out::Bar(ProgressBar::new(0).with_style(style()).with_prefix(title.clone()))
        } else {
            Out::Lines(Mutex::default())
        };
        Self { title, out }
    }

    /// Shows how far the job is.
    pub fn show(&self, progress: &Progress) {
        match &self.out {
            Out::Bar(bar) => {
                bar.set_length(progress.total);
                bar.set_position(progress.done);
                bar.set_message(words(progress));
            }
            Out::Lines(last) => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                let is_due = last
                    .as_ref()
                    .is_none_or(|(stage, at)| *stage != progress.stage || at.elapsed() >= EVERY);
                if is_due {
                    note!("{}: {}", self.title, words(progress));
                    *last = Some((progress.stage.clone(), Instant::now()));
                }
            }
        }
    }

    /// Says how it ended, in the place of the bar.
    pub fn end(self, text: &str) {
        if let Out::Bar(bar) = &self.out {
            bar.finish_and_clear();
        }
        note!("{}: {text}", self.title);
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} [{bar:30}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// "training, 120,000 of 1,228,800 tokens (9 %), 35,000 tokens/s, 31 s left".
fn words(progress: &Progress) -> String {
    let Progress {
        stage,
        done,
        total,
        unit,
        rate,
    } = progress;
    if unit.is_empty() {
        return stage.clone();
    }
    let mut text = format!("{stage}, {}", thousands(*done));
    if *total > 0 {
        text += &format!(" of {} {unit} ({} %)", thousands(*total), done * 100 / total);
    } else {
        text += &format!(" {unit}");
    }
    if *rate > 0.0 {
        text += &format!(", {} {unit}/s", thousands(rate.round() as u64));
        if *total > *done {
            text += &format!(", {} left", duration((total - done) as f64 / rate));
        }
    }
    text
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        s @ 0..100 => format!("{s} s"),
        s @ 100..6000 => format!("{} min", s.div_ceil(60)),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_in_words() {
        let mut progress = Progress {
            stage: "training".into(),
            done: 120_000,
            total: 1_228_800,
            unit: "tokens".into(),
            rate: 35_000.4,
        };
        assert_eq!(
            words(&progress),
            "training, 120,000 of 1,228,800 tokens (9 %), 35,000 tokens/s, 32 s left"
        );
        progress = Progress {
            total: 0,
            rate: 0.0,
            ..progress
        };
        assert_eq!(words(&progress), "training, 120,000 tokens");
        assert_eq!(
            words(&Progress {
                stage: "loading the model".into(),
                ..Progress::default()
            }),
            "loading the model"
        );
        assert_eq!(
            (duration(150.0), duration(7300.0)),
            ("3 min".to_string(), "2 h 1 min".to_string())
        );
    }
}
