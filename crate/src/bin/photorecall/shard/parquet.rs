//! Embeddings as Parquet, for anything else that wants them.
//!
//! ```text
//! message photo { path, digest, width, height, taken?, embedding: LIST<FLOAT> }    in the plan's order
//! ```
//! Uncompressed: vectors do not get smaller.

use std::fs::File;
use std::sync::Arc;

use anyhow::Context;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use photorecall::library::Photo;

const SCHEMA: &str = "message photo {
    required binary path (UTF8);
    required binary digest (UTF8);
    required int32 width;
    required int32 height;
    optional binary taken (UTF8);
    required group embedding (LIST) { repeated group list { required float element; } }
}";
/// Rows that are written together.
const GROUP_ROWS: usize = 4096;

/// Writes rows as they come.
pub struct Embeddings {
    writer: SerializedFileWriter<File>,
    photos: Vec<Photo>,
    vectors: Vec<f32>,
}

impl Embeddings {
    pub fn new(file: File) -> anyhow::Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = WriterProperties::builder()
            .set_created_by(concat!("photorecall ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_dictionary_enabled(false)
            .build();
        Ok(Self {
            writer: SerializedFileWriter::new(file, schema, Arc::new(properties))?,
            photos: Vec::new(),
            vectors: Vec::new(),
        })
    }

    pub fn push(&mut self, photo: &Photo, vector: &[f32]) -> anyhow::Result<()> {
        self.photos.push(photo.clone());
        self.vectors.extend_from_slice(vector);
        match self.photos.len() >= GROUP_ROWS {
            true => self.write(),
            false => Ok(()),
        }
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let (photos, vectors) = (
            std::mem::take(&mut self.photos),
            std::mem::take(&mut self.vectors),
        );
        if photos.is_empty() {
            return Ok(());
        }
        let text = |of: fn(&Photo) -> &str| -> Vec<ByteArray> {
            photos.iter().map(|photo| of(photo).into()).collect()
        };
        let number = |of: fn(&Photo) -> u32| -> Vec<i32> {
            photos.iter().map(|photo| of(photo) as i32).collect()
        };
        let taken = photos.iter().filter_map(|photo| photo.taken.as_deref());
        let taken: Vec<ByteArray> = taken.map(ByteArray::from).collect();
        let is_there: Vec<i16> = photos
            .iter()
            .map(|photo| i16::from(photo.taken.is_some()))
            .collect();
        let dim = vectors.len() / photos.len();
        // A list's first element begins it, the others go on.
        let goes_on: Vec<i16> = (0..vectors.len())
            .map(|at| i16::from(at % dim != 0))
            .collect();
        let there = vec![1; vectors.len()];
        let mut group = self.writer.next_row_group()?;
        column::<ByteArrayType>(&mut group, &text(|photo| &photo.path), None)?;
        column::<ByteArrayType>(&mut group, &text(|photo| &photo.digest), None)?;
        column::<Int32Type>(&mut group, &number(|photo| photo.width), None)?;
        column::<Int32Type>(&mut group, &number(|photo| photo.height), None)?;
        column::<ByteArrayType>(&mut group, &taken, Some((&is_there, None)))?;
        column::<FloatType>(&mut group, &vectors, Some((&there, Some(&goes_on))))?;
        group.close()?;
        Ok(())
    }

    /// Writes what waits and the end; the file.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.write()?;
        self.writer.finish()?;
        Ok(())
    }
}

type Levels<'a> = Option<(&'a [i16], Option<&'a [i16]>)>;

/// Writes the next column; `levels` are Dremel's definition and repetition levels.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: Levels<'_>,
) -> anyhow::Result<()> {
    let mut column = group
        .next_column()?
        .context("the schema has more columns")?;
    let (defined, repeated) = levels.unzip();
    column
        .typed::<T>()
        .write_batch(values, defined, repeated.flatten())?;
    column.close()?;
    Ok(())
}
