//! Transcoders: where they read and write at one point they are the kinds that they come from; elsewhere their runs are repeatable, their
//! files come back, and their gradients are slopes; what torch makes of them; what a skip connection is, and a norm's gain.

use api::{DictionaryKind, HookPoint, InputScale, KindName, Origin, PostHoc, Site, TrainConfig};
use engine::{
    dictionary::{self, Dictionary, Forward, Normaliser, Parameters, Path, Scratch, SparseCodes},
    train::{Cpu, Device as _, Stepper, Trainee, evaluate},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    kind_laws::{numbers, shaken},
    kinds::{self, of_golden_is_torchs},
    runs::{Place, Watch, left},
};

const BANDWIDTH: f64 = 0.05;
/// Of the topk kinds.
const K: usize = 3;
const DEAD_TOKENS: u64 = 200;

fn at() -> HookPoint {
    HookPoint::block(1, Site::MlpOut)
}

/// The kinds without a skip connection, and then those with one, in the same order.
fn transcoders(read_at: HookPoint) -> [DictionaryKind; 6] {
    let (bandwidth, initial_threshold) = (BANDWIDTH, 0.001);
    let (k, aux_coefficient, dead_tokens) = (K, 1.0 / 32.0, DEAD_TOKENS);
    [
        DictionaryKind::Transcoder { read_at },
        DictionaryKind::JumpReluTranscoder {
            read_at,
            bandwidth,
            initial_threshold,
        },
        DictionaryKind::TopKTranscoder {
            read_at,
            k,
            aux_coefficient,
            dead_tokens,
        },
        DictionaryKind::SkipTranscoder { read_at },
        DictionaryKind::JumpReluSkipTranscoder {
            read_at,
            bandwidth,
            initial_threshold,
        },
        DictionaryKind::TopKSkipTranscoder {
            read_at,
            k,
            aux_coefficient,
            dead_tokens,
        },
    ]
}

/// The three objectives' dictionaries, all of one kind.
fn of_kind(kind: DictionaryKind) -> TrainConfig {
    let mut config = TrainConfig {
        input_scale: InputScale::UnitNorm,
        ..crate::workplace::config(at())
    };
    for d in &mut config.dictionaries {
        d.kind = kind;
        if !kind.name().has_penalty() {
            d.objective = d.objective.with_sparsity(0.0);
        }
    }
    config.validate().unwrap();
    config
}

#[test]
fn where_they_read_and_write_at_one_point_they_are_the_kinds_that_they_come_from() {
    let place = Place::new();
    let plain = [
        DictionaryKind::Relu,
        DictionaryKind::JumpRelu {
            bandwidth: BANDWIDTH,
            initial_threshold: 0.001,
        },
    ];
    for (plain, transcoder) in plain.into_iter().zip(transcoders(at())) {
        let [a, b] = [plain, transcoder].map(|kind| {
            let mut watch = Watch::default();
            let name = format!("one {}", kind.name());
            let left = left(place.run(&name, &of_kind(kind), 2, &mut watch).unwrap());
            let load = |k: usize| {
                let file = place.folder.path().join(format!("{name}/dictionary-{k}.safetensors"));
                dictionary::load(&file).unwrap().0
            };
            let weights: Vec<_> = (0..left.len()).map(|k| load(k).parameters().clone()).collect();
            let metrics: Vec<_> = left.into_iter().map(|(_, metrics)| metrics).collect();
            (weights, metrics, watch.history)
        });
        assert!(a == b, "{}", transcoder.name());
    }
}

