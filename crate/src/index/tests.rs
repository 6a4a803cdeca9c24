//! The compact index against exact search.

use super::random::Random;
use super::*;
use crate::kernels::Kernels;

const DIM: usize = 64;

/// Unit vectors around `centres` centres, with a mean of their own and a few that are nearly the same,
/// as photos have them.
fn photos(rows: usize, centres: usize, seed: u64) -> Vec<f32> {
    let mut world = Random(5);
    let middles: Vec<f32> = (0..centres * DIM).map(|_| world.normal()).collect();
    let mut random = Random(seed);
    let mut vectors = Vec::with_capacity(rows * DIM);
    for _ in 0..rows {
        let centre = random.below(centres);
        let middle = &middles[centre * DIM..][..DIM];
        let raw: Vec<f32> = middle
            .iter()
            .enumerate()
            .map(|(axis, x)| x + 0.8 * random.normal() + if axis == 7 { 9.0 } else { 0.5 })
            .collect();
        vectors.extend(unit(&raw));
    }
    vectors
}

fn unit(raw: &[f32]) -> Vec<f32> {
    let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.iter().map(|x| x / norm).collect()
}

/// Directions that have a quarter in common with a photo, and are otherwise anything.
fn words(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    let photos = photos(count, 60, seed);
    let one = |photo: &[f32]| {
        let other = unit(&(0..DIM).map(|_| random.normal()).collect::<Vec<_>>());
        let mixed: Vec<f32> = photo.iter().zip(other).map(|(x, o)| 0.25 * x + o).collect();
        unit(&mixed)
    };
    photos.chunks_exact(DIM).flat_map(one).collect()
}

fn built(vectors: &[f32], mean: Option<&[f32]>) -> (Compact, Vec<u32>) {
    Compact::build(vectors.len() / DIM, DIM, 1, mean, &|row, out| {
        out.copy_from_slice(&vectors[row * DIM..][..DIM]);
    })
}

fn linked(vectors: &[f32]) -> (Compact, Vec<u32>) {
    let (index, order) = built(vectors, None);
    let index = index.linked(1, &|row, out| {
        out.copy_from_slice(&vectors[order[row] as usize * DIM..][..DIM]);
    });
    (index, order)
}

/// The share of the ten nearest rows that are not in `hidden` that is found.
fn recall(
    (index, order): &(Compact, Vec<u32>),
    vectors: &[f32],
    queries: &[f32],
    hidden: &Bitset,
    recall: Recall,
) -> f32 {
    let (mut found, mut wanted) = (0, 0);
    for query in queries.chunks_exact(DIM) {
        let all = exact::search(vectors, DIM, query, vectors.len() / DIM);
        let place = |id: u32| order.iter().position(|row| *row == id).expect("a row");
        let shown = all
            .iter()
            .map(|hit| place(hit.id))
            .filter(|row| !hidden.contains(*row));
        let truth: Vec<usize> = shown.take(10).collect();
        let search = Search {
            query,
            k: 10,
            hidden,
            recall,
        };
        let (hits, _) = index.search(&search, Kernels::best());
        assert_eq!(hits.len(), truth.len(), "as many as there are");
        assert!(hits.iter().all(|hit| !hidden.contains(hit.id as usize)));
        found += hits
            .iter()
            .filter(|hit| truth.contains(&(hit.id as usize)))
            .count();
        wanted += truth.len();
    }
    found as f32 / wanted as f32
}

#[test]
fn photos_and_words_find_what_exact_search_finds() {
    let vectors = photos(6000, 60, 1);
    let index = built(&vectors, None);
    let nothing = Bitset::new(6000);
    for (kind, queries) in [("photos", photos(40, 60, 2)), ("words", words(40, 3))] {
        for (asked, least) in [
            (Recall::Fast, 0.92),
            (Recall::High, 0.96),
            (Recall::Exact, 0.97),
        ] {
            let reached = recall(&index, &vectors, &queries, &nothing, asked);
            assert!(reached >= least, "{kind}, {asked:?}: recall@10 {reached}");
        }
    }
}

