//! The one wrapper around fetched data: loading, failed (with a way to try again), loaded.
//! Empty is what the loaded view says when its list is empty.

use api::{ApiError, ErrorKind};
use leptos::{either::EitherOf3, prelude::*};
use serde::{Serialize, de::DeserializeOwned};

use super::ErrorView;

#[derive(Clone, PartialEq)]
enum Stage {
    Loading,
    Failed(ApiError),
    Loaded,
}

/// Shows `children` of what `resource` brings. The view is built once and then kept current through its signal,
/// so that what is open, focused or typed in it survives a refresh.
#[component]
pub fn Fetched<T, V>(
    /// What is fetched.
    resource: Resource<Result<T, ApiError>>,
    /// The view of what was fetched.
    children: impl Fn(Memo<T>) -> V + Clone + Send + Sync + 'static,
) -> impl IntoView
where
    T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    V: IntoView + 'static,
{
    let skeleton = || view! { <div class="skeleton" aria-busy="true" aria-label="Loading"></div> };
    view! {
        <Transition fallback=skeleton>
            {
                let stage = Memo::new(move |before: Option<&Stage>| {
                    let was_loaded = matches!(before, Some(Stage::Loaded));
                    resource
                        .with(|fetched| match fetched {
                            None if was_loaded => Stage::Loaded,
                            None => Stage::Loading,
                            Some(Ok(_)) => Stage::Loaded,
                            // the frame says that the server does not answer; what was loaded stays readable
                            Some(Err(error)) if was_loaded && error.kind == ErrorKind::Unreachable => Stage::Loaded,
                            Some(Err(error)) => Stage::Failed(error.clone()),
                        })
                });
                let children = children.clone();
                move || match stage.get() {
                    Stage::Loading => EitherOf3::A(skeleton()),
                    Stage::Failed(error) => {
                        EitherOf3::B(view! { <ErrorView error retry=Callback::new(move |()| resource.refetch()) /> })
                    }
                    Stage::Loaded => {
                        // inside a Transition even an untracked read subscribes: without `untrack` every refetch
                        // would build the view anew, and what is typed in it would be lost
                        let loaded = move || untrack(|| resource.with_untracked(|fetched| fetched.clone().and_then(Result::ok)));
                        EitherOf3::C(loaded().map(|first| {
                            let newest = move || resource.with(|fetched| fetched.clone().and_then(Result::ok));
                            children(Memo::new(move |before: Option<&T>| {
                                newest().or_else(|| before.cloned()).unwrap_or_else(|| first.clone())
                            }))
                        }))
                    }
                }
            }
        </Transition>
    }
}
