//! What the server tells while the page is open: one event stream, shared by every view through a context.

use std::collections::BTreeMap;

use api::{Event, Job, JobId};
use leptos::prelude::*;

use crate::client::{self, Heard};

/// The newest that was heard. Copied freely: it holds signals.
#[derive(Clone, Copy)]
pub struct Live {
    jobs: RwSignal<BTreeMap<JobId, Job>>,
    points: RwSignal<BTreeMap<JobId, usize>>,
    registry: RwSignal<u32>,
    lost: RwSignal<bool>,
}

/// Puts [`Live`] in the context and, in the browser, begins to listen.
pub fn provide() {
    let live = Live {
        jobs: RwSignal::default(),
        points: RwSignal::default(),
        registry: RwSignal::new(0),
        lost: RwSignal::new(false),
    };
    provide_context(live);
    // effects run in the browser only, and after the page is hydrated
    Effect::new(move |_| client::listen(move |heard| live.hear(heard)));
}

/// The page's [`Live`]. Panics outside [`crate::App`], which provides it.
pub fn live() -> Live {
    expect_context()
}

impl Live {
    /// A number that changes whenever lists should be fetched again. Tracked.
    pub fn version(self) -> u32 {
        self.registry.get()
    }

    /// Whether the stream is broken at the moment. Tracked.
    pub fn is_lost(self) -> bool {
        self.lost.get()
    }

    /// How many points the job's curves have, as far as was heard. Tracked.
    pub fn n_points(self, job: &JobId) -> Option<usize> {
        self.points.with(|points| points.get(job).copied())
    }

    /// The job as it is now: as heard, else as it was fetched. Tracked.
    pub fn job(self, fetched: Job) -> Job {
        self.jobs.with(|jobs| jobs.get(&fetched.id).cloned()).unwrap_or(fetched)
    }

    /// Fetched jobs as they are now, with those that appeared since, newest first. Tracked.
    pub fn jobs(self, fetched: &[Job]) -> Vec<Job> {
        self.jobs.with(|heard| merged(fetched, heard))
    }

    fn hear(self, heard: Heard) {
        match heard {
            Heard::Open => {
                self.lost.set(false);
                self.jobs.update(BTreeMap::clear);
                self.registry.update(|n| *n += 1);
            }
            Heard::Lost => self.lost.set(true),
            Heard::Event(Event::Job { job }) => self.jobs.update(|jobs| {
                jobs.insert(job.id, *job);
            }),
            Heard::Event(Event::History { job, n_points }) => self.points.update(|points| {
                points.insert(job, n_points);
            }),
            Heard::Event(Event::Registry) => self.registry.update(|n| *n += 1),
        }
    }
}

fn merged(fetched: &[Job], heard: &BTreeMap<JobId, Job>) -> Vec<Job> {
    let mut all: BTreeMap<&JobId, &Job> = fetched.iter().map(|job| (&job.id, job)).collect();
    all.extend(heard);
    let mut jobs: Vec<Job> = all.into_values().cloned().collect();
    jobs.sort_by_key(|job| (job.state.is_final(), std::cmp::Reverse(job.id.0)));
    jobs
}
