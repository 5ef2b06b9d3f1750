//! Known features of dictionaries of a real (if tiny) model: the same with any number of threads and in any company, from stories
//! to the table; and stopped when it is told to.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use api::{HookPoint, KnownFeatures, METRICS, ResidualFrame, Site};
use engine::{
    corpus::{load_tokenizer, special_tokens},
    dictionary::{Dictionary, Normaliser},
    metrics::{
        Subject,
        known::{KnownError, Observe, Options, Reader, measure},
    },
    model::Model,
};
use std::path::Path;

const OPTIONS: Options = Options { seed: 77, n_stories: 60 };

fn run(
    at: HookPoint,
    dictionaries: &[&Dictionary<f32>],
    n_threads: usize,
    observe: &Observe<'_>,
) -> Result<Option<Vec<KnownFeatures>>, KnownError> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/models/tiny"));
    let model = Model::load(folder, ResidualFrame::Raw).unwrap();
    let tokenizer = load_tokenizer(folder, model.facts().d_vocab).unwrap();
    let reader = Reader {
        model: &model,
        tokenizer: &tokenizer,
        bos: special_tokens(folder).unwrap().bos,
    };
    let subject = |dictionary| Subject {
        dictionary,
        normaliser: Normaliser::Scale(0.5),
    };
    let subjects: Vec<Subject<'_>> = dictionaries.iter().map(|dictionary| subject(dictionary)).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    pool.install(|| measure(reader, at, &subjects, OPTIONS, observe))
}

fn random(d_in: usize, d_sae: usize, seed: u64) -> Dictionary<f32> {
    Dictionary::random(api::DictionaryKind::Relu, d_in, d_sae, seed)
}

#[test]
fn the_answer_is_the_same_with_any_threads_and_in_any_company() {
    let at = HookPoint::resid_pre(1);
    let (a, b) = (random(32, 40, 1), random(32, 24, 2));
    let both = run(at, &[&a, &b], 1, &|_, _, _| true).unwrap().unwrap();
    assert_eq!(run(at, &[&a, &b], 3, &|_, _, _| true).unwrap().unwrap(), both);
    assert_eq!(run(at, &[&b], 2, &|_, _, _| true).unwrap().unwrap(), both[1..]);
    let [known, _] = &both[..] else { panic!() };
    assert!(known.n_tokens > 500 && known.labels.len() == 56);
    for label in known.labels.iter().filter_map(|label| label.scores.as_ref()) {
        for reading in [label.ceiling, label.one, label.two, label.five] {
            for estimate in [reading.accuracy, reading.auc] {
                assert!(
                    (0.0..=1.0).contains(&estimate.low) && (0.0..=1.0).contains(&estimate.high),
                    "{label:?}"
                );
                assert!(estimate.low <= estimate.high, "{label:?}");
            }
        }
    }
    // what follows from the word can be read from a residual stream that holds the word
    let verb = known.labels.iter().find(|label| label.name == "class=verb").unwrap();
    assert!(verb.scores.as_ref().unwrap().ceiling.accuracy.value > 0.8, "{verb:?}");
    let json = serde_json::to_string(known).unwrap();
    assert_eq!(&serde_json::from_str::<KnownFeatures>(&json).unwrap(), known);
    let measured = known.measurements();
    assert!(measured.len() >= 9, "{measured:?}");
    for one in measured {
        assert!(
            one.value.is_finite()
                && METRICS
                    .iter()
                    .any(|metric| metric.name == one.name && metric.version == one.version)
        );
    }
}

#[test]
fn any_hook_point_will_do() {
    let at = HookPoint::block(1, Site::MlpPost);
    let known = run(at, &[&random(128, 32, 3)], 2, &|_, _, _| true).unwrap().unwrap();
    assert!(known[0].labels.iter().any(|label| label.scores.is_some()));
}

#[test]
fn it_can_be_stopped_and_refuses_what_does_not_fit() {
    let at = HookPoint::resid_pre(1);
    for stage in [
        "reading stories",
        "fitting probes",
        "ablating directions",
        "measuring dictionaries",
    ] {
        let found = run(at, &[&random(32, 8, 1)], 1, &|now, _, _| now != stage).unwrap();
        assert!(found.is_none(), "{stage}");
    }
    let error = run(at, &[&random(16, 8, 1)], 1, &|_, _, _| true).unwrap_err().to_string();
    assert_eq!(
        error,
        "a dictionary is 16 wide; blocks.1.hook_resid_pre of the model is 32 wide"
    );
}
