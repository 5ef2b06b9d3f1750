//! A transcoder is a [`Coder`] between two widths, with a hook point and perhaps a skip connection. Its bias is never subtracted, and a
//! topk one keeps the lengths of its rows.

use api::HookPoint;

use super::coder::{Coder, Rule, scale, scale_rows, settings};
use crate::dictionary::{Among, Dictionary, Relu, TopK};

/// A transcoder in anybody's convention: ŷ = D c + W_skip x + b_dec, x [d_in] read at one hook point and ŷ [d_out] written at another.
/// `coder` is between the widths, and does not subtract b_dec.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcoder {
    /// Where it reads.
    pub read_at: HookPoint,
    /// W_skip [d_out, d_in], where there is a skip connection.
    pub w_skip: Option<Vec<f32>>,
    /// The rest.
    pub coder: Coder,
}

impl Transcoder {
    /// Ours.
    ///
    /// # Errors
    /// What cannot be said by any of our kinds, with the reason.
    pub fn into_dictionary(self) -> Result<Dictionary<f32>, String> {
        let Self {
            read_at,
            w_skip,
            mut coder,
        } = self;
        let lengths = coder.lengths();
        Ok(match coder.rule.clone() {
            Rule::Relu => {
                scale_rows(&mut coder.w_enc, &lengths);
                scale(&mut coder.b_enc, &lengths);
                coder.divide_decoder(&lengths);
                let relu = Relu::new(coder.w_enc, coder.b_enc, coder.w_dec, coder.b_dec).reading_at(read_at);
                Dictionary::Relu(if w_skip.is_some() { relu.skipping(w_skip) } else { relu })
            }
            Rule::Jump { threshold } => {
                let jump = coder.jump(threshold, &lengths).reading_at(read_at);
                Dictionary::JumpRelu(if w_skip.is_some() { jump.skipping(w_skip) } else { jump })
            }
            Rule::TopK { k } => {
                let settings = settings(k, Among::Token);
                let topk = TopK::new(settings, coder.w_enc, coder.b_enc, coder.w_dec, coder.b_dec).reading_at(read_at);
                Dictionary::TopK(if w_skip.is_some() { topk.skipping(w_skip) } else { topk })
            }
            Rule::Gated { .. } | Rule::AbsTopK { .. } | Rule::MatchingPursuit(_) | Rule::BatchTopK { .. } => {
                return Err("found a transcoder of another rule; expected relu, jumprelu or topk".into());
            }
        })
    }

    /// `dictionary`, which sees `scale` · x and writes `scale` · ŷ, in the model's units; none where it reads what it writes.
    ///
    /// # Errors
    /// As [`Coder::of`].
    pub fn of(dictionary: &Dictionary<f32>, factor: f64) -> Result<Option<Self>, String> {
        let Some(read_at) = dictionary.kind().read_at() else {
            return Ok(None);
        };
        Ok(Some(Self {
            read_at,
            w_skip: dictionary.skip().map(<[f32]>::to_vec),
            coder: Coder::of(dictionary, factor)?,
        }))
    }
}
