//! What the index asks for.

use super::super::FAST_SCAN_MOST;
use super::{Kernels, Numbers, assert_close, scalar, tables};

/// Lengths around every lane and tile boundary.
const LENGTHS: &[usize] = &[
    0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 255, 256, 511, 512, 1000,
];

#[test]
fn dot_products_and_distances_agree_with_scalar() {
    let mut numbers = Numbers(1);
    for table in tables() {
        for &len in LENGTHS {
            let (a, b) = (numbers.floats(len, 2.0), numbers.floats(len, 2.0));
            let bound = 4.0 * len as f32 * f32::EPSILON * 8.0;
            let got = [table.dot_f32(&a, &b), table.l2_squared_f32(&a, &b)];
            let want = [scalar().dot_f32(&a, &b), scalar().l2_squared_f32(&a, &b)];
            assert_close(
                table.name(),
                &format!("dot, l2 of {len}"),
                &got,
                &want,
                bound,
            );
        }
    }
}

#[test]
fn integer_kernels_agree_to_the_bit() {
    let mut numbers = Numbers(2);
    for table in tables() {
        for &len in LENGTHS {
            let (a, b) = (numbers.int8(len), numbers.int8(len));
            assert_eq!(
                table.dot_i8(&a, &b),
                scalar().dot_i8(&a, &b),
                "{} {len}",
                table.name()
            );
            let low = vec![-128i8; len];
            assert_eq!(
                table.dot_i8(&low, &low),
                16384 * len as i32,
                "{} -128 x {len}",
                table.name()
            );
            let words =
                |numbers: &mut Numbers| (0..len).map(|_| numbers.next()).collect::<Vec<_>>();
            let (x, y) = (words(&mut numbers), words(&mut numbers));
            assert_eq!(
                table.hamming_u64(&x, &y),
                scalar().hamming_u64(&x, &y),
                "{}",
                table.name()
            );
            assert_eq!(
                table.hamming_u64(&vec![0; len], &vec![u64::MAX; len]),
                64 * len as u32
            );
        }
    }
}

#[test]
fn overlaps_agree_to_the_bit() {
    let mut numbers = Numbers(12);
    for table in tables() {
        for words in (1..40).chain([64, 100, 513]) {
            let query: Vec<u64> = (0..words).map(|_| numbers.next()).collect();
            let mut rows: Vec<u64> = (0..7 * words).map(|_| numbers.next()).collect();
            rows[..words].fill(0);
            rows[words..2 * words].fill(u64::MAX);
            let (mut got, mut want) = ([1; 7], [2; 7]);
            table.overlaps_u64(&rows, &query, &mut got);
            scalar().overlaps_u64(&rows, &query, &mut want);
            assert_eq!(got, want, "{} {words}", table.name());
            assert_eq!(got[0], 0);
            assert_eq!(
                got[1],
                query.iter().map(|word| word.count_ones()).sum::<u32>()
            );
            let full = vec![u64::MAX; words];
            table.overlaps_u64(&rows[words..2 * words], &full, &mut got[..1]);
            assert_eq!(got[0], 64 * words as u32, "{} {words}", table.name());
            table.overlaps_u64(&[], &query, &mut []);
        }
    }
}

