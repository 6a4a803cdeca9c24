//! From a number of rows to the code that is made for it.

/// Calls a tile of 1 to `MR` rows, which are listed; the row count is known to the compiler.
macro_rules! by_rows {
    ($rows:expr, $tile:ident, $args:tt, [$($n:literal)*]) => {
        match $rows { $($n => by_rows!(@ $tile, $n, $args),)* _ => unreachable!("tiles have 1 to {MR} rows") }
    };
    (@ $tile:ident, $n:literal, ($($arg:expr),*)) => { $tile::<$n>($($arg),*) };
}