#[test]
fn runs_are_repeatable_and_what_they_leave_is_measured_again() {
    let place = Place::new();
    // as wide on both sides, and wider where it is read
    for read_at in [HookPoint::block(1, Site::Ln2), HookPoint::block(0, Site::MlpPost)] {
        let width = place.model.width(read_at).unwrap();
        for kind in transcoders(read_at) {
            let (name, config) = (format!("{} {read_at}", kind.name()), of_kind(kind));
            let mut whole = Watch::default();
            let expected = left(place.run(&format!("{name} whole"), &config, 2, &mut whole).unwrap());
            let mut watch = Watch::default();
            for (stop, n_threads) in [(0, 2), (1, 1), (5, 3)] {
                watch.stop_at = Some(stop);
                place.run(&format!("{name} cut"), &config, n_threads, &mut watch).unwrap();
            }
            watch.stop_at = None;
            let resumed = left(place.run(&format!("{name} cut"), &config, 1, &mut watch).unwrap());
            assert!(resumed == expected && watch.history == whole.history, "{name}");

            let file = |k| place.folder.path().join(format!("{name} whole/dictionary-{k}.safetensors"));
            let files: Vec<_> = (0..expected.len()).map(file).collect();
            let (made, facts) = dictionary::load(&files[0]).unwrap();
            let d_out = place.model.width(at()).unwrap();
            assert_eq!((made.kind(), facts.at, made.d_in(), made.d_out()), (kind, at(), width, d_out));
            let again = evaluate(
                &files,
                &*Cpu.backend(&place.model).unwrap(),
                place.tokens(),
                &config,
                &mut |_, _| true,
            )
            .unwrap();
            for ((_, metrics), again) in expected.iter().zip(again) {
                let again = again.metrics;
                assert!(!again.is_empty() && again.iter().all(|m| metrics.contains(m)), "{name}");
            }
        }
    }
}

