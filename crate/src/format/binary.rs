//! Vectors of bits under ids ⇄ bytes: a container of containers, one for each part.

use super::collection::{Meta, json, metric_in, name_in, name_of, parsed};
use super::read::damaged;
use super::{Container, Kind, Writer};
use super::{bytes_of_f32, bytes_of_u32, bytes_of_u64, f32_of, u32_of, u64_of};
use crate::error::Result;
use crate::index::{
    BinaryCollection, BinaryLists, BinaryMetric, BinaryPart, BinaryPlan, BinaryRows, Bitset,
};

/// A binary collection's bytes.
pub fn write_binary(collection: &BinaryCollection) -> Vec<u8> {
    let meta = Meta {
        dim: collection.dim(),
        metric: name_in(&BinaryMetric::NAMES, collection.metric()),
        next: collection.next(),
        parts: collection.parts().len(),
    };
    let mut writer = Writer::new(Kind::Binary).section("meta", json(&meta));
    for (at, part) in collection.parts().iter().enumerate() {
        writer = writer.section(&name_of(at), write_part(part));
    }
    writer.finish()
}

/// The binary collection in `bytes`; `name` is told in errors.
///
/// # Errors
/// As [`Container::open`]; also when the parts do not fit together.
pub fn read_binary(name: &str, bytes: &[u8]) -> Result<BinaryCollection> {
    let container = Container::open(name, Kind::Binary, bytes)?;
    let meta: Meta = parsed(name, container.section("meta")?)?;
    let metric = metric_in(name, &BinaryMetric::NAMES, &meta.metric)?;
    let mut parts = Vec::new();
    for at in 0..meta.parts {
        parts.push(read_part(name, meta.dim, container.section(&name_of(at))?)?);
    }
    BinaryCollection::from_parts(meta.dim, metric, meta.next, parts)
        .ok_or_else(|| damaged(name, "its parts do not fit together"))
}

fn write_part(part: &BinaryPart) -> Vec<u8> {
    let mut writer = Writer::new(Kind::BinaryPart)
        .section("ids", bytes_of_u32(&part.ids))
        .section("removed", bytes_of_u64(part.removed.words()))
        .section("bits", bytes_of_u64(part.rows.words()));
    if let Some(lists) = &part.lists {
        writer = writer
            .section("c_bits", bytes_of_u64(lists.centroids.words()))
            .section("lists", bytes_of_u32(&lists.starts))
            .section("plan", bytes_of_f32(&[lists.plan.fast, lists.plan.high]));
    }
    writer.finish()
}

fn read_part(name: &str, dim: usize, bytes: &[u8]) -> Result<BinaryPart> {
    let container = Container::open(name, Kind::BinaryPart, bytes)?;
    let ids = u32_of(container.section("ids")?).ok_or_else(|| damaged(name, "its ids"))?;
    let removed = u64_of(container.section("removed")?)
        .and_then(|words| Bitset::from_words(words, ids.len()))
        .ok_or_else(|| damaged(name, "its removed rows"))?;
    let rows = |section: &str| -> Result<BinaryRows> {
        u64_of(container.section(section)?)
            .and_then(|words| BinaryRows::from_words(dim, words))
            .ok_or_else(|| damaged(name, "its bits"))
    };
    let lists = |plan: &[u8]| -> Result<BinaryLists> {
        let starts = u32_of(container.section("lists")?);
        let starts = starts.ok_or_else(|| damaged(name, "its lists"))?;
        let numbers = f32_of(plan).unwrap_or_default();
        let [fast, high] = numbers[..] else {
            return Err(damaged(name, "its plan"));
        };
        let plan = BinaryPlan { fast, high };
        Ok(BinaryLists::new(rows("c_bits")?, starts, plan))
    };
    Ok(BinaryPart {
        rows: rows("bits")?,
        lists: container.section("plan").ok().map(lists).transpose()?,
        ids,
        removed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Recall;
    use crate::kernels::Kernels;

    /// Vectors of 40 bits, in lists and flat, two of them removed.
    fn filled(metric: BinaryMetric) -> BinaryCollection {
        let (mut collection, mut state) = (
            BinaryCollection::new(40, metric).expect("a multiple of eight"),
            1u32,
        );
        let bytes: Vec<u8> = (0..2100 * 5)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        collection.add(&bytes).expect("vectors");
        collection.remove(5);
        collection.compact();
        collection.add(&bytes[..10]).expect("vectors");
        collection.remove(2100);
        collection
    }

    #[test]
    fn what_is_written_is_read() {
        for metric in [
            BinaryMetric::Hamming,
            BinaryMetric::Tanimoto,
            BinaryMetric::Superstructure,
        ] {
            let collection = filled(metric);
            let read = read_binary("b", &write_binary(&collection)).expect("whole");
            assert_eq!(read, collection);
            let find = |of: &BinaryCollection| {
                of.search(&[255; 5], 9, None, Recall::Fast, Kernels::best())
                    .expect("a query")
            };
            assert_eq!(find(&read), find(&collection));
        }
        let empty = BinaryCollection::new(8, BinaryMetric::Jaccard).expect("a multiple of eight");
        assert_eq!(
            read_binary("b", &write_binary(&empty)).expect("whole"),
            empty
        );
    }

    /// 2,100 vectors of 32 bits by Jaccard that version 5 wrote, in lists, and two of them again; one was removed.
    #[test]
    fn what_version_5_wrote_is_read_and_found() {
        let old = include_bytes!("../../../tests/data/binary-5");
        let collection = read_binary("b", old).expect("whole");
        assert_eq!(collection.metric(), BinaryMetric::Jaccard);
        assert_eq!((collection.len(), collection.next()), (2101, 2102));
        assert_eq!(collection.vector(5), None);
        let query: Vec<u8> = (57 * 4..58 * 4)
            .map(|at| (at * at * 5 % 251) as u8)
            .collect();
        assert_eq!(collection.vector(57).as_ref(), Some(&query));
        let hits = collection.search(&query, 3, None, Recall::High, Kernels::best());
        let hits = hits.expect("a query");
        let ids: Vec<u32> = hits.iter().map(|hit| hit.id).collect();
        assert_eq!(ids, [57, 308, 559], "they are the same");
        assert!(hits.iter().all(|hit| hit.score == 0.0));
        let again = read_binary("b", &write_binary(&collection)).expect("whole");
        assert_eq!(again, collection);
    }

    #[test]
    fn a_flipped_bit_a_cut_or_parts_that_do_not_fit_are_found() {
        let bytes = write_binary(&filled(BinaryMetric::Hamming));
        for at in (0..bytes.len()).step_by(bytes.len() / 97) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(read_binary("b", &flipped).is_err(), "byte {at}");
            assert!(read_binary("b", &bytes[..at]).is_err(), "cut at {at}");
        }
        let collection = filled(BinaryMetric::Hamming);
        for next in [0, 2101] {
            let parts = collection.parts().to_vec();
            let short = BinaryCollection::from_parts(40, BinaryMetric::Hamming, next, parts);
            assert_eq!(short, None);
        }
        let mut parts = collection.parts().to_vec();
        parts[0].lists.as_mut().expect("lists").starts.pop();
        let cut = BinaryCollection::from_parts(40, BinaryMetric::Hamming, 2102, parts);
        assert_eq!(cut, None);
        assert_eq!(
            BinaryRows::from_words(40, vec![1 << 40]),
            None,
            "a bit past the end"
        );
    }
}
