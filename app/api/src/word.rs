//! Closed sets as words: how an enum prints and parses on the command line, in forms and in URLs.

/// `Display` and `FromStr` of an enum; an unknown word is refused with those that are known.
macro_rules! words {
    ($type:ident, $field:literal, $($word:literal => $value:expr),+ $(,)?) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $(if *self == $value { return f.write_str($word); })+
                Ok(())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::ConfigError;

            fn from_str(text: &str) -> Result<Self, $crate::ConfigError> {
                match text {
                    $($word => Ok($value),)+
                    other => Err($crate::ConfigError::new(
                        $field,
                        format!("unknown value '{other}'; expected one of {}", [$($word),+].join(", ")),
                    )),
                }
            }
        }
    };
}

pub(crate) use words;
