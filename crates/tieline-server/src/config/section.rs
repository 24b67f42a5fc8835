//! Declares the options of a table: a typed struct, and the description of each option, from one list.

/// ```ignore
/// section! {
///     /// What the table is about.
///     pub(crate) struct Times in "times" {
///         ping_timeout: Duration = default_value,
///             "One sentence.", "What it costs, or what follows.",
///             flag: "ping-timeout";
///     }
/// }
/// ```
///
/// After the texts come fields of `Opt`. The struct gets `OPTIONS`, `read` and `changes`, and for tests its defaults.
macro_rules! section {
    (
        $(#[$doc:meta])*
        pub(crate) struct $name:ident in $section:literal {
            $($field:ident: $type:ty = $default:expr, $sentence:literal, $cost:literal
                $(, $key:ident: $value:expr)*;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        #[cfg(test)]
        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                }
            }
        }

        impl $name {
            pub(crate) const OPTIONS: &'static [$crate::config::option::Opt] = &[
                $($crate::config::option::Opt {
                    section: $section,
                    name: stringify!($field),
                    sentence: $sentence,
                    cost: $cost,
                    kind: $crate::config::option::Kind::of::<$type>(),
                    default: || <$type as $crate::config::option::Setting>::show(&$default),
                    $($key: $value,)*
                    ..$crate::config::option::Opt::BLANK
                },)*
            ];

            pub(crate) fn read(reader: &$crate::config::values::Reader<'_>) -> Self {
                let mut options = Self::OPTIONS.iter();
                Self {
                    // In the order of the list, as the fields are.
                    $($field: options
                        .next()
                        .and_then(|option| reader.read(option))
                        .unwrap_or_else(|| $default),)*
                }
            }

            /// The options whose values differ.
            pub(crate) fn changes(&self, other: &Self) -> Vec<&'static $crate::config::option::Opt> {
                let same = [$(self.$field == other.$field),*];
                let options = Self::OPTIONS.iter().zip(same);
                options.filter(|(_, same)| !same).map(|(option, _)| option).collect()
            }
        }
    };
}

pub(super) use section;
