//! The labels: those that follow from the word alone do, the others do not; sub-labels imply their parents; all occur.

use super::{letters, stories};
use engine::corpus::storyworld::{LABELS, Label, Story};
use std::collections::{HashMap, HashSet};

#[test]
fn a_labels_kind_is_what_the_stories_show() {
    let all: Vec<Story> = stories(70, 4000).collect();
    for label in LABELS {
        let mut values: HashMap<String, HashSet<Option<bool>>> = HashMap::new();
        for story in &all {
            for word in &story.words {
                values
                    .entry(letters(story, word))
                    .or_default()
                    .insert(label.of(word, &story.cast));
            }
        }
        let varied = values
            .values()
            .filter(|values| values.contains(&Some(true)) && values.contains(&Some(false)))
            .count();
        assert_eq!(
            label.from_token_alone(),
            values.values().all(|values| values.len() == 1),
            "{}: {varied} words have both values",
            label.name
        );
        let has = |value| values.values().any(|values| values.contains(&Some(value)));
        assert!(has(true) && has(false), "{}", label.name);
    }
}

#[test]
fn a_sub_label_implies_its_parent() {
    let names: HashSet<&str> = LABELS.iter().map(|label| label.name).collect();
    assert_eq!(names.len(), LABELS.len());
    let pairs: Vec<(&Label, &Label)> = LABELS
        .iter()
        .filter_map(|label| label.parent.map(|parent| (label, Label::named(parent).unwrap())))
        .collect();
    assert!(pairs.len() > 5);
    for story in stories(71, 500) {
        for word in &story.words {
            for (label, parent) in &pairs {
                let implied = label.of(word, &story.cast) != Some(true) || parent.of(word, &story.cast) == Some(true);
                assert!(implied, "{} without {}", label.name, parent.name);
            }
        }
    }
}
