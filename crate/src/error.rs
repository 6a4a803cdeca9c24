//! The one error type: each variant names the thing and the numbers, and has a stable code.

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, in words a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing `path` failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder that was touched.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    // image
    // index, format, library, store
    // encoder
}

impl Error {
    /// A stable name for programs: what JavaScript's `error.code` and `--json` carry.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } => "io",
            // image
            // index, format, library, store
            // encoder
        }
    }
}
