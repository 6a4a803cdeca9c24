//! What users of a collection see.

use super::*;
use crate::index::random::Random;

const DIM: usize = 32;

fn filled(rows: usize) -> (Collection, Vec<f32>) {
    let mut random = Random(5);
    let vectors: Vec<f32> = (0..rows * DIM).map(|_| random.normal()).collect();
    let mut collection = Collection::new(DIM).expect("a length");
    collection.add(&vectors).expect("vectors");
    (collection, vectors)
}

fn found(collection: &Collection, query: &[f32], allowed: Option<&Bitset>) -> Vec<u32> {
    let hits = collection.search(query, 5, allowed, Recall::Exact, Kernels::best());
    hits.expect("a query").iter().map(|hit| hit.id).collect()
}

#[test]
fn ids_stay_through_removal_growth_and_compaction() {
    let (mut collection, vectors) = filled(3000);
    let of = |id: usize| &vectors[id * DIM..][..DIM];
    assert!(collection.remove(7) && !collection.remove(7) && !collection.remove(9999));
    collection.compact();
    collection.add(of(7)).expect("a vector");
    for id in [0, 1234, 2999] {
        assert_eq!(found(&collection, of(id), None)[0], id as u32);
    }
    assert_eq!(
        found(&collection, of(7), None)[0],
        3000,
        "the one added last"
    );
    assert_eq!((collection.len(), collection.next()), (3000, 3001));
    assert!(collection.remove(1234));
    collection.compact();
    assert_ne!(found(&collection, of(1234), None)[0], 1234);
    assert_eq!(collection.len(), 2999);
    assert_eq!(collection.vector(1234), None);
}

#[test]
fn only_what_is_allowed_is_found() {
    let (mut collection, vectors) = filled(2500);
    collection.compact();
    let mut allowed = Bitset::new(collection.next() as usize);
    for id in [3, 30, 300] {
        allowed.insert(id);
    }
    let mut ids = found(&collection, &vectors[..DIM], Some(&allowed));
    ids.sort_unstable();
    assert_eq!(ids, [3, 30, 300]);
}

/// Compact rows, rows beside them, and some of either removed.
fn mixed() -> (Collection, Vec<f32>) {
    let (mut collection, vectors) = filled(2600);
    collection.compact();
    collection.add(&vectors[..40 * DIM]).expect("vectors");
    for id in [3, 900, 2610] {
        assert!(collection.remove(id));
    }
    (collection, vectors)
}

#[test]
fn a_range_is_all_that_an_exhaustive_search_finds_down_to_its_score() {
    let (collection, vectors) = mixed();
    let mut allowed = Bitset::new(collection.next() as usize);
    (0..2640).filter(|id| id % 3 != 0).for_each(|id| {
        allowed.insert(id);
    });
    for (at, query) in vectors.chunks_exact(DIM).take(5).enumerate() {
        for allowed in [None, Some(&allowed)] {
            let all = collection.len();
            let all = collection.search(query, all, allowed, Recall::Exact, Kernels::best());
            let all = all.expect("a query");
            for least in [all[0].score, all[20].score, 0.3, -2.0, 2.0, f32::NAN] {
                let found = collection.range(query, least, allowed, Kernels::best());
                let enough = all.iter().take_while(|hit| hit.score >= least);
                let enough: Vec<Hit> = enough.copied().collect();
                assert_eq!(found.expect("a query"), enough, "query {at} from {least}");
            }
        }
    }
}

#[test]
fn a_batch_answers_as_single_searches_do() {
    let (collection, vectors) = mixed();
    let queries = &vectors[..50 * DIM];
    for (k, recall) in [(7, Recall::Fast), (30, Recall::High), (0, Recall::Exact)] {
        let together = collection.search_batch(queries, k, None, recall, Kernels::best());
        let single = |query| collection.search(query, k, None, recall, Kernels::best());
        let singly: Result<Vec<_>> = queries.chunks_exact(DIM).map(single).collect();
        assert_eq!(together.expect("queries"), singly.expect("queries"));
    }
    let none = collection.search_batch(&[], 5, None, Recall::Fast, Kernels::best());
    assert_eq!(none.expect("no queries"), Vec::<Vec<Hit>>::new());
}

#[test]
fn an_empty_collection_has_nothing_in_range() {
    let (mut collection, vectors) = filled(3);
    (0..3).for_each(|id| assert!(collection.remove(id)));
    let found = collection.range(&vectors[..DIM], -2.0, None, Kernels::best());
    assert_eq!(found.expect("a query"), []);
}

