//! What users of a collection of bits see, against the definitions themselves.

use super::*;
use crate::index::random::Random;

const DIM: usize = 168;
const ALL: [BinaryMetric; 5] = [
    BinaryMetric::Hamming,
    BinaryMetric::Jaccard,
    BinaryMetric::Tanimoto,
    BinaryMetric::Substructure,
    BinaryMetric::Superstructure,
];

/// Sparse sets in clusters, as fingerprints of molecules are; every twentieth has few bits.
fn prints(rows: usize, seed: u64) -> Vec<u8> {
    let mut world = Random(3);
    let middles: Vec<Vec<usize>> = (0..50)
        .map(|_| (0..40).map(|_| world.below(DIM)).collect())
        .collect();
    let mut random = Random(seed);
    let mut vectors = Vec::new();
    for row in 0..rows {
        let middle = &middles[random.below(middles.len())];
        let mut one = [0u8; DIM / 8];
        let share = if row % 20 == 0 { 2 } else { 8 };
        for bit in middle
            .iter()
            .filter(|_| random.below(10) < share)
            .copied()
            .collect::<Vec<_>>()
        {
            one[bit / 8] |= 1 << (bit % 8);
        }
        for _ in 0..3 {
            let bit = random.below(DIM);
            one[bit / 8] |= 1 << (bit % 8);
        }
        vectors.extend(one);
    }
    vectors
}

fn of(vectors: &[u8], id: usize) -> &[u8] {
    &vectors[id * DIM / 8..][..DIM / 8]
}

/// A metric's definition, bit by bit.
fn distance(metric: BinaryMetric, query: &[u8], vector: &[u8]) -> f32 {
    let bits = |x: &[u8]| -> Vec<bool> {
        (0..8 * x.len())
            .map(|at| x[at / 8] >> (at % 8) & 1 == 1)
            .collect()
    };
    let (q, x) = (bits(query), bits(vector));
    let count = |keep: &dyn Fn(bool, bool) -> bool| {
        q.iter().zip(&x).filter(|(q, x)| keep(**q, **x)).count() as f64
    };
    let (both, either) = (count(&|q, x| q && x), count(&|q, x| q || x));
    let jaccard = if both == 0.0 {
        1.0
    } else {
        1.0 - both / either
    };
    let inside = |misses: f64| if misses == 0.0 { 0.0 } else { f64::INFINITY };
    (match metric {
        BinaryMetric::Hamming => count(&|q, x| q != x),
        BinaryMetric::Jaccard => jaccard,
        BinaryMetric::Tanimoto => -(1.0 - jaccard).log2(),
        BinaryMetric::Substructure => inside(count(&|q, x| q && !x)),
        BinaryMetric::Superstructure => inside(count(&|q, x| x && !q)),
    }) as f32
}

/// All of `ids` that can be found, best first.
fn truth(metric: BinaryMetric, vectors: &[u8], query: &[u8], ids: &[u32]) -> Vec<Hit> {
    let hit = |id: &u32| Hit {
        id: *id,
        score: -distance(metric, query, of(vectors, *id as usize)),
    };
    let found = |hit: &Hit| metric.is_ranked() || hit.score == 0.0;
    measured(ids.iter().map(hit).filter(found).collect())
}

fn close(found: &[Hit], want: &[Hit], what: &str) {
    assert_eq!(found.len(), want.len(), "{what}");
    for (found, want) in found.iter().zip(want) {
        let off = found.score - want.score;
        assert!(
            found.id == want.id && (off.is_nan() || off.abs() < 1e-6),
            "{what}: {found:?}, not {want:?}"
        );
    }
}

fn filled(metric: BinaryMetric, vectors: &[u8]) -> BinaryCollection {
    let mut collection = BinaryCollection::new(DIM, metric).expect("a multiple of eight");
    collection.add(vectors).expect("whole vectors");
    collection
}

/// A query of each metric that has answers: parts of vectors, and vectors with more.
fn asked(metric: BinaryMetric, vectors: &[u8], at: usize) -> Vec<u8> {
    let own = of(vectors, at * 40).to_vec();
    match metric {
        BinaryMetric::Substructure => own
            .iter()
            .enumerate()
            .map(|(byte, x)| if byte % 3 == 0 { *x } else { 0 })
            .collect(),
        BinaryMetric::Superstructure => {
            let more = &vectors[at * DIM / 8..][..8 * DIM / 8];
            let mut all = own;
            for (at, byte) in more.iter().enumerate() {
                all[at % (DIM / 8)] |= byte;
            }
            all
        }
        _ => own,
    }
}

#[test]
fn each_metric_finds_what_its_definition_says_flat_in_lists_filtered_and_within_a_limit() {
    let vectors = prints(4000, 1);
    let other = prints(4000, 2);
    for metric in ALL {
        let mut collection = filled(metric, &vectors);
        (0..4000)
            .step_by(9)
            .for_each(|id| assert!(collection.remove(id) && !collection.remove(id)));
        let all: Vec<u32> = (0..4000).filter(|id| id % 9 != 0).collect();
        let few: Vec<u32> = all.iter().copied().filter(|id| id % 7 == 0).collect();
        let mut some = Bitset::new(4000);
        (0..4000).step_by(7).for_each(|id| assert!(some.insert(id)));
        for form in ["flat", "lists"] {
            let mut answers = 0;
            for at in 0..20 {
                let query = asked(
                    metric,
                    if metric.is_ranked() { &other } else { &vectors },
                    at,
                );
                for (ids, allowed) in [(&all, None), (&few, Some(&some))] {
                    let what = format!("{metric:?}, {form}");
                    let truth = truth(metric, &vectors, &query, ids);
                    let found =
                        collection.search(&query, 10, allowed, Recall::Exact, Kernels::best());
                    close(
                        &found.expect("a query"),
                        &truth[..truth.len().min(10)],
                        &what,
                    );
                    answers += truth.len().min(10);
                    let limit = truth.get(15).map_or(0.0, |hit| hit.score);
                    let within: Vec<Hit> = truth
                        .iter()
                        .copied()
                        .filter(|hit| hit.score <= limit)
                        .collect();
                    let found = collection.range(&query, limit, allowed, Kernels::best());
                    close(&found.expect("a query"), &within, &what);
                }
            }
            assert!(answers > 100, "{metric:?}: {answers} answers tell little");
            collection.compact();
            assert!(matches!(collection.parts(), [part] if part.lists.is_some()));
        }
    }
}

