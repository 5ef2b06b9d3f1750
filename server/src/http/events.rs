//! What happens, as server-sent events: one stream per page. The registry is asked once for all streams, because other
//! processes change it too.

use api::{ApiError, Event, JobId, JobState};
use axum::{
    Router,
    extract::State,
    response::sse::{self, KeepAlive, Sse},
    routing::get,
};
use futures::{Stream, StreamExt as _, stream};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{Revision, Store, StoreError};
use tokio::{
    sync::{broadcast, watch},
    time::MissedTickBehavior,
};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use super::{AppState, error::Failure};
use crate::workspace::Workspace;

/// How often the registry is asked whether something changed.
const EVERY: Duration = Duration::from_millis(300);

/// Events that a slow stream may lag behind before it is told to look anew.
const CAPACITY: usize = 256;

/// Where streams subscribe.
#[derive(Clone)]
pub struct Events {
    sender: broadcast::Sender<Event>,
}

impl Events {
    /// Starts to watch the registry, until `shutdown` is true.
    pub fn watch(workspace: Arc<Workspace>, mut shutdown: watch::Receiver<bool>) -> Self {
        let (sender, _) = broadcast::channel(CAPACITY);
        let events = Self { sender: sender.clone() };
        tokio::spawn(async move {
            tokio::select! {
                () = poll(&workspace.store, &sender) => {}
                _ = shutdown.wait_for(|down| *down) => {}
            }
        });
        events
    }
}

async fn poll(store: &Store, sender: &broadcast::Sender<Event>) {
    let mut watcher = Watcher::default();
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        match watcher.look(store).await {
            Ok(events) => {
                for event in events {
                    let _ = sender.send(event); // no page is open
                }
            }
            Err(error) => tracing::warn!("cannot ask the registry what changed: {error}"),
        }
    }
}

/// What was seen last.
#[derive(Default)]
struct Watcher {
    seen: Option<Revision>,
    /// Points in the histories of the jobs that run.
    running: BTreeMap<JobId, usize>,
}

impl Watcher {
    /// What changed since the last look; the first look only takes the present state in.
    async fn look(&mut self, store: &Store) -> Result<Vec<Event>, StoreError> {
        let now = store.revision().await?;
        if self.seen == Some(now) {
            return Ok(Vec::new());
        }
        let is_first = self.seen.is_none();
        let before = self.seen.unwrap_or_default();
        let mut events = Vec::new();
        let mut ended = Vec::new();
        if now.jobs != before.jobs || is_first {
            for job in store.changed_jobs(before.jobs).await? {
                match job.state {
                    JobState::Running => {
                        self.running.entry(job.id).or_insert(0);
                    }
                    _ => ended.push(job.id),
                }
                events.push(Event::Job { job: Box::new(job) });
            }
        }
        if now.history != before.history || is_first {
            for (&job, known) in &mut self.running {
                let n_points = store.n_history(job).await?;
                if n_points != *known {
                    *known = n_points;
                    events.push(Event::History { job, n_points });
                }
            }
        }
        if now.registry != before.registry {
            events.push(Event::Registry);
        }
        // only now, so that the last points of a job that ended were told
        self.running.retain(|id, _| !ended.contains(id));
        self.seen = Some(now);
        Ok(if is_first { Vec::new() } else { events })
    }
}

pub fn router() -> Router<AppState> {
    Router::new().route("/events", get(stream))
}

/// What happens, as server-sent events. First comes an event for each job that waits or runs.
#[utoipa::path(get, path = "/api/events",
    responses((status = 200, content_type = "text/event-stream", body = Event), (status = "default", body = ApiError)))]
pub async fn stream(State(state): State<AppState>) -> Result<Sse<impl Stream<Item = Result<sse::Event, axum::Error>>>, Failure> {
    let live = BroadcastStream::new(state.events.sender.subscribe()); // before the jobs are read, so that none is missed
    let jobs = state.workspace.store.jobs().await?;
    let open = jobs
        .into_iter()
        .filter(|job| !job.state.is_final())
        .map(|job| Event::Job { job: Box::new(job) });
    let events = stream::iter(open).chain(live.map(|event| match event {
        Ok(event) => event,
        // events were dropped because the page was slow: it has to ask anew
        Err(BroadcastStreamRecvError::Lagged(_)) => Event::Registry,
    }));
    let mut shutdown = state.shutdown;
    let events = events
        .map(|event| sse::Event::default().json_data(event))
        .take_until(async move { drop(shutdown.wait_for(|down| *down).await) });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}
