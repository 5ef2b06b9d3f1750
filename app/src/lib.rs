//! The page, rendered on the server and in the browser, and its charts.

pub mod charts;