#[test]
fn lists_hold_what_was_asked_for() {
    let (vectors, other) = (prints(6000, 1), prints(100, 2));
    let ids: Vec<u32> = (0..6000).collect();
    for metric in [
        BinaryMetric::Hamming,
        BinaryMetric::Jaccard,
        BinaryMetric::Tanimoto,
    ] {
        let mut collection = filled(metric, &vectors);
        collection.compact();
        let lists = collection.parts()[0].lists.as_ref().expect("lists");
        println!(
            "{metric:?}: {:?} of {} lists",
            lists.plan,
            lists.centroids.len()
        );
        assert!(lists.plan.high < 200.0);
        for (recall, least) in [(Recall::Fast, 0.95), (Recall::High, 0.99)] {
            let mut near = 0;
            for query in other.chunks_exact(DIM / 8) {
                let most = truth(metric, &vectors, query, &ids)[9].score;
                let found = collection
                    .search(query, 10, None, recall, Kernels::best())
                    .expect("a query");
                assert_eq!(found.len(), 10);
                near += found.iter().filter(|hit| hit.score <= most + 1e-6).count();
            }
            assert!(
                near as f64 >= least * 1000.0,
                "{metric:?}, {recall:?}: {near} of 1000"
            );
        }
    }
}

#[test]
fn ids_stay_through_growth_removal_and_compaction() {
    let vectors = prints(3000, 1);
    let mut collection = filled(BinaryMetric::Hamming, &vectors);
    collection.remove(7);
    collection.compact();
    let before = collection.bytes();
    assert!((3000 * 24..3000 * 50).contains(&before), "{before} bytes");
    collection.add(of(&vectors, 7)).expect("a vector");
    assert_eq!((collection.len(), collection.next()), (3000, 3001));
    assert!(collection.bytes() > before);
    let find = |collection: &BinaryCollection, id: usize| {
        let hits = collection.search(of(&vectors, id), 1, None, Recall::Exact, Kernels::best());
        let hit = hits.expect("a query")[0];
        (hit.score == 0.0).then_some(hit.id)
    };
    assert_eq!(find(&collection, 7), Some(3000));
    assert_eq!(
        (collection.vector(7), collection.vector(99)),
        (None, Some(of(&vectors, 99).to_vec()))
    );
    collection.compact();
    assert_eq!(
        (find(&collection, 7), find(&collection, 1234)),
        (Some(3000), Some(1234))
    );
    (0..3001).for_each(|id| _ = collection.remove(id));
    collection.compact();
    assert!(collection.is_empty() && collection.bytes() == 0);
    assert_eq!(
        collection
            .search(of(&vectors, 0), 5, None, Recall::Fast, Kernels::best())
            .expect("a query"),
        []
    );
}

#[test]
fn a_batch_answers_as_single_searches_do_on_every_table() {
    let vectors = prints(2500, 1);
    for metric in ALL {
        let mut collection = filled(metric, &vectors);
        collection.compact();
        let queries = &vectors[..5 * DIM / 8];
        for table in Kernels::available() {
            let batch = collection
                .search_batch(queries, 5, None, Recall::Fast, table)
                .expect("queries");
            for (query, found) in queries.chunks_exact(DIM / 8).zip(batch) {
                let alone = collection.search(query, 5, None, Recall::Fast, Kernels::best());
                assert_eq!(found, alone.expect("a query"), "{}", table.name());
            }
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused_and_nothing_is_added() {
    for dim in [0, 12, usize::MAX] {
        assert!(
            matches!(BinaryCollection::new(dim, BinaryMetric::Hamming), Err(Error::Dimension { found, .. }) if found == dim)
        );
    }
    let mut collection = filled(BinaryMetric::Jaccard, &[0; DIM / 8]);
    assert!(matches!(
        collection.add(&[0; DIM / 8 + 2]),
        Err(Error::Dimension {
            expected: DIM,
            found: 16
        })
    ));
    assert_eq!(collection.len(), 1);
    let short = collection.search(&[1; 5], 1, None, Recall::Fast, Kernels::best());
    assert!(matches!(short, Err(Error::Dimension { found: 40, .. })));
    let short = collection.range(&[1; 5], 1.0, None, Kernels::best());
    assert!(short.is_err());
    assert!(
        collection
            .search_batch(&[1; 5], 1, None, Recall::Fast, Kernels::best())
            .is_err()
    );
    let nothing = collection.range(&[1; DIM / 8], f32::NAN, None, Kernels::best());
    assert_eq!(nothing.expect("a query"), []);
    // Empty sets are as far apart as can be, as in Knowhere.
    let empty = collection.search(&[0; DIM / 8], 1, None, Recall::Fast, Kernels::best());
    assert_eq!(empty.expect("a query")[0].score, 1.0);
}
