//! Compaction: many segments into few, without the deleted rows.

use super::Library;
use super::photos::Photos;
use super::places::Places;
use super::segment::Segment;
use crate::index::Vectors;

/// Rows of a segment that compaction writes, at most: what bounds its memory and its time.
const COMPACTED_ROWS: usize = 65_536;
/// Full but flat segments after which it is time to compact.
const FLAT_SEGMENTS: usize = 4;
/// Of so many rows one deleted is too many.
const DELETED_SHARE: usize = 4;

/// A row that stays: its segment and its place there.
type Row = (usize, usize);

impl Library {
    /// Whether [`Library::compact`] would pay: segments have piled up, or many rows are deleted.
    pub fn wants_compaction(&self) -> bool {
        let full = |segment: &&Segment| segment.is_full() && segment.vectors.mean().is_none();
        let rows: usize = self
            .segments
            .iter()
            .map(|segment| segment.photos.len())
            .sum();
        let deleted: usize = self
            .segments
            .iter()
            .map(|segment| segment.deleted.count())
            .sum();
        self.segments.iter().filter(full).count() >= FLAT_SEGMENTS || deleted * DELETED_SHARE > rows
    }

    /// Merges all segments into large ones without the deleted rows, and builds their compact indexes.
    /// A large segment without deleted rows is left as it is. Commit afterwards.
    pub fn compact(&mut self) {
        let done = |segment: &Segment| {
            segment.photos.len() == COMPACTED_ROWS
                && segment.vectors.mean().is_some()
                && segment.deleted.count() == 0
        };
        let (mut kept, old): (Vec<_>, Vec<_>) = std::mem::take(&mut self.segments)
            .into_iter()
            .partition(done);
        let rows: Vec<Row> = old
            .iter()
            .enumerate()
            .flat_map(|(at, segment)| segment.live_rows().map(move |row| (at, row)))
            .collect();
        // Frozen: a vector that was decoded is then encoded as it was.
        let mean = kept
            .iter()
            .chain(&old)
            .find_map(|segment| segment.vectors.mean());
        let mean = mean.map(<[f32]>::to_vec);
        for rows in rows.chunks(COMPACTED_ROWS) {
            kept.push(merged(&old, rows, self.model.dim, mean.as_deref()));
        }
        self.segments = kept;
        self.pending = None;
        self.changes += 1;
        self.places = Places::of(&self.segments);
    }
}

/// A segment of some rows of others.
fn merged(old: &[Segment], rows: &[Row], dim: usize, mean: Option<&[f32]>) -> Segment {
    let vector = |at: usize, out: &mut [f32]| {
        let (segment, row) = rows[at];
        old[segment].vectors.decode_into(row, out);
    };
    let (vectors, order) = Vectors::build(rows.len(), dim, mean, &vector);
    let mut photos = Photos::default();
    for at in order {
        let (segment, row) = rows[at as usize];
        photos.push_from(&old[segment].photos, row);
    }
    Segment::of(photos, vectors)
}
