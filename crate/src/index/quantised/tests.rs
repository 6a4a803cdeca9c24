use super::super::rabitq::CodeBits;
use super::super::rabitq::tests::clustered;
use super::*;
use crate::index::exact;

const DIM: usize = 100;
const ROWS: usize = 3000;
const K: usize = 10;
const IVF: Structure = Structure::Ivf { nlist: Some(30) };
const HNSW: Structure = Structure::Hnsw {
    m: 12,
    ef_construction: 80,
};
const CODES: [Code; 6] = [
    Code::F16,
    Code::Int8,
    Code::Pq8 { axes: 4 },
    Code::Pq4,
    Code::RaBitQ(CodeBits::One),
    Code::RaBitQ(CodeBits::Four),
];

struct World {
    vectors: Vec<f32>,
    queries: Vec<f32>,
    hidden: Bitset,
    truth: Vec<Vec<u32>>,
}

impl World {
    fn new() -> Self {
        let (vectors, queries) = (clustered(ROWS, DIM, 1), clustered(50, DIM, 9));
        let mut hidden = Bitset::new(ROWS);
        hidden.insert(17);
        let truth = queries.chunks_exact(DIM).map(|query| {
            let nearest = exact::search(&vectors, DIM, query, K + 1).into_iter();
            nearest
                .map(|hit| hit.id)
                .filter(|id| *id != 17)
                .take(K)
                .collect()
        });
        Self {
            truth: truth.collect(),
            vectors,
            queries,
            hidden,
        }
    }

    fn build(
        &self,
        structure: Structure,
        code: Code,
        refine: Option<Code>,
    ) -> (Quantised, Vec<u32>) {
        let recipe = Recipe {
            structure,
            code,
            refine,
        };
        Quantised::build(recipe, (ROWS, DIM), 1, &|row, out| {
            out.copy_from_slice(&self.vectors[row * DIM..][..DIM]);
        })
    }

    /// Row 17 hidden, in the index's order.
    fn hidden(&self, order: &[u32]) -> Bitset {
        let mut hidden = Bitset::new(ROWS);
        let rows = order.iter().enumerate();
        let rows = rows.filter(|(_, row)| self.hidden.contains(**row as usize));
        rows.for_each(|(at, _)| assert!(hidden.insert(at)));
        hidden
    }

    fn recall(&self, (index, order): &(Quantised, Vec<u32>), depth: Depth) -> f64 {
        let (hidden, mut found) = (self.hidden(order), 0);
        for (query, truth) in self.queries.chunks_exact(DIM).zip(&self.truth) {
            let hits = index.search(query, K, depth, &hidden, Kernels::best());
            assert!(hits.len() == K && hits.is_sorted_by(|a, b| a.score >= b.score));
            let ids: Vec<u32> = hits.iter().map(|hit| order[hit.id as usize]).collect();
            assert!(!ids.contains(&17), "a hidden row");
            found += ids.iter().filter(|id| truth.contains(id)).count();
        }
        found as f64 / (K * self.truth.len()) as f64
    }
}

#[test]
fn every_code_finds_in_every_structure_what_it_finds_flat() {
    let world = World::new();
    let depth = Depth {
        nprobe: 10,
        ef_search: 200,
        rerank: 200,
    };
    for (code, least) in CODES.into_iter().zip([0.99, 0.97, 0.4, 0.4, 0.2, 0.8]) {
        let flat = world.recall(&world.build(Structure::Flat, code, None), depth);
        assert!(flat >= least, "{code:?}: {flat}");
        for structure in [IVF, HNSW] {
            let found = world.recall(&world.build(structure, code, None), depth);
            println!("{code:?} in {structure:?}: {found:.3}, flat {flat:.3}");
            assert!(
                found >= flat - 0.05,
                "{code:?} in {structure:?}: {found}, {flat}"
            );
        }
    }
}

