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

    /// The bytes are a kind of image that is not decoded.
    #[error("{format} is not a format that can be read here; convert it to JPEG, PNG or WebP")]
    UnsupportedFormat {
        /// The format's usual name.
        format: &'static str,
    },
    /// The bytes are no image that is known.
    #[error("not an image: {len_bytes} bytes without the signature of a known format")]
    NotAnImage {
        /// How many bytes there were.
        len_bytes: usize,
    },
    /// Decoded pixels that are not as many as their sides say.
    #[error("{width} x {height} pixels of four bytes are not {found} bytes")]
    Pixels {
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
        /// Bytes.
        found: usize,
    },
    /// The image is larger than the limits allow.
    #[error("the image's {what} of {found} are more than the limit of {limit}")]
    ImageTooLarge {
        /// `bytes`, `pixels` or `bytes of memory`.
        what: &'static str,
        /// What the file claims.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The image is broken.
    #[cfg(feature = "photos")]
    #[error("broken {format}: {source}")]
    BrokenImage {
        /// The format's usual name.
        format: &'static str,
        /// What the decoder said.
        source: ::image::ImageError,
    },
    /// Writing a small JPEG failed.
    #[cfg(feature = "photos")]
    #[error("the thumbnail could not be written: {source}")]
    Thumbnail {
        /// What the encoder said.
        source: ::image::ImageError,
    },

    /// A model's manifest cannot be used.
    #[error("model manifest: {reason}")]
    Manifest {
        /// What is wrong, and where.
        reason: String,
    },
    /// A model's file is not what its manifest says.
    #[error(
        "model file {file}: {what} {found}, its manifest says {expected}; fetch or build it again"
    )]
    ModelFile {
        /// The file's name in the model's folder.
        file: String,
        /// `bytes` or `sha256`.
        what: &'static str,
        /// What the manifest says.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A model's graph could not be loaded or run.
    #[error("model graph {file}: {reason}")]
    Graph {
        /// The ONNX file.
        file: String,
        /// What the engine said.
        reason: String,
    },
    /// Words were asked for, but the model only knows images.
    #[error(
        "the model {model} has no text tower: search with a photo, or take a model that has one"
    )]
    NoTextTower {
        /// The model's name.
        model: String,
    },
    /// The vocabulary's file is broken.
    #[error("vocabulary {file}: {source}")]
    Vocabulary {
        /// The file's name in the model's folder.
        file: String,
        /// What the tokenizer said.
        source: std::io::Error,
    },

    /// Stored bytes are damaged.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// `manifest`, or a segment's name.
        what: String,
        /// What does not fit.
        reason: &'static str,
    },
    /// Stored bytes come from a newer version of this software.
    #[error(
        "{what} has format version {found}; this version reads up to {supported}: update Photorecall"
    )]
    NewerVersion {
        /// `manifest`, or a segment's name.
        what: String,
        /// The version in the file.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// Embeddings of two models never mix.
    #[error("the library was filled by {library}, not by {model}: use that model, or index again")]
    ModelMismatch {
        /// The library's model: name and digest.
        library: String,
        /// The other model: name and digest.
        model: String,
    },
    /// An embedding of a wrong length.
    #[error("an embedding of {found} dimensions, {expected} are needed")]
    Dimension {
        /// The library's.
        expected: usize,
        /// The embedding's.
        found: usize,
    },
    /// An embedding with an infinite or undefined value, or of length zero.
    #[error("the embedding has no direction: a value is not finite, or all are zero")]
    NoDirection,
    /// A vector so long that its distances are beyond what is computed with.
    #[error("a vector of length 10^{found} or more; those up to 10^{most} can be compared")]
    TooLong {
        /// The vector's, as a power of ten.
        found: i32,
        /// The most, as a power of ten.
        most: i32,
    },
    /// A query that cannot be understood.
    #[error("the query, at character {}: {problem}", at + 1)]
    Query {
        /// Characters before the place.
        at: usize,
        /// What is wrong there.
        problem: QueryProblem,
    },
    /// The place of a page that no search has given.
    #[error("not a place where a page of results ended: take `next` as it was given")]
    Cursor,
    /// The store has no file of that name.
    #[error("{name} is missing")]
    Missing {
        /// A segment's name.
        name: String,
    },
    /// Another process writes to the library.
    #[error("{path} is being written by another process ({holder}); try again when it is done")]
    Locked {
        /// The library's folder.
        path: String,
        /// What is known of the other process.
        holder: String,
    },
    /// A Milvus server is not there, or said no.
    #[error("Milvus at {uri}: {reason}")]
    Milvus {
        /// The server's address.
        uri: String,
        /// What it said, and to what.
        reason: String,
    },
    /// A collection that is not what was asked for.
    #[error("collection {collection}: {reason}")]
    Collection {
        /// Its name.
        collection: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A search that a Milvus server cannot answer as the library itself does.
    #[error("{what} cannot be asked of Milvus: {reason}")]
    NotInMilvus {
        /// The filter or the option.
        what: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A search that needs all of a library of which only ranges are read.
    #[error(
        "{what} needs every photo's record, and this library is read in parts: search by words or photos alone"
    )]
    NotByRanges {
        /// The filter or the option.
        what: &'static str,
    },
    /// The browser gives no more storage.
    #[error(
        "the browser gives this page no more storage: nothing of the change was kept ({reason})"
    )]
    Quota {
        /// What the browser said.
        reason: String,
    },
    /// The browser's storage failed.
    #[error("IndexedDB: {reason}")]
    IndexedDb {
        /// What the browser said.
        reason: String,
    },
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryProblem {
    /// A filter that is not known.
    #[error(
        "no filter `{name}`; there are album, box, camera, date, folder, has, height, is, near, path, \
         size, tag, type, width (put words with a colon in quotes)"
    )]
    UnknownFilter {
        /// As it was written, in lower case.
        name: String,
    },
    /// A filter's value that does not fit.
    #[error("`{value}` does not fit `{filter}:`, which takes {expected}")]
    BadValue {
        /// The filter's name.
        filter: &'static str,
        /// As it was written.
        value: String,
        /// What would fit.
        expected: &'static str,
    },
    /// `and` or `or` with something beside it that is no filter.
    #[error(
        "`{word}` joins filters, and has none on one side (put it in quotes to look for the word)"
    )]
    NothingToJoin {
        /// As it was written.
        word: String,
    },
    /// Words where only filters can be.
    #[error("words among the filters between parentheses: only filters can be joined there")]
    WordsAmongFilters,
    /// A quote that does not end.
    #[error("the quote that begins here is not closed")]
    OpenQuote,
    /// A parenthesis that does not end.
    #[error("the parenthesis that begins here is not closed")]
    OpenParenthesis,
    /// More parentheses in one another than anybody means.
    #[error("the parentheses are too deep")]
    TooDeep,
}

