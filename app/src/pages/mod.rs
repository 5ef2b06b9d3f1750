//! A file per route.

mod dictionary;
mod methods;
mod not_found;
mod overview;
mod pareto;
mod run;
mod runs;
mod train;

pub use dictionary::Dictionary;
pub use methods::Methods;
pub use not_found::NotFound;
pub use overview::Overview;
pub use pareto::Pareto;
pub use run::Run;
pub use runs::Runs;
pub use train::Train;
