//! The language models in memory: loaded once per folder and frame, shared by all that use them, let go by a budget.

use api::ResidualFrame;
use engine::model::{Model, ModelError};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A model, as the engine computes with it.
pub type SharedModel = Arc<Model<f32>>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    folder: PathBuf,
    /// The folder's content: a folder that was written anew is another model.
    hash: String,
    frame: ResidualFrame,
}

struct Slot {
    /// Filled by the first who asks; the others wait for it.
    model: Arc<Mutex<Option<SharedModel>>>,
    bytes: u64,
    last_used: u64,
}

/// The models in memory.
pub struct ModelCache {
    budget_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: HashMap<Key, Slot>,
    clock: u64,
}

impl ModelCache {
    /// An empty cache that keeps at most `budget_bytes` of weights that no one uses.
    pub fn new(budget_bytes: u64) -> Self {
        Self {
            budget_bytes,
            state: Mutex::default(),
        }
    }

    /// The model in `folder`, whose content has the hash `hash`, read in `frame`.
    ///
    /// # Errors
    /// What the engine refuses to load.
    pub fn get(&self, folder: &Path, hash: &str, frame: ResidualFrame) -> Result<SharedModel, ModelError> {
        let key = Key {
            folder: folder.to_owned(),
            hash: hash.to_owned(),
            frame,
        };
        let cell = self.touch(&key);
        let mut cell = cell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = &*cell {
            return Ok(model.clone());
        }
        let loaded = Model::<f32>::load(folder, frame);
        match loaded {
            Ok(model) => {
                let model = Arc::new(model);
                *cell = Some(model.clone());
                drop(cell);
                self.settle(&key, model.facts().n_params * size_of::<f32>() as u64);
                Ok(model)
            }
            Err(error) => {
                drop(cell);
                self.state.lock().unwrap_or_else(PoisonError::into_inner).slots.remove(&key);
                Err(error)
            }
        }
    }

    /// Whether the model is in memory.
    pub fn holds(&self, folder: &Path, hash: &str, frame: ResidualFrame) -> bool {
        let key = Key {
            folder: folder.to_owned(),
            hash: hash.to_owned(),
            frame,
        };
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = |slot: &Slot| slot.model.try_lock().is_ok_and(|model| model.is_some());
        state.slots.get(&key).is_some_and(loaded)
    }

    /// The slot of `key`, made if it is not there.
    fn touch(&self, key: &Key) -> Arc<Mutex<Option<SharedModel>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let clock = state.clock;
        let slot = state.slots.entry(key.clone()).or_insert_with(|| Slot {
            model: Arc::default(),
            bytes: 0,
            last_used: 0,
        });
        slot.last_used = clock;
        slot.model.clone()
    }

    /// Notes the size of a model that was loaded, and lets others go, the longest unused first, until the budget holds.
    fn settle(&self, loaded: &Key, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = state.slots.get_mut(loaded) {
            slot.bytes = bytes;
        }
        while state.slots.values().map(|slot| slot.bytes).sum::<u64>() > self.budget_bytes {
            let unused = state
                .slots
                .iter()
                .filter(|(key, slot)| *key != loaded && is_unused(slot))
                .min_by_key(|(_, slot)| slot.last_used)
                .map(|(key, _)| key.clone());
            match unused {
                Some(key) => drop(state.slots.remove(&key)),
                None => break, // what is left is in use
            }
        }
    }
}

fn is_unused(slot: &Slot) -> bool {
    // someone holds the slot: it is being loaded or has just been asked for
    Arc::strong_count(&slot.model) == 1
        && slot
            .model
            .try_lock()
            .is_ok_and(|model| model.as_ref().is_none_or(|model| Arc::strong_count(model) == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// `n` copies of the tiny model, and the bytes that one of them takes in memory.
    fn copies(n: usize) -> (tempfile::TempDir, Vec<PathBuf>, u64) {
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/models/tiny");
        let place = tempfile::tempdir().unwrap();
        let folders: Vec<_> = (0..n).map(|i| place.path().join(i.to_string())).collect();
        for folder in &folders {
            fs::create_dir(folder).unwrap();
            for file in ["config.json", "model.safetensors"] {
                fs::copy(tiny.join(file), folder.join(file)).unwrap();
            }
        }
        let n_params = Model::<f32>::load(&tiny, ResidualFrame::Raw).unwrap().facts().n_params;
        (place, folders, n_params * 4)
    }

    fn get(cache: &ModelCache, folder: &Path) -> SharedModel {
        cache.get(folder, "hash", ResidualFrame::Raw).unwrap()
    }

    #[test]
    fn what_is_in_use_stays_and_what_is_not_goes_when_the_budget_is_spent() {
        let (_place, folders, bytes) = copies(3);
        let cache = ModelCache::new(bytes + bytes / 2);
        let first = get(&cache, &folders[0]);
        let second = get(&cache, &folders[1]);
        // both are in use: the budget for one does not take either from its user, and nobody loads it again
        assert!(Arc::ptr_eq(&first, &get(&cache, &folders[0])) && Arc::ptr_eq(&second, &get(&cache, &folders[1])));
        let is_first_there = Arc::downgrade(&first);
        drop(first);
        let _third = get(&cache, &folders[2]);
        assert!(is_first_there.upgrade().is_none(), "the unused model is still in memory");
        assert!(Arc::ptr_eq(&second, &get(&cache, &folders[1])), "a model in use was let go");
    }

    #[test]
    fn within_the_budget_models_stay_unused_and_the_longest_unused_goes_first() {
        let (_place, folders, bytes) = copies(3);
        let cache = ModelCache::new(2 * bytes);
        let [first, second] = [0, 1].map(|i| Arc::downgrade(&get(&cache, &folders[i])));
        assert!(first.upgrade().is_some() && second.upgrade().is_some());
        drop(get(&cache, &folders[0])); // now the second is the longer unused
        drop(get(&cache, &folders[2]));
        assert!(first.upgrade().is_some() && second.upgrade().is_none());
    }

    #[test]
    fn another_content_or_frame_is_another_model_and_what_cannot_be_loaded_leaves_nothing() {
        let (place, folders, bytes) = copies(1);
        let cache = ModelCache::new(10 * bytes);
        let raw = get(&cache, &folders[0]);
        let centred = cache.get(&folders[0], "hash", ResidualFrame::Centred).unwrap();
        let anew = cache.get(&folders[0], "other hash", ResidualFrame::Raw).unwrap();
        assert!(!Arc::ptr_eq(&raw, &centred) && !Arc::ptr_eq(&raw, &anew));
        assert!(cache.get(&place.path().join("none"), "hash", ResidualFrame::Raw).is_err());
        assert_eq!(cache.state.lock().unwrap().slots.len(), 3);
    }
}
