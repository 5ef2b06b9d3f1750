//! The files of the page.

/// Whether the page was built into this binary.
pub fn is_built() -> bool {
    false
}