#[test]
fn hidden_rows_leave_room_for_others_at_every_share() {
    let vectors = photos(6000, 60, 1);
    let index = built(&vectors, None);
    for (shown_of_1000, least) in [(1, 0.97), (10, 0.97), (100, 0.95), (500, 0.95)] {
        let mut random = Random(shown_of_1000 as u64);
        let mut hidden = Bitset::new(6000);
        for row in 0..6000 {
            if random.below(1000) >= shown_of_1000 {
                hidden.insert(row);
            }
        }
        let reached = recall(&index, &vectors, &photos(30, 60, 4), &hidden, Recall::High);
        assert!(
            reached >= least,
            "{shown_of_1000} of 1000 shown: recall@10 {reached}"
        );
    }
}

#[test]
fn every_table_gives_the_same_hits_to_the_bit() {
    let vectors = photos(3000, 30, 1);
    let (index, _) = built(&vectors, None);
    let hidden = Bitset::new(3000);
    let scalar = Kernels::by_name("scalar").expect("scalar runs everywhere");
    for query in photos(5, 30, 9)
        .chunks_exact(DIM)
        .chain(words(5, 9).chunks_exact(DIM))
    {
        for recall in [Recall::Fast, Recall::Exact] {
            let search = Search {
                query,
                k: 20,
                hidden: &hidden,
                recall,
            };
            let want = index.search(&search, scalar);
            for table in Kernels::available() {
                assert_eq!(index.search(&search, table), want, "{}", table.name());
            }
        }
    }
}

#[test]
fn the_graph_leads_to_the_nearest_rows() {
    let vectors = photos(6000, 60, 1);
    let (index, order) = linked(&vectors);
    let (mut found, mut compared) = (0, 0);
    for query in photos(40, 60, 2).chunks_exact(DIM) {
        let truth = exact::search(&vectors, DIM, query, 10);
        let by = graph::ByLvq::new(&index.parts().fine, query, Kernels::best());
        let mut walk = graph::Walk::new(&index.parts().graph, by, 64);
        let mut ready = index.parts().prepared(query, Kernels::best());
        compared += walk.start_at(ivf::nearest(&mut ready.ranked, 2));
        let near: Vec<u32> = walk
            .into_hits()
            .iter()
            .map(|hit| order[hit.id as usize])
            .collect();
        found += truth.iter().filter(|hit| near.contains(&hit.id)).count();
    }
    assert!(found >= 380, "{found} of 400");
    assert!(
        compared < 40 * 1500,
        "{compared} rows compared for 40 queries of 6,000 rows"
    );
}

#[test]
fn a_small_part_is_looked_at_and_said_so() {
    let vectors = photos(6000, 60, 1);
    let (index, _) = built(&vectors, None);
    let hidden = Bitset::new(6000);
    let query = &vectors[..DIM];
    let search = Search {
        query,
        k: 10,
        hidden: &hidden,
        recall: Recall::Fast,
    };
    let (hits, how) = index.search(&search, Kernels::best());
    assert!(
        (hits[0].score - 1.0).abs() < 0.01,
        "a photo finds itself: {}",
        hits[0].score
    );
    assert_eq!(how.kind, "photo");
    assert!(how.compared + how.scanned < 6000, "{how:?}");
    let all = Search {
        recall: Recall::Exact,
        ..search
    };
    assert_eq!(index.search(&all, Kernels::best()).1.compared, 6000);
}

#[test]
fn vectors_that_were_decoded_are_encoded_nearly_as_they_were() {
    let vectors = photos(2500, 20, 1);
    let (first, order) = built(&vectors, None);
    let mut decoded = vec![0.0; vectors.len()];
    for (row, at) in order.iter().enumerate() {
        decoded[*at as usize * DIM..][..DIM].copy_from_slice(&first.vector(row));
    }
    let (second, again) = built(&decoded, Some(first.mean()));
    for (row, at) in again.iter().enumerate() {
        let (got, want) = (second.vector(row), &decoded[*at as usize * DIM..][..DIM]);
        let far = got
            .iter()
            .zip(want)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(far < 1e-3, "row {row} moved by {far}");
    }
}

