//! The tokens that dictionaries fail on: each in its context, what is lost red and what is won blue.

use api::{LostToken, NearToken, TokenOrder, TokensAnswer};
use leptos::prelude::*;

use super::MetricName;
use crate::format::{count, number};

/// Up to this many dictionaries each has a column of its own.
const FEW: usize = 6;

/// Steps of the colour.
const N_STEPS: usize = 6;

/// The table, sortable by either loss.
#[component]
pub fn AnswerTokens(
    /// The answer.
    answer: TokensAnswer,
) -> impl IntoView {
    let words = summary(&answer);
    let by = RwSignal::new(answer.by);
    let of = answer.dictionaries.clone();
    let columns = (2..=FEW).contains(&of.len());
    let most = answer
        .rows
        .iter()
        .filter_map(|row| row.least(TokenOrder::CeIncrease))
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    let rows = StoredValue::new(answer.rows);
    let sorted = move || {
        let by = by.get();
        let mut rows = rows.get_value();
        // what has no value comes last
        let key = |row: &LostToken| row.least(by).unwrap_or(f64::NEG_INFINITY);
        rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
        rows.into_iter().map(|row| line(row, most, columns)).collect_view().into_any()
    };
    let head = move |order: TokenOrder, name: &'static str| {
        let is_it = move || by.get() == order;
        let metric = api::metric(name);
        view! {
            <th scope="col" aria-sort=move || is_it().then_some("descending")>
                <span class="sorted">
                    {metric.map(|metric| view! { <MetricName metric place="tokens" /> })}
                    <button type="button" class="sort" aria-label=format!("sort by {order}") data-testid=format!("sort-{order}")
                        on:click=move |_| by.set(order)>{move || if is_it() { "↓" } else { "↕" }}</button>
                </span>
                <span class="unit">{if of.len() > 1 { "least of all, nats" } else { "nats" }}</span>
            </th>
        }
        .into_any()
    };
    let names = answer.dictionaries.iter().filter(|_| columns);
    let named =
        names.map(|id| view! { <th scope="col">"CE increase of #" {id.to_string()}<span class="unit">"nats"</span></th> });
    let named = named.collect_view().into_any();
    view! {
        <p>{words}</p>
        <div class="table-box lost" tabindex="0" role="region" aria-label="tokens">
            <table>
                <thead>
                    <tr>
                        <th scope="col" class="words">"the token in its context, and the next one"</th>
                        {head(TokenOrder::CeIncrease, "ce_increase")} {head(TokenOrder::Kl, "kl_div_with_sae")}
                        <th scope="col">"CE of the model"<span class="unit">"nats"</span></th>
                        {named}
                    </tr>
                </thead>
                <tbody>{sorted}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn summary(answer: &TokensAnswer) -> String {
    let (n, shown) = (answer.n_rows, answer.rows.len() as u64);
    let by = match answer.by {
        TokenOrder::CeIncrease => "CE increase",
        TokenOrder::Kl => "KL",
    };
    let what = match answer.dictionaries.len() {
        1 => format!("the largest {by}"),
        n => format!("the largest {by} that every one of {n} dictionaries has at least"),
    };
    let rest = match n == shown {
        true => String::new(),
        false => format!("; the first {} stand here, all in the CSV", count(shown)),
    };
    format!("Of {} tokens, the {} with {what}{rest}.", count(answer.n_tokens), count(n))
}

fn line(row: LostToken, most: f64, columns: bool) -> impl IntoView {
    let increase = row.least(TokenOrder::CeIncrease);
    let own = increase.map(|increase| colour(increase, most)).unwrap_or_default();
    let place = format!("context {}, position {}", row.context, row.position);
    let at = row.at as usize;
    let has_next = row.around.len() > at + 1;
    let cell = |value: Option<f64>| value.map(number).unwrap_or_default();
    let near = |(index, token): (usize, NearToken)| {
        let mut class = token.increase.map(|increase| colour(increase, most)).unwrap_or_default();
        if index == at {
            class += " at";
        } else if index == at + 1 {
            class += " next";
        }
        let said = token.increase.map(|increase| format!("CE increase {}", number(increase)));
        view! { <span class=class title=said>{shown(&token.text)}</span> }
    };
    let around = row.around.into_iter().enumerate().map(near).collect_view().into_any();
    let each = columns.then(|| {
        let values = row.kl.iter().enumerate().map(|(k, _)| row.ce_increase.get(k).copied());
        values.map(|value| view! { <td>{cell(value)}</td> }).collect_view()
    });
    view! {
        <tr data-testid="token-row" data-ce=increase.map(|value| value.to_string()) data-kl=row.kl.iter().copied().reduce(f64::min).map(|value| value.to_string())>
            <td class="words context" title=place>
                {around}
                {(!has_next).then(|| view! { <span class="unit">" (the context's end)"</span> })}
            </td>
            <td class=own>{cell(increase)}</td>
            <td>{cell(row.kl.iter().copied().reduce(f64::min))}</td>
            <td>{cell(row.ce_loss_without_sae)}</td>
            {each}
        </tr>
    }
    .into_any()
}

/// The class of a colour: how much is lost or won, in steps of the most. (The page's policy allows no inline style.)
fn colour(increase: f64, most: f64) -> String {
    let share = if most > 0.0 { increase.abs() / most } else { 0.0 };
    let step = (share * N_STEPS as f64).round().clamp(0.0, N_STEPS as f64) as usize;
    match (step, increase > 0.0) {
        (0, _) => String::new(),
        (step, true) => format!("lost-{step}"),
        (step, false) => format!("won-{step}"),
    }
}

/// Text in which line breaks can be seen.
fn shown(text: &str) -> String {
    text.replace('\n', "⏎").replace('\t', "⇥")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_red_and_what_is_won_is_blue() {
        assert_eq!([3.0, 1.5, 0.3].map(|loss| colour(loss, 3.0)), ["lost-6", "lost-3", "lost-1"]);
        // more than the most of the rows' own is the darkest, next to nothing has no colour
        assert_eq!([-4.0, -0.9, -0.01].map(|loss| colour(loss, 3.0)), ["won-6", "won-2", ""]);
        assert_eq!((colour(0.0, 3.0), colour(0.0, 0.0)), (String::new(), String::new()));
    }
}
