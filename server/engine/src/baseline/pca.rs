//! Principal components (Cunningham et al. 2023, section 4.1; `sparse_coding`'s `autoencoders/pca.py`): the directions of the four
//! forms. Three go through the origin, as there; there, though, they take the covariance's directions without taking the mean from x.
//! Here they are those of E[x xᵀ], of which the first k give the best linear reconstruction of rank k (Eckart and Young 1936).

use api::DictionaryKind;

use super::{Moments, both_signs, to_f32};
use crate::{
    dictionary::{Dictionary, Projection},
    kernel::symmetric_eigen,
};

/// The first `n` directions of E[x xᵀ], or both signs of them.
pub fn through_origin(moments: &Moments, kind: DictionaryKind, n: usize, signs: bool) -> Dictionary<f32> {
    let d = moments.d();
    let vectors = symmetric_eigen(moments.second_moment(), d).vectors;
    let mut rows = to_f32(&vectors[..n * d]);
    if signs {
        rows = both_signs(rows);
    }
    Dictionary::Projection(Projection::new(kind, rows.clone(), rows, vec![0.0; d]))
}

/// Both signs of all directions of the covariance, around the mean: x̂ = x.
pub fn around_mean(moments: &Moments, kind: DictionaryKind) -> Dictionary<f32> {
    let vectors = symmetric_eigen(moments.covariance(), moments.d()).vectors;
    let rows = both_signs(to_f32(&vectors));
    Dictionary::Projection(Projection::new(kind, rows.clone(), rows, to_f32(&moments.mean())))
}
