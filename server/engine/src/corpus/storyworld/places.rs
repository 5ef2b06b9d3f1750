//! The places of Storyworld and the things that change hands in it.

use std::sync::LazyLock;

use super::lexicon::{FormId, LEXICON};

/// A place, with what stands there.
pub(super) struct Place {
    pub noun: FormId,
    /// "at" the mill, "in" the garden, "on" the bridge.
    pub at: FormId,
    pub is_outdoors: bool,
    /// Whether somebody built it, so that a year may be told of it.
    pub is_built: bool,
    /// What stands there, in the singular.
    pub scenes: Vec<FormId>,
}

type Row = (&'static str, &'static str, bool, bool, &'static [&'static str]);

/// Noun, preposition, outdoors, built, what stands there.
const PLACES: [Row; 12] = [
    ("market", "at", true, false, &["stall", "cart", "lamp", "barrel", "fountain"]),
    ("garden", "in", true, false, &["rose", "bench", "wall", "willow", "statue"]),
    ("park", "in", true, false, &["tree", "bench", "statue", "fountain", "lamp"]),
    ("library", "in", false, true, &["shelf", "chair", "clock", "window", "lamp"]),
    ("mill", "at", false, true, &["wheel", "sack", "door", "window", "cart"]),
    ("harbor", "at", true, true, &["boat", "ship", "barrel", "lamp", "wall"]),
    ("station", "at", false, true, &["clock", "train", "bench", "door", "sign"]),
    ("bakery", "in", false, true, &["oven", "cake", "shelf", "window", "sack"]),
    ("bridge", "on", true, true, &["lamp", "arch", "boat", "swan", "sign"]),
    ("beach", "on", true, false, &["boat", "rock", "hut", "shell", "ship"]),
    ("museum", "in", false, true, &["statue", "portrait", "mask", "clock", "door"]),
    ("lake", "by", true, false, &["swan", "boat", "willow", "hut", "bench"]),
];

/// What a person can hold and give. Each has a bank `act.NAME` in the grammar.
pub(super) const OBJECTS: [&str; 24] = [
    "kite", "ball", "map", "key", "lantern", "basket", "book", "letter", "flute", "drum", "umbrella", "rope", "hat", "scarf",
    "necklace", "coin", "feather", "box", "cup", "bell", "whistle", "mirror", "candle", "spoon",
];

/// Who has to do with what stands somewhere, in the singular.
const FOLK: [&str; 10] = [
    "farmer", "baker", "sailor", "painter", "teacher", "child", "woman", "man", "boy", "girl",
];

/// The places, objects and folk as forms of the lexicon.
pub(super) struct Setting {
    pub places: Vec<Place>,
    pub objects: Vec<FormId>,
    pub folk: Vec<FormId>,
}

/// What the program holds.
pub(super) static SETTING: LazyLock<Setting> =
    LazyLock::new(|| Setting::new().unwrap_or_else(|word| panic!("'{word}' is not in the embedded lexicon: a test looks")));

impl Setting {
    /// # Errors
    /// The word that the lexicon lacks.
    fn new() -> Result<Self, &'static str> {
        let form = |word: &&'static str| LEXICON.form(word).ok_or(*word);
        let place = |(noun, at, is_outdoors, is_built, scenes): &Row| -> Result<Place, &'static str> {
            Ok(Place {
                noun: form(noun)?,
                at: form(at)?,
                is_outdoors: *is_outdoors,
                is_built: *is_built,
                scenes: scenes.iter().map(form).collect::<Result<_, _>>()?,
            })
        };
        Ok(Setting {
            places: PLACES.iter().map(place).collect::<Result<_, _>>()?,
            objects: OBJECTS.iter().map(form).collect::<Result<_, _>>()?,
            folk: FOLK.iter().map(form).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_in_the_lexicon() {
        let setting = Setting::new().unwrap();
        let plurals = setting.places.iter().flat_map(|place| &place.scenes).chain(&setting.folk);
        for noun in plurals {
            let plural = LEXICON.forms[usize::from(LEXICON.plural(*noun))];
            assert_eq!(
                plural.number,
                Some(crate::corpus::storyworld::Number::Plural),
                "{}",
                plural.text
            );
        }
    }
}
