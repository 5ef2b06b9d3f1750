//! The migrations, as the build script found them in `migrations/`.

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// All of them, in order. Names and checksums are what sqlx makes of such files: registries know them.
pub fn migrator() -> Migrator {
    let migration = |&(number, words, sql): &(i64, &'static str, &'static str)| {
        let alone = sql.starts_with("-- no-transaction"); // sqlx's mark of a migration that begins its own
        Migration::new(number, words.into(), MigrationType::Simple, sql.into_sql_str(), alone)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_knows_the_migrations_as_before() {
        let migrator = migrator();
        let first = migrator.iter().next().unwrap();
        assert_eq!((first.version, &*first.description), (1, "registry"));
        assert_eq!(hex::encode(&first.checksum), CHECKSUM);
        assert!(
            migrator
                .iter()
                .zip(1..)
                .all(|(migration, number)| migration.version == number)
        );
    }

    /// SHA-384 of `0001_registry.sql`, as registries of released programs hold it.
    const CHECKSUM: &str = "df3a7d921ed5bd50f45a0adf8dc5c11281139fa4a52b4527dd0e5e9f1f6fc2c130b20dd693c0fce5b4cd7e545fdc20f4";
}
