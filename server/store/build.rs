//! Rebuilds when a migration is added: `sqlx::migrate!` itself only notices changes to those it knows.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