#[test]
fn what_is_ranked_again_is_found() {
    let world = World::new();
    let depth = Depth {
        nprobe: 10,
        ef_search: 300,
        rerank: 300,
    };
    for structure in [Structure::Flat, IVF, HNSW] {
        for code in CODES {
            let index = world.build(structure, code, Some(Code::F16));
            let found = world.recall(&index, depth);
            println!("{code:?} in {structure:?}, ranked again: {found:.3}");
            assert!(found >= 0.95, "{code:?} in {structure:?}: {found}");
        }
    }
}

#[test]
fn every_table_gives_the_same_hits_to_the_bit() {
    let world = World::new();
    // Sums in f32 differ by rounding between tables.
    for code in CODES.into_iter().filter(|code| *code != Code::F16) {
        for structure in [Structure::Flat, HNSW] {
            let (index, order) = world.build(structure, code, Some(Code::Int8));
            let hidden = world.hidden(&order);
            let find = |kernels| {
                let queries = world.queries.chunks_exact(DIM);
                let one = |query| index.search(query, K, Depth::default(), &hidden, kernels);
                queries.map(one).collect::<Vec<_>>()
            };
            let want = find(Kernels::best());
            for table in Kernels::available() {
                assert_eq!(find(table), want, "{} {code:?}", table.name());
            }
        }
    }
}

#[test]
fn a_range_has_all_that_score_enough() {
    let world = World::new();
    for structure in [Structure::Flat, IVF, HNSW] {
        let (index, order) = world.build(structure, Code::Pq4, Some(Code::Int8));
        let hidden = world.hidden(&order);
        let query = &world.queries[..DIM];
        let all = Depth {
            nprobe: ROWS,
            ef_search: ROWS,
            rerank: ROWS,
        };
        let ranked = index.search(query, ROWS - 1, all, &hidden, Kernels::best());
        assert_eq!(ranked.len(), ROWS - 1);
        let least = ranked[40].score;
        let found = index.range(query, least, &hidden, Kernels::best());
        assert_eq!(found, ranked[..found.len()], "{structure:?}");
        assert!(found.len() >= 41 && ranked.get(found.len()).is_none_or(|hit| hit.score < least));
        assert!(
            index
                .range(query, f32::NAN, &hidden, Kernels::best())
                .is_empty()
        );
    }
}

#[test]
fn few_rows_among_many_hidden_ones_are_found() {
    let world = World::new();
    for structure in [IVF, HNSW] {
        let (index, _) = world.build(structure, Code::Int8, None);
        let mut hidden = Bitset::new(ROWS);
        (12..ROWS).for_each(|row| assert!(hidden.insert(row)));
        let depth = Depth::default();
        let hits = index.search(&world.queries[..DIM], K, depth, &hidden, Kernels::best());
        assert!(
            hits.len() == K && hits.iter().all(|hit| hit.id < 12),
            "{structure:?}"
        );
    }
}

#[test]
fn bytes_are_those_of_the_code() {
    let world = World::new();
    let bytes = |code| {
        let (index, _) = world.build(Structure::Flat, code, Some(Code::F16));
        let (scanned, refine) = index.bytes();
        assert_eq!(refine, 2 * ROWS * DIM);
        scanned as f64 / ROWS as f64
    };
    // Codebooks and the mean besides: a few of each row.
    let codebook = |axes: usize| (4 * 256 * axes * DIM.div_ceil(axes)) as f64 / ROWS as f64;
    for (code, row) in [
        (Code::F16, 2 * DIM),
        (Code::Int8, DIM + 8),
        (Code::RaBitQ(CodeBits::One), 128 / 8 + 8),
        (Code::RaBitQ(CodeBits::Four), 4 * 128 / 8 + 8),
    ] {
        let (found, row) = (bytes(code), row as f64);
        assert!((row..row + 1.0).contains(&found), "{code:?}: {found}");
    }
    let found = bytes(Code::Pq8 { axes: 4 }) - codebook(4);
    assert!((25.0..26.0).contains(&found), "{found}");
}