impl Error {
    /// A stable name for programs: what JavaScript's `error.code` and `--json` carry.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } => "io",
            Error::UnsupportedFormat { .. } => "unsupported_format",
            Error::NotAnImage { .. } => "not_an_image",
            Error::Pixels { .. } => "bad_argument",
            Error::ImageTooLarge { .. } => "image_too_large",
            #[cfg(feature = "photos")]
            Error::BrokenImage { .. } => "broken_image",
            #[cfg(feature = "photos")]
            Error::Thumbnail { .. } => "thumbnail",
            Error::Manifest { .. } => "model_manifest",
            Error::ModelFile { .. } => "model_file",
            Error::Graph { .. } => "model_graph",
            Error::NoTextTower { .. } => "no_text_tower",
            Error::Vocabulary { .. } => "vocabulary",
            Error::Damaged { .. } => "damaged",
            Error::NewerVersion { .. } => "newer_version",
            Error::ModelMismatch { .. } => "model_mismatch",
            Error::Dimension { .. } => "dimension",
            Error::NoDirection => "no_direction",
            Error::TooLong { .. } => "bad_argument",
            Error::Query { .. } => "query",
            Error::Cursor => "cursor",
            Error::Missing { .. } => "missing",
            Error::Locked { .. } => "locked",
            Error::Milvus { .. } => "milvus",
            Error::Collection { .. } => "collection",
            Error::NotInMilvus { .. } => "not_in_milvus",
            Error::NotByRanges { .. } => "not_by_ranges",
            Error::Quota { .. } => "quota",
            Error::IndexedDb { .. } => "indexed_db",
        }
    }
}