#[test]
fn look_ups_and_rows_agree_to_the_bit() {
    let mut numbers = Numbers(9);
    for table in tables() {
        for &dim in &LENGTHS[1..] {
            let codes = numbers.int8(7 * dim);
            let query: Vec<i16> = (0..dim)
                .map(|_| (numbers.next() % 8191) as i16 - 4095)
                .collect();
            let ids = [3, 0, 6, 6, 1, 2, 5, 4, 3];
            let [mut got, mut want] = [[0; 9]; 2];
            table.dot_i8_rows(&codes, &query, &ids, &mut got);
            scalar().dot_i8_rows(&codes, &query, &ids, &mut want);
            assert_eq!(got, want, "{} {dim}", table.name());
        }
        for pairs in [2, 4, 6, 64, 128] {
            let bytes = |numbers: &mut Numbers, len| {
                (0..len)
                    .map(|_| (numbers.next() >> 40) as u8)
                    .collect::<Vec<_>>()
            };
            let (codes, mut tables) = (
                bytes(&mut numbers, 3 * 32 * pairs),
                bytes(&mut numbers, 32 * pairs),
            );
            tables
                .iter_mut()
                .for_each(|number| *number &= FAST_SCAN_MOST);
            let blocks = [2, 0, 1, 1, 2];
            let [mut got, mut want] = [[0; 160]; 2];
            table.fast_scan(&codes, &tables, &blocks, &mut got);
            scalar().fast_scan(&codes, &tables, &blocks, &mut want);
            assert_ne!(got[..32], got[32..64], "blocks that differ");
            assert_eq!(got, want, "{} {pairs}", table.name());
            for first in [32, 96] {
                let mut some = vec![0; first];
                table.fast_scan(&codes, &tables, &blocks, &mut some);
                assert_eq!(some, want[..first], "{} {pairs}", table.name());
            }
            let (all, most) = (vec![255; 32 * pairs], vec![FAST_SCAN_MOST; 32 * pairs]);
            let mut sums = [0; 32];
            table.fast_scan(&all, &most, &[0], &mut sums);
            assert_eq!(sums, [(254 * pairs) as u16; 32], "{} {pairs}", table.name());
        }
        for subspaces in [4, 12, 256] {
            let (query, codebook) = (
                numbers.floats(2 * subspaces, 1.0),
                numbers.floats(32 * subspaces, 1.0),
            );
            let found = |table: &Kernels| {
                let (mut products, mut extents) =
                    (vec![[0.0; 16]; subspaces], vec![[0.0; 2]; subspaces]);
                let mut bytes = vec![0; 16 * subspaces];
                table.look_ups(&query, &codebook, &mut products, &mut extents);
                table.look_up_bytes(&products, &extents, 20.0, &mut bytes);
                (products, extents, bytes)
            };
            let (products, extents, bytes) = found(table);
            assert!(bytes.contains(&0) && bytes.iter().any(|byte| *byte > 9));
            let [low, high] = extents[1];
            assert!(products[1].iter().all(|x| (low..=high).contains(x)) && low < high);
            assert_eq!(
                (products, extents, bytes),
                found(scalar()),
                "{}",
                table.name()
            );
        }
        for subspaces in [1, 4, 300] {
            let points = numbers.floats(2 * subspaces, 1.0);
            let mut centres = numbers.floats(32 * subspaces, 1.0);
            // Of two that are the same the first one is.
            (centres[9], centres[25]) = (centres[4], centres[20]);
            let sets = centres.as_chunks::<16>().0.as_chunks::<2>().0;
            for sets in [sets, &sets[..1]] {
                let [mut got, mut want] = [vec![0; subspaces], vec![0; subspaces]];
                table.nearest_of_16(points.as_chunks().0, sets, &mut got);
                scalar().nearest_of_16(points.as_chunks().0, sets, &mut want);
                assert_eq!(got, want, "{} {subspaces}", table.name());
                assert!(got[0] != 9 && got.iter().all(|nearest| *nearest < 16));
            }
        }
        for least in [0u16, 1, 7, 255, 256, 32_768, 65_535] {
            let sums = std::array::from_fn(|row| match row % 5 {
                0 => least,
                1 => least.wrapping_sub(1),
                2 => (row * 257) as u16,
                3 => 65_535 - row as u16,
                _ => 0,
            });
            let (got, want) = (
                table.at_least(&sums, least),
                scalar().at_least(&sums, least),
            );
            assert_eq!(got, want, "{} {least}", table.name());
            let bit = |row: usize| got >> row & 1 == 1;
            assert!((0..32).all(|row| bit(row) == (sums[row] >= least)));
        }
    }
}