#[test]
fn building_again_gives_the_same_bytes() {
    let vectors = photos(2500, 20, 1);
    assert_eq!(built(&vectors, None), built(&vectors, None));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let (index, _) = linked(&photos(2500, 20, 1));
    let parts = index.parts();
    assert!(Compact::from_parts(DIM, parts.clone()).is_some());
    let broken: [fn(&mut Parts); 10] = [
        |parts| parts.graph.starts.clear(),
        |parts| parts.fine.scales[0] = f32::NAN,
        |parts| parts.fine.codes.truncate(5),
        |parts| parts.lists.starts[1] = u32::MAX,
        |parts| parts.lists.starts.clear(),
        |parts| parts.scan.codebook[3] = f32::INFINITY,
        |parts| parts.scan.codes.push(0),
        |parts| parts.graph.entries[0] = 2500,
        |parts| *parts.graph.starts.last_mut().expect("one") += 1,
        |parts| parts.graph.links.fill(0xFF),
    ];
    for (at, break_it) in broken.iter().enumerate() {
        let mut parts = parts.clone();
        break_it(&mut parts);
        assert!(
            Compact::from_parts(DIM, parts).is_none(),
            "broken in way {at}"
        );
    }
}

#[test]
fn any_number_of_axes_and_few_rows_work() {
    for (rows, dim) in [(1, 3), (2, 33), (40, 7), (300, 100)] {
        let mut random = Random(rows as u64);
        let vectors: Vec<f32> = (0..rows)
            .flat_map(|_| unit(&(0..dim).map(|_| random.normal()).collect::<Vec<_>>()))
            .collect();
        let (index, order) = Compact::build(rows, dim, 1, None, &|row, out| {
            out.copy_from_slice(&vectors[row * dim..][..dim]);
        });
        let hidden = Bitset::new(rows);
        let search = Search {
            query: &vectors[..dim],
            k: 1,
            hidden: &hidden,
            recall: Recall::High,
        };
        let (hits, _) = index.search(&search, Kernels::best());
        assert_eq!(order[hits[0].id as usize], 0, "{rows} rows of {dim}");
    }
}

#[test]
fn a_batch_of_all_kinds_is_answered_to_the_bit_as_each_alone() {
    let vectors = photos(9000, 60, 1);
    let queries = [photos(90, 60, 2), words(90, 3)].concat();
    let mut random = Random(4);
    // From none to nearly all rows are hidden, one after the other and here and there.
    let hidden = [0, 500, 4000, 8990].map(|count| {
        let mut hidden = Bitset::new(9000);
        (0..count).for_each(|row| {
            hidden.insert(if row % 3 == 0 {
                random.below(9000)
            } else {
                row
            });
        });
        hidden
    });
    for (index, _) in [built(&vectors, None), linked(&vectors)] {
        let searches: Vec<Search<'_>> = queries
            .chunks_exact(DIM)
            .enumerate()
            .map(|(at, query)| Search {
                query,
                k: [1, 10, 100][at % 3],
                hidden: &hidden[at % 4],
                recall: [Recall::Fast, Recall::High, Recall::Exact][at / 4 % 3],
            })
            .collect();
        let together = index.search_together(&searches, Kernels::best());
        assert_eq!(together.len(), searches.len());
        assert_eq!(index.search_batch(&searches, Kernels::best()), together);
        for (at, (search, found)) in searches.iter().zip(&together).enumerate() {
            assert_eq!(*found, index.search(search, Kernels::best()), "query {at}");
        }
        let routes: Vec<&str> = together.iter().map(|(_, how)| how.route).collect();
        assert!(
            routes.contains(&"lists") && routes.contains(&"rows"),
            "{routes:?}"
        );
    }
    assert_eq!(
        built(&vectors, None).0.search_batch(&[], Kernels::best()),
        []
    );
}