#[test]
fn gradients_between_two_points_are_slopes() {
    let place = Place::new();
    let model = place.model.to_f64();
    let tokens: Vec<u32> = (0..24).map(|i| (i * 7 + 3) % place.model.facts().d_vocab as u32).collect();
    let batch: Vec<&[u32]> = tokens.chunks(12).collect();
    let read_at = HookPoint::block(1, Site::MlpPost);
    for kind in transcoders(read_at) {
        let config = of_kind(kind);
        let widths = (model.width(read_at).unwrap(), model.width(at()).unwrap());
        assert_ne!(widths.0, widths.1);
        let trainee = |c: &api::DictionaryConfig| {
            let dictionary = Dictionary::<f64>::between(kind, widths, 40, c.seed);
            Trainee::new(c.objective, c.lr, dictionary, config.adam)
        };
        let mut stepper = Stepper::new(
            &model,
            &config,
            Normaliser::Scale(0.7),
            config.dictionaries.iter().map(trainee).collect(),
        )
        .unwrap();
        stepper.prepare(&batch).unwrap();
        stepper.gradients(std::slice::from_ref(&batch)).unwrap();
        let grads: Vec<Parameters<f64>> = stepper.trainees.iter().map(|t| t.grads().clone()).collect();
        let clean: Vec<Dictionary<f64>> = stepper.trainees.iter().map(|t| t.dictionary.clone()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for (t, tensor) in grads[0].0.iter().enumerate() {
            // a threshold's derivative is no slope, and jumprelu's rows have none along themselves
            let is_jump = clean[0].parameters().0.iter().any(|tensor| tensor.name == "threshold");
            if tensor.name == "threshold" || (tensor.name == "W_dec" && is_jump) {
                continue;
            }
            let direction: Vec<f64> = (0..3 * tensor.data.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
            let step = 1e-7;
            let mut losses = |by: f64| -> Vec<f64> {
                for (trainee, clean) in stepper.trainees.iter_mut().zip(&clean) {
                    trainee.dictionary = clean.clone();
                    trainee.dictionary.update(|p| {
                        p.0[t].data.iter_mut().zip(&direction).for_each(|(x, d)| *x += by * d);
                    });
                }
                stepper.gradients(std::slice::from_ref(&batch)).unwrap();
                stepper.trainees.iter().map(|t| t.terms.loss(&t.objective)).collect()
            };
            let (above, below) = (losses(step), losses(-step));
            for (k, grads) in grads.iter().enumerate() {
                let slope = (above[k] - below[k]) / (2.0 * step);
                let along: f64 = grads.0[t].data.iter().zip(&direction).map(|(g, d)| g * d).sum();
                let off = (slope - along).abs();
                let (name, objective) = (tensor.name, config.dictionaries[k].objective.kind());
                assert!(
                    off <= 1e-6 * along.abs() + 1e-7 * above[k].abs().max(1.0),
                    "{}, {objective} along {name}: slope {slope}, gradient {along}",
                    kind.name()
                );
            }
        }
    }
}

/// Both places of the golden files: other widths on either side, and the norm before an MLP.
#[test]
fn they_are_torchs() {
    for model in ["llama", "gpt2"] {
        let golden = kinds::Golden::transcoders(model);
        let names: Vec<_> = golden.about.kinds.iter().map(|entry| entry.kind.name()).collect();
        let theirs = |name: &KindName| name.settings().contains(&"read_at") && *name != KindName::Transcoder;
        assert!(
            KindName::ALL.iter().all(|name| names.contains(name) == theirs(name)),
            "{names:?}"
        );
        for name in names {
            of_golden_is_torchs(&golden, name);
        }
    }
}

/// What a pass in training gives.
#[derive(PartialEq)]
struct Trained {
    codes: Vec<f32>,
    y_hat: Vec<f32>,
    /// Penalty and auxiliary term.
    terms: [f64; 2],
    grads: Parameters<f32>,
    grad_x: Vec<f32>,
}

fn passed(dictionary: &Dictionary<f32>, target: &[f32]) -> Trained {
    let (scratch, mut forward) = (Scratch::new(), Forward::default());
    let n = target.len() / dictionary.d_out();
    let (x, g) = (numbers::<f32>(n * dictionary.d_in(), 2), numbers::<f32>(target.len(), 3));
    dictionary.forward_to(&x, target, 0.01, &mut forward, Path::default(), &scratch);
    let mut grads = dictionary.parameters().zeros_like();
    let mut grad_x = vec![0.0; x.len()];
    let path = Path::default();
    dictionary.backward(&x, &mut forward, &g, 0.1, &mut grads, Some(&mut grad_x), path, &scratch);
    dictionary.finish(&mut grads);
    Trained {
        codes: forward.codes.to_dense(),
        y_hat: forward.x_hat,
        terms: [forward.penalty, forward.auxiliary],
        grads,
        grad_x,
    }
}

/// A skip connection of zeros changes no bit but its own gradient, and one that is not adds W_skip x.
#[test]
fn a_skip_connection_adds_what_it_says() {
    let (d_in, d_out, n) = (9, 7, 40);
    let all = transcoders(at());
    for (plain, skip) in all[..3].iter().zip(&all[3..]) {
        let name = skip.name();
        let widths = |kind: DictionaryKind| {
            let mut dictionary = Dictionary::<f32>::between(kind, (d_in, d_out), 30, 5);
            dictionary.update(|p| {
                let tensors =
                    p.0.iter_mut()
                        .filter(|tensor| !["W_skip", "threshold"].contains(&tensor.name));
                tensors.zip(10..).for_each(|(tensor, seed)| {
                    tensor
                        .data
                        .iter_mut()
                        .zip(numbers::<f32>(1000, seed))
                        .for_each(|(x, by)| *x += 0.2 * by);
                });
            });
            dictionary.update_state(|state| {
                let counts = state.iter_mut().filter(|tensor| tensor.name == "since_fired");
                counts.for_each(|tensor| tensor.data.iter_mut().step_by(2).for_each(|n| *n = 1e6));
            });
            dictionary
        };
        let (without, mut with) = (widths(*plain), widths(*skip));
        assert!(with.skip().unwrap().iter().all(|w| *w == 0.0), "{name} begins with zeros");
        let target = numbers::<f32>(n * d_out, 4);
        let (a, mut b) = (passed(&without, &target), passed(&with, &target));
        let of_skip = b.grads.0.pop().unwrap();
        assert_eq!((of_skip.name, &of_skip.shape[..]), ("W_skip", &[d_out, d_in][..]));
        assert!(a == b, "{name}");
        if !name.has_penalty() {
            assert!(a.terms[1] > 0.0, "{name} has dead features");
        }

        let w_skip = numbers::<f32>(d_out * d_in, 8);
        with.update(|p| p.0.last_mut().unwrap().data.copy_from_slice(&w_skip));
        let (x, after) = (numbers::<f32>(n * d_in, 2), passed(&with, &target));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        for (t, x) in x.chunks_exact(d_in).enumerate() {
            for (i, row) in w_skip.chunks_exact(d_in).enumerate() {
                let added = after.y_hat[t * d_out + i] - a.y_hat[t * d_out + i];
                assert!((added - dot(row, x)).abs() < 1e-5, "{name}");
            }
        }
        let (mut codes, mut used, scratch) = (SparseCodes::default(), vec![0.0; n * d_out], Scratch::new());
        with.encode(&x, &mut codes, &scratch);
        with.reconstruct(&codes, &x, &mut used, Path::default(), &scratch);
        assert!(used == after.y_hat, "{name}: in use as in training");
        // and its transpose takes the gradient back to x
        let g = numbers::<f32>(n * d_out, 3);
        for (t, g) in g.chunks_exact(d_out).enumerate() {
            for i in 0..d_in {
                let column: Vec<f32> = w_skip.chunks_exact(d_in).map(|row| row[i]).collect();
                let added = after.grad_x[t * d_in + i] - a.grad_x[t * d_in + i];
                assert!((added - dot(&column, g)).abs() < 1e-5, "{name}");
            }
        }
    }
}

/// Where it reads what it writes and b_dec is 0, it is topk, but that b_dec has no gradient through the input and rows are free.
#[test]
fn topk_without_a_centre_is_its_transcoder() {
    let (d, n) = (8, 50);
    let settings = (K, 1.0 / 32.0, DEAD_TOKENS);
    let (k, aux_coefficient, dead_tokens) = settings;
    let mut plain = shaken::<f32>(
        DictionaryKind::TopK {
            k,
            aux_coefficient,
            dead_tokens,
        },
        d,
        30,
    );
    plain.update(|p| p.0[3].data.fill(0.0));
    let mut transcoder = Dictionary::<f32>::between(transcoders(at())[2], (d, d), 30, 1);
    let (parameters, state) = (plain.parameters().clone(), plain.state().to_vec());
    transcoder.update_state(|own| own.clone_from_slice(&state));
    transcoder.update(|own| *own = parameters);
    let x = numbers::<f32>(n * d, 2);
    let (a, b) = (passed(&plain, &x), passed(&transcoder, &x));
    assert!((&a.codes, &a.y_hat, a.terms, &a.grad_x) == (&b.codes, &b.y_hat, b.terms, &b.grad_x));
    assert!(a.terms[1] > 0.0);
    assert!(a.grads.0[..2] == b.grads.0[..2]);
    assert!(a.grads.0[3] != b.grads.0[3]);
}

/// As sparsify begins: the decoder writes nothing, ŷ is the mean of y, and pre-activations have the mean 0.
#[test]
fn topk_transcoders_begin_at_the_mean() {
    let (d_in, d_out, n) = (9, 7, 60);
    let mut dictionary = Dictionary::<f64>::between(transcoders(at())[5], (d_in, d_out), 30, 3);
    let x: Vec<f64> = numbers::<f64>(n * d_in, 2).iter().map(|x| x + 0.5).collect();
    let y: Vec<f64> = numbers::<f64>(n * d_out, 3).iter().map(|y| y - 0.7).collect();
    dictionary.prepare_to(&x, &y);
    let mean = |rows: &[f64], d: usize, i: usize| rows.iter().skip(i).step_by(d).sum::<f64>() / n as f64;
    let p = &dictionary.parameters().0;
    for (bias, row) in p[1].data.iter().zip(p[0].data.chunks_exact(d_in)) {
        let of_mean: f64 = row.iter().enumerate().map(|(i, w)| w * mean(&x, d_in, i)).sum();
        assert!((bias + of_mean).abs() < 1e-12 && of_mean.abs() > 1e-6);
        assert!(row.iter().all(|w| w.abs() <= 1.0 / 3.0));
    }
    let (mut codes, mut out, scratch) = (SparseCodes::default(), vec![0.0; n * d_out], Scratch::new());
    dictionary.encode(&x, &mut codes, &scratch);
    dictionary.reconstruct(&codes, &x, &mut out, Path::SPARSE, &scratch);
    assert!(
        codes.nnz() > n
            && out
                .iter()
                .enumerate()
                .all(|(i, o)| (o - mean(&y, d_out, i % d_out)).abs() < 1e-12)
    );
}

/// W' = W diag(g), b' = b + W β, the skip connection likewise: the same codes and the same ŷ.
#[test]
fn a_norms_gain_and_bias_are_taken_into_the_weights() {
    let (d_in, d_out, n) = (9, 7, 40);
    for kind in transcoders(at()) {
        let mut dictionary = Dictionary::<f64>::between(kind, (d_in, d_out), 30, 5);
        dictionary.update(|p| {
            for (tensor, seed) in p.0.iter_mut().zip(10..) {
                let by = numbers::<f64>(tensor.data.len(), seed);
                tensor.data.iter_mut().zip(by).for_each(|(x, by)| *x += 0.2 * by.abs());
            }
        });
        let (gain, bias) = (numbers::<f64>(d_in, 20), numbers::<f64>(d_in, 21));
        let x = numbers::<f64>(n * d_in, 22);
        let out = |dictionary: &Dictionary<f64>, x: &[f64]| {
            let (mut codes, mut out, scratch) = (SparseCodes::default(), vec![0.0; n * d_out], Scratch::new());
            dictionary.encode(x, &mut codes, &scratch);
            dictionary.reconstruct(&codes, x, &mut out, Path::SPARSE, &scratch);
            (codes.to_dense(), out)
        };
        for bias in [Some(&bias[..]), None] {
            let zeros = vec![0.0; d_in];
            let behind: Vec<f64> = x
                .chunks_exact(d_in)
                .flat_map(|row| row.iter().zip(&gain).zip(bias.unwrap_or(&zeros)).map(|((x, g), b)| x * g + b))
                .collect();
            let (expected, found) = (
                out(&dictionary, &behind),
                out(&dictionary.clone().before_gain(&gain, bias), &x),
            );
            assert!(expected.0.iter().filter(|c| **c > 0.0).count() > n);
            for (a, b) in [(expected.0, found.0), (expected.1, found.1)] {
                assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12), "{}", kind.name());
            }
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let place = Place::new();
    let refused = |config: &TrainConfig, from: &[Option<std::path::PathBuf>], expected: &str| {
        let error = place.run_from("refused", config, from, 1, &mut Watch::default()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(expected), "{message}");
    };
    let mut config = of_kind(transcoders(HookPoint::resid_pre(0))[0]);
    config.dictionaries[0].kind = transcoders(HookPoint::resid_pre(2))[0];
    refused(
        &config,
        &[],
        "blocks.2.hook_resid_pre, which comes after blocks.1.hook_mlp_out",
    );

    // there is no gated transcoder
    let mut config = of_kind(transcoders(HookPoint::block(1, Site::ResidMid))[0]);
    config.dictionaries.truncate(1);
    place.run("made", &config, 1, &mut Watch::default()).unwrap();
    let file = place.folder.path().join("made/dictionary-0.safetensors");
    config.dictionaries[0].origin = Origin::Derived {
        from: api::DictionaryId(1),
        by: PostHoc::RescaleShift,
    };
    refused(&config, &[Some(file)], "of a transcoder dictionary, which has no such form");
}