#[test]
fn what_cannot_be_compared_is_refused_and_nothing_is_added() {
    let (mut collection, _) = filled(3);
    let mut two = vec![1.0; 2 * DIM];
    two[DIM..].fill(0.0);
    assert!(matches!(collection.add(&two), Err(Error::NoDirection)));
    assert!(matches!(
        collection.add(&[1.0; 40]),
        Err(Error::Dimension {
            expected: DIM,
            found: 8
        })
    ));
    assert_eq!(collection.len(), 3);
    let query = [f32::NAN; DIM];
    let nothing = collection.search(&query, 1, None, Recall::Fast, Kernels::best());
    assert!(matches!(nothing, Err(Error::NoDirection)));
    let nothing = collection.range(&query, 0.0, None, Kernels::best());
    assert!(matches!(nothing, Err(Error::NoDirection)));
    let short = collection.range(&[1.0; 5], 0.0, None, Kernels::best());
    assert!(matches!(short, Err(Error::Dimension { found: 5, .. })));
    let batch = collection.search_batch(&[1.0; 40], 1, None, Recall::Fast, Kernels::best());
    assert!(matches!(batch, Err(Error::Dimension { found: 8, .. })));
    assert!(Collection::new(0).is_err());
}

/// Vectors in clusters, far from zero and of many lengths.
fn clustered(rows: usize, seed: u64) -> Vec<f32> {
    let mut world = Random(7);
    let middles: Vec<f32> = (0..40 * DIM).map(|_| 3.0 * world.normal()).collect();
    let mut random = Random(seed);
    let mut vectors = Vec::with_capacity(rows * DIM);
    for _ in 0..rows {
        let middle = &middles[random.below(40) * DIM..][..DIM];
        let stretch = 1.0 + 0.3 * random.normal().abs();
        vectors.extend(
            middle
                .iter()
                .map(|x| 20.0 + stretch * (x + 1.5 * random.normal())),
        );
    }
    vectors
}

/// The ids of `ids` from the best on, by the vectors themselves, and the values.
fn truth(metric: Metric, vectors: &[f32], query: &[f32], ids: &[u32]) -> Vec<Hit> {
    let value = |id: &u32| Hit {
        id: *id,
        score: metric.score(query, &vectors[*id as usize * DIM..][..DIM]),
    };
    let mut hits: Vec<Hit> = ids.iter().map(value).collect();
    hits.sort_by(Hit::order);
    hits
}

/// The share of the ten best that `found` has; their scores are the metric's own.
fn recall(metric: Metric, truth: &[Hit], found: &[Hit], what: &str) -> f32 {
    let k = truth.len().min(10);
    assert_eq!(found.len(), k, "{what}");
    for pair in found.windows(2) {
        let [a, b] = [pair[0], pair[1]].map(|hit| metric.signed(hit.score));
        assert!(a >= b, "{what}: best first");
    }
    let mut right = 0;
    for hit in found {
        let Some(true_hit) = truth.iter().find(|true_hit| true_hit.id == hit.id) else {
            panic!("{what}: {} takes no part", hit.id);
        };
        let (want, got) = (metric.signed(true_hit.score), hit.score);
        // Of distances about 100 and products about 10,000.
        assert!(
            (got - want).abs() < 0.5 + 5e-4 * want.abs(),
            "{what}: {got}, not {want}"
        );
        right += usize::from(truth[..k].iter().any(|best| best.id == hit.id));
    }
    right as f32 / k as f32
}

#[test]
fn every_metric_is_found_grown_and_compact_filtered_or_not() {
    let (rows, queries) = (4000, 60);
    let vectors = clustered(rows, 1);
    let asked = clustered(queries, 2);
    for metric in [Metric::Ip, Metric::L2] {
        let mut collection = Collection::with_metric(DIM, metric).expect("a length");
        let (first, rest) = vectors.split_at(1000 * DIM);
        collection.add(first).expect("vectors");
        rest.chunks_exact(DIM)
            .for_each(|one| collection.add(one).expect("a vector"));
        for id in (0..rows as u32).step_by(9) {
            assert!(collection.remove(id));
        }
        let some = {
            let mut set = Bitset::new(rows);
            (0..rows).step_by(7).for_each(|id| assert!(set.insert(id)));
            set
        };
        let live = |id: &u32| !id.is_multiple_of(9);
        let all: Vec<u32> = (0..rows as u32).filter(live).collect();
        let few: Vec<u32> = all
            .iter()
            .copied()
            .filter(|id| id.is_multiple_of(7))
            .collect();
        for form in ["flat", "compact"] {
            for (recall_asked, least) in [
                (Recall::Fast, 0.95),
                (Recall::High, 0.98),
                (Recall::Exact, 0.99),
            ] {
                let mut shares = [0.0; 2];
                for query in asked.chunks_exact(DIM) {
                    for (at, (ids, allowed)) in
                        [(&all, None), (&few, Some(&some))].into_iter().enumerate()
                    {
                        let found = collection
                            .search(query, 10, allowed, recall_asked, Kernels::best())
                            .expect("a query");
                        let what = format!("{metric:?}, {form}, {recall_asked:?}");
                        shares[at] +=
                            recall(metric, &truth(metric, &vectors, query, ids), &found, &what)
                                / queries as f32;
                    }
                }
                println!("{metric:?}, {form}, {recall_asked:?}: {shares:?}");
                assert!(
                    shares.iter().all(|share| *share >= least),
                    "{metric:?}, {form}, {recall_asked:?}: {shares:?}"
                );
            }
            if form == "flat" {
                collection.compact();
                assert!(
                    matches!(collection.parts(), [part] if matches!(part.vectors, crate::index::Vectors::Compact(_)))
                );
            }
        }
    }
}

