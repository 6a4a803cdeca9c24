//! Vectors under ids ⇄ bytes: a container of containers, one for each part.

use serde::{Deserialize, Serialize};

use super::read::damaged;
use super::vectors::{read_vectors, write_vectors};
use super::{Container, Form, Kind, Writer};
use super::{bytes_of_f32, bytes_of_u32, bytes_of_u64, f32_of, u32_of, u64_of};
use crate::error::Result;
use crate::index::{Bitset, Collection, Metric, Part, Space};

/// What a collection says of itself, in JSON; also one of bits.
#[derive(Serialize, Deserialize)]
pub(super) struct Meta {
    pub dim: usize,
    /// Its name; absent before version 5.
    #[serde(default)]
    pub metric: String,
    pub next: u32,
    pub parts: usize,
}

/// A metric's name.
pub(super) fn name_in<M: PartialEq>(known: &[(&str, M)], metric: M) -> String {
    let found = known.iter().find(|(_, known)| *known == metric);
    found.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// The metric of that name.
pub(super) fn metric_in<M: Copy>(what: &str, known: &[(&str, M)], name: &str) -> Result<M> {
    let found = known.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, metric)| *metric)
        .ok_or_else(|| damaged(what, "its metric"))
}

/// What a part says of itself, in JSON.
#[derive(Serialize, Deserialize)]
struct PartMeta {
    form: Form,
}

/// A collection's bytes.
pub fn write_collection(collection: &Collection) -> Vec<u8> {
    let meta = Meta {
        dim: collection.dim(),
        metric: name_in(&Metric::NAMES, collection.metric()),
        next: collection.next(),
        parts: collection.parts().len(),
    };
    let mut writer = Writer::new(Kind::Collection).section("meta", json(&meta));
    for (at, part) in collection.parts().iter().enumerate() {
        writer = writer.section(&name_of(at), write_part(part));
    }
    writer.finish()
}

/// The collection in `bytes`; `name` is told in errors.
///
/// # Errors
/// As [`Container::open`]; also when the parts do not fit together.
pub fn read_collection(name: &str, bytes: &[u8]) -> Result<Collection> {
    let container = Container::open(name, Kind::Collection, bytes)?;
    let meta: Meta = parsed(name, container.section("meta")?)?;
    let metric = match &meta.metric[..] {
        "" => Metric::Cosine,
        known => metric_in(name, &Metric::NAMES, known)?,
    };
    let mut parts = Vec::new();
    for at in 0..meta.parts {
        let part = container.section(&name_of(at))?;
        parts.push(read_part(name, (metric, meta.dim), part)?);
    }
    Collection::from_parts(meta.dim, metric, meta.next, parts)
        .ok_or_else(|| damaged(name, "its parts do not fit together"))
}

fn write_part(part: &Part) -> Vec<u8> {
    let meta = PartMeta {
        form: Form::of(&part.vectors),
    };
    let mut writer = Writer::new(Kind::Part)
        .section("meta", json(&meta))
        .section("ids", bytes_of_u32(&part.ids))
        .section("removed", bytes_of_u64(part.removed.words()));
    if part.space != Space::default() {
        let space = [&[part.space.scale], &part.space.origin[..]].concat();
        writer = writer.section("space", bytes_of_f32(&space));
    }
    write_vectors(writer, &part.vectors).finish()
}

fn read_part(name: &str, (metric, dim): (Metric, usize), bytes: &[u8]) -> Result<Part> {
    let container = Container::open(name, Kind::Part, bytes)?;
    let meta: PartMeta = parsed(name, container.section("meta")?)?;
    let ids = u32_of(container.section("ids")?).ok_or_else(|| damaged(name, "its ids"))?;
    let removed = u64_of(container.section("removed")?)
        .and_then(|words| Bitset::from_words(words, ids.len()))
        .ok_or_else(|| damaged(name, "its removed rows"))?;
    let axes = match meta.form {
        Form::Flat => dim,
        Form::Compact => metric.axes(dim),
    };
    Ok(Part {
        vectors: read_vectors(name, meta.form, axes, &container)?,
        space: read_space(name, metric, &container)?,
        ids,
        removed,
    })
}

fn read_space(name: &str, metric: Metric, container: &Container<'_>) -> Result<Space> {
    if metric == Metric::Cosine {
        return Ok(Space::default());
    }
    let space = f32_of(container.section("space")?);
    let (scale, origin) = space
        .as_deref()
        .and_then(<[f32]>::split_first)
        .ok_or_else(|| damaged(name, "its space"))?;
    Ok(Space {
        scale: *scale,
        origin: origin.to_vec(),
    })
}

pub(super) fn name_of(part: usize) -> String {
    format!("part {part}")
}

pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("numbers and names are JSON")
}

