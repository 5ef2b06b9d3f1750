//! A question's answer on its run's page.

use api::{Answer, AskConfig, DictionaryId, Job, JobState, Question};
use leptos::{either::EitherOf4, prelude::*};

use super::{AnswerCompare, AnswerProbe, AnswerTokens, Fetched};
use crate::{client, format::count, link};

/// What was asked, and what was answered once the job is done.
#[component]
pub fn AskRun(
    /// The question.
    config: AskConfig,
    /// Its job.
    #[prop(into)]
    job: Signal<Job>,
) -> impl IntoView {
    let id = job.with_untracked(|job| job.id);
    let is_done = Memo::new(move |_| job.with(|job| job.state == JobState::Done));
    let answer = Resource::new(
        move || is_done.get(),
        move |is_done| async move {
            match is_done {
                true => client::answer(&id).await.map(Some),
                false => Ok(None),
            }
        },
    );
    let file = client::answer_file(&id);
    let view = move |answer: Option<Answer>| match answer {
        None => EitherOf4::A(view! { <p class="empty">"The answer stands here when the job is done."</p> }),
        Some(Answer::Tokens(answer)) => EitherOf4::B(view! { <AnswerTokens answer /> }),
        Some(Answer::Compare(answer)) => EitherOf4::C(view! { <AnswerCompare answer /> }),
        Some(Answer::Probe(answer)) => EitherOf4::D(view! { <AnswerProbe answer /> }),
    };
    view! {
        <section aria-labelledby="answer">
            <h2 id="answer">"The answer"</h2>
            <p class="tools">
                <span>{asked(&config.question)} " " <Named dictionaries=config.dictionaries.clone() /></span>
                {move || is_done.get().then(|| view! {
                    // a file, not a page of this site's
                    <a class="push" href=file.clone() rel="external" download="" data-testid="answer-csv">"CSV"</a>
                })}
            </p>
            <Fetched resource=answer let:answer>{move || view(answer.get())}</Fetched>
        </section>
    }
    .into_any()
}

fn asked(question: &Question) -> String {
    match question {
        Question::Tokens(_) => "The tokens whose next one is predicted worst with".into(),
        Question::Compare => "The decoders of".into(),
        Question::Probe(probe) => format!("The texts in {}, split with seed {}, and", probe.data, count(probe.seed)),
    }
}

/// The dictionaries as links.
#[component]
pub fn Named(
    /// Their numbers.
    dictionaries: Vec<DictionaryId>,
) -> impl IntoView {
    let one = |(index, id): (usize, DictionaryId)| {
        let between = if index == 0 { "" } else { " " };
        view! { {between} <a href=link::dictionary(&id)>"#" {id.to_string()}</a> }
    };
    dictionaries.into_iter().enumerate().map(one).collect_view().into_any()
}