#[test]
fn a_range_has_all_within_a_limit_in_the_metrics_own_units() {
    let vectors = clustered(3000, 1);
    let ids: Vec<u32> = (0..3000).collect();
    for metric in [Metric::Ip, Metric::L2] {
        let mut collection = Collection::with_metric(DIM, metric).expect("a length");
        collection.add(&vectors).expect("vectors");
        for form in ["flat", "compact"] {
            for query in clustered(20, 3).chunks_exact(DIM) {
                let truth = truth(metric, &vectors, query, &ids);
                let limit = metric.signed(truth[40].score);
                let found = collection
                    .range(query, limit, None, Kernels::best())
                    .expect("a query");
                let exact = collection.search(query, 3000, None, Recall::Exact, Kernels::best());
                let exact = exact.expect("a query");
                let within = |hit: &&Hit| metric.signed(hit.score) >= metric.signed(limit);
                let want: Vec<Hit> = exact.iter().filter(within).copied().collect();
                assert_eq!(found, want, "{metric:?}, {form}");
                assert!(
                    (38..=44).contains(&found.len()),
                    "{metric:?}, {form}: {}",
                    found.len()
                );
            }
            collection.compact();
        }
        let nothing = collection.range(&[1.0; DIM], f32::NAN, None, Kernels::best());
        assert_eq!(nothing.expect("a query"), []);
    }
}

#[test]
fn each_of_a_batch_is_as_it_is_alone_and_vectors_come_back() {
    let vectors = clustered(2500, 1);
    for metric in [Metric::Ip, Metric::L2] {
        let mut collection = Collection::with_metric(DIM, metric).expect("a length");
        collection.add(&vectors).expect("vectors");
        for _ in 0..2 {
            let own = &vectors[77 * DIM..][..DIM];
            let again = collection.vector(77).expect("it was added");
            let (off, size) = (Metric::L2.score(&again, own), Metric::Ip.score(own, own));
            assert!(-off < 1e-5 * size, "{off} of {size}");
            let queries = clustered(4, 9);
            let batch = collection.search_batch(&queries, 5, None, Recall::Fast, Kernels::best());
            for (query, found) in queries.chunks_exact(DIM).zip(batch.expect("queries")) {
                let alone = collection.search(query, 5, None, Recall::Fast, Kernels::best());
                assert_eq!(found, alone.expect("a query"));
            }
            let nearest = collection.search(own, 1, None, Recall::Exact, Kernels::best());
            if metric == Metric::L2 {
                let nearest = nearest.expect("a query")[0];
                assert!(
                    nearest.id == 77 && (0.0..0.1).contains(&nearest.score),
                    "{nearest:?}"
                );
            }
            collection.compact();
        }
    }
}

/// One after the other, from nothing known, over twelve orders of magnitude: rows that no part has room for
/// begin another.
#[test]
fn vectors_of_any_size_are_found() {
    let mut collection = Collection::with_metric(2, Metric::L2).expect("a length");
    let xs: Vec<f32> = (0..13).map(|power| 10f32.powi(power) - 1.0).collect();
    for x in &xs {
        collection.add(&[*x, 0.0]).expect("a vector");
    }
    for _ in 0..2 {
        for (id, x) in xs.iter().enumerate() {
            let found = collection.search(&[*x, 0.0], 1, None, Recall::Exact, Kernels::best());
            assert_eq!(found.expect("a query")[0].id as usize, id);
        }
        let far = collection.search(&[1e17, 0.0], 2, None, Recall::Exact, Kernels::best());
        assert_eq!(far.expect("a query").len(), 2);
    }
    let long = collection.add(&[1e30, 0.0]);
    assert!(matches!(long, Err(Error::TooLong { .. })));
    let odd = collection.add(&[f32::INFINITY, 0.0]);
    assert!(matches!(odd, Err(Error::NoDirection)));
    let mut products = Collection::with_metric(2, Metric::Ip).expect("a length");
    products
        .add(&[0.0, 0.0, 1.0, 1.0])
        .expect("zero has a product");
    let zero = products.search(&[0.0, 0.0], 1, None, Recall::Exact, Kernels::best());
    assert!(matches!(zero, Err(Error::NoDirection)));
}
