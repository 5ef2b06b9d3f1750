//! The tests that took longest, from the report that nextest leaves (JUnit's XML): what a check costs is what its slowest tests cost.

use anyhow::{Context, Result};
use roxmltree::Document;
use std::{fs, path::Path};

/// How many are named.
const N: usize = 10;

/// A test and its time.
#[derive(PartialEq, Debug)]
struct Timed {
    seconds: f64,
    /// Its binary and its name.
    test: String,
}

/// Prints the slowest tests of the report `file`, with their times and the time of all.
///
/// # Errors
/// When the report cannot be read.
pub fn print(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let tests = read(&text).with_context(|| format!("{} is no report of tests", file.display()))?;
    let all: f64 = tests.iter().map(|test| test.seconds).sum();
    println!("the slowest of {} tests, which took {all:.1} s one by one:", tests.len());
    for test in tests.iter().take(N) {
        println!("{:>8.1} s  {}", test.seconds, test.test);
    }
    Ok(())
}

/// All tests of a report, the slowest first.
fn read(text: &str) -> Result<Vec<Timed>> {
    let report = Document::parse(text)?;
    let mut tests = Vec::new();
    for case in report.descendants().filter(|node| node.has_tag_name("testcase")) {
        let word = |name: &str| case.attribute(name).with_context(|| format!("a testcase has no {name}"));
        let time = word("time")?;
        tests.push(Timed {
            seconds: time
                .parse()
                .with_context(|| format!("a testcase has the time `{time}`, expected seconds"))?,
            test: format!("{} {}", word("classname")?, word("name")?),
        });
    }
    tests.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_come_first() {
        let report = r#"<?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="nextest-run" tests="2" time="31.0">
                <testsuite name="api">
                    <testcase name="ids::parse" classname="api" timestamp="2026-01-01T00:00:00Z" time="0.012"/>
                </testsuite>
                <testsuite name="engine::training">
                    <testcase name="runs::resumes" classname="engine::training" time="30.500"><failure type="x">no</failure></testcase>
                </testsuite>
            </testsuites>"#;
        let timed = |seconds, test: &str| Timed {
            seconds,
            test: test.to_owned(),
        };
        let expected = vec![timed(30.5, "engine::training runs::resumes"), timed(0.012, "api ids::parse")];
        assert_eq!(read(report).unwrap(), expected);
        assert!(read("not xml").is_err());
    }
}
