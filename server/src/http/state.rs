//! What every handler has.

use std::sync::Arc;
use tokio::sync::watch;

use super::{Access, Events};
use crate::workspace::Workspace;

/// What every handler has; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The data folder, the models in memory, the threads.
    pub workspace: Arc<Workspace>,
    /// What happens, for the event streams.
    pub events: Events,
    /// What it takes to change something; the guards around the routes ask it.
    pub access: Access,
    /// Becomes true when the server goes down.
    pub shutdown: watch::Receiver<bool>,
}
