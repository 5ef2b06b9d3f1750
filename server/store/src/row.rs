//! Structs that a row of a query is read into, a column for each field by its name.

/// Defines a struct that `sqlx::query_as` can read. sqlx has a derive for it, which compiles sqlx and SQLite itself a second time,
/// for the compiler to load.
macro_rules! row {
    ($(#[$about:meta])* $public:vis struct $name:ident { $($(#[$doc:meta])* $shown:vis $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        $public struct $name { $($(#[$doc])* $shown $field: $type,)* }

        impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for $name {
            fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: sqlx::Row::try_get(row, stringify!($field))?,)* })
            }
        }
    };
}
pub(crate) use row;