pub(super) fn parsed<T: for<'a> Deserialize<'a>>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| damaged(name, "its account of itself"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Base, Recall, Vectors};
    use crate::kernels::Kernels;

    fn filled() -> Collection {
        filled_with(Metric::Cosine)
    }

    fn filled_with(metric: Metric) -> Collection {
        let collection = Collection::with_metric(24, metric);
        let (mut collection, mut state) = (collection.expect("a length"), 1u32);
        let vectors: Vec<f32> = (0..2100 * 24)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state as f32 / u32::MAX as f32 - 0.5
            })
            .collect();
        collection.add(&vectors).expect("vectors");
        collection.remove(5);
        collection.compact();
        collection.add(&vectors[..48]).expect("vectors");
        collection.remove(2100);
        collection
    }

    #[test]
    fn what_is_written_is_read() {
        for metric in [Metric::Cosine, Metric::Ip, Metric::L2] {
            let collection = filled_with(metric);
            let bytes = write_collection(&collection);
            assert_eq!(read_collection("c", &bytes).expect("whole"), collection);
        }
        let empty = Collection::new(3).expect("a length");
        assert_eq!(
            read_collection("c", &write_collection(&empty)).expect("whole"),
            empty
        );
    }

    /// 400 vectors of 24 axes that version 3 wrote, with a graph and codes based on the mean.
    #[test]
    fn what_version_3_wrote_is_read_and_found() {
        let old = include_bytes!("../../../tests/data/collection-3");
        let mut collection = read_collection("c", old).expect("whole");
        let Vectors::Compact(index) = &collection.parts()[0].vectors else {
            panic!("it was compact");
        };
        assert!(!index.parts().graph.is_empty() && index.parts().base == Base::Mean);
        let found = |collection: &Collection| {
            let query = collection.vector(57).expect("it was added");
            let hits = collection.search(&query, 5, None, Recall::Fast, Kernels::best());
            let hits = hits.expect("a query");
            hits.iter().map(|hit| hit.id).collect::<Vec<_>>()
        };
        assert_eq!(found(&collection), [57, 81, 189, 357, 165]);
        collection.compact();
        let again = read_collection("c", &write_collection(&collection)).expect("whole");
        assert_eq!(found(&again), [57, 81, 189, 357, 165]);
    }

    /// 300 vectors of 16 axes that version 4 wrote, compact, and two of them again.
    #[test]
    fn what_version_4_wrote_is_read_and_found() {
        let old = include_bytes!("../../../tests/data/collection-4");
        let collection = read_collection("c", old).expect("whole");
        assert_eq!(collection.metric(), Metric::Cosine);
        assert_eq!((collection.len(), collection.next()), (301, 302));
        let query = collection.vector(57).expect("it was added");
        let hits = collection.search(&query, 5, None, Recall::Fast, Kernels::best());
        let ids: Vec<u32> = hits.expect("a query").iter().map(|hit| hit.id).collect();
        assert_eq!(ids, [57, 180, 97, 205, 119]);
        let again = read_collection("c", &write_collection(&collection)).expect("whole");
        assert_eq!(again, collection);
    }

    /// 2,100 vectors of 8 axes by L2 that version 5 wrote, compact, and two of them again; one was removed.
    #[test]
    fn what_version_5_wrote_is_read_and_found() {
        let old = include_bytes!("../../../tests/data/collection-5");
        let collection = read_collection("c", old).expect("whole");
        assert_eq!(collection.metric(), Metric::L2);
        assert_eq!((collection.len(), collection.next()), (2101, 2102));
        assert_eq!(collection.vector(5), None);
        let query: Vec<f32> = (57 * 8..58 * 8)
            .map(|at| ((at * at * 7 + at * 3) % 1009) as f32 / 100.0)
            .collect();
        let hits = collection.search(&query, 4, None, Recall::Fast, Kernels::best());
        let hits = hits.expect("a query");
        let ids: Vec<u32> = hits.iter().map(|hit| hit.id).collect();
        assert_eq!(ids, [57, 1066, 2075, 201], "the first three are the same");
        assert!(hits[0].score < 1e-4 && (hits[3].score - 1.091).abs() < 0.01);
        let again = read_collection("c", &write_collection(&collection)).expect("whole");
        assert_eq!(again, collection);
    }

    /// A space that is not one, and none where one is needed.
    #[test]
    fn a_space_that_does_not_fit_is_refused() {
        for metric in [Metric::Ip, Metric::L2] {
            let collection = filled_with(metric);
            let mut parts = collection.parts().to_vec();
            parts[0].space.scale = 0.0;
            let broken = Collection::from_parts(24, metric, collection.next(), parts);
            assert_eq!(broken, None);
            let parts = filled().parts().to_vec();
            assert_eq!(Collection::from_parts(24, metric, 3000, parts), None);
        }
    }

    #[test]
    fn a_flipped_bit_or_a_cut_is_found() {
        let bytes = write_collection(&filled());
        for at in (0..bytes.len()).step_by(bytes.len() / 97) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(read_collection("c", &flipped).is_err(), "byte {at}");
            assert!(read_collection("c", &bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
