//! How alike two dictionaries are: in a sentence, then in numbers, each beside what random directions give.

use api::{Compared, Comparison, Similarity};
use leptos::prelude::*;

use crate::{
    format::{count, number, percent},
    link,
};

/// What a row shows of a similarity.
type Of = fn(&Similarity) -> f64;

/// The answer.
#[component]
pub fn AnswerCompare(
    /// The answer.
    answer: Comparison,
) -> impl IntoView {
    let [a, b] = answer.of;
    let rows: [(String, Of); 5] = [
        (format!("MMCS, #{} to #{}", a.dictionary, b.dictionary), |s| s.mmcs),
        (format!("MMCS, #{} to #{}", b.dictionary, a.dictionary), |s| s.mmcs_back),
        ("Hungarian: mean cosine of pairs".into(), |s| s.hungarian),
        ("share of pairs above 0.9".into(), |s| s.above[0]),
        ("share of pairs above 0.7".into(), |s| s.above[1]),
    ];
    let row = |(name, of): (String, Of)| {
        view! {
            <tr data-testid="compare-row">
                <td class="wraps">{name}</td>
                <td>{number(of(&answer.found))}</td>
                <td>{number(of(&answer.null))}</td>
            </tr>
        }
        .into_any()
    };
    let alive = |of: Compared| {
        view! {
            <li>
                <a href=link::dictionary(&of.dictionary)>"#" {of.dictionary.to_string()}</a>
                ": " {count(of.n_alive)} " of " {count(of.n_features)} " features fire on " {count(of.n_tokens)} " tokens"
            </li>
        }
        .into_any()
    };
    view! {
        <p class="answer" data-testid="compare-answer">{sentence(&answer)}</p>
        <ul>{answer.of.map(alive).into_iter().collect_view()}</ul>
        <div class="table-box">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"figure"</th>
                        <th scope="col">"value"</th>
                        <th scope="col">"random directions"</th>
                    </tr>
                </thead>
                <tbody>{rows.map(row).into_iter().collect_view()}</tbody>
            </table>
        </div>
        <p class="hint">
            "MMCS: the mean, over the features of the first that fire, of the largest cosine with one of the second. Hungarian: each feature \
            of the smaller one has a partner of its own. The random directions stand in the place of the second's, as many in as many dimensions ("
            {count(answer.width)} ")."
        </p>
    }
    .into_any()
}

fn sentence(answer: &Comparison) -> String {
    let [a, b] = answer.of.map(|of| of.dictionary);
    let (found, null) = (&answer.found, &answer.null);
    format!(
        "Matched one to one, {} of the features of #{a} and #{b} are the same by a cosine above 0.9 ({} above 0.7); their mean cosine is {}, where \
         random directions have {}.",
        percent(found.above[0]),
        percent(found.above[1]),
        number(found.hungarian),
        number(null.hungarian)
    )
}
