//! Vectors under a structure and a code of choice ⇄ bytes.

use half::f16;
use serde::{Deserialize, Serialize};

use super::codebook::{read_centroids, write_centroids};
use super::collection::{json, parsed};
use super::compact::{read_graph, write_graph};
use super::read::damaged;
use super::{Container, Kind, Writer};
use super::{bytes_of_f16, bytes_of_f32, bytes_of_i8, bytes_of_u32, bytes_of_u64};
use super::{f16_of, f32_of, i8_of, u32_of, u64_of};
use crate::error::Result;
use crate::index::{
    CodeBits, Codes, Graph, Halves, Lists, Lvq, Pq, Pq8, Quantised, RaBitQ, one_list,
};

/// What such an index says of itself, in JSON.
#[derive(Serialize, Deserialize)]
struct Meta {
    code: CodeMeta,
    refine: Option<CodeMeta>,
}

/// Which code, and what is not in its arrays.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum CodeMeta {
    F16,
    Int8,
    /// Axes of a subspace.
    Pq8 {
        axes: usize,
    },
    Pq4,
    /// Bits an axis, and the seed of the rotation.
    RaBitQ {
        bits: usize,
        seed: u64,
    },
}

/// What rotated codes said of themselves before there were others.
#[derive(Deserialize)]
struct RotatedMeta {
    bits: usize,
    seed: u64,
}

/// Sections of the two codes begin so.
const CODE: &str = "a";
const REFINE: &str = "b";

/// An index's bytes.
pub fn write_quantised(index: &Quantised) -> Vec<u8> {
    let (lists, graph, codes, refine) = index.parts();
    let meta = Meta {
        code: meta_of(codes),
        refine: refine.map(meta_of),
    };
    let writer = Writer::new(Kind::Quantised).section("meta", json(&meta));
    let writer = write_centroids(writer, &lists.centroids);
    let writer = writer.section("lists", bytes_of_u32(&lists.starts));
    let mut writer = write_codes(write_graph(writer, graph), CODE, codes);
    if let Some(refine) = refine {
        writer = write_codes(writer, REFINE, refine);
    }
    writer.finish()
}

fn meta_of(codes: &Codes) -> CodeMeta {
    match codes {
        Codes::F16(_) => CodeMeta::F16,
        Codes::Int8(_) => CodeMeta::Int8,
        Codes::Pq8(codes) => CodeMeta::Pq8 { axes: codes.axes },
        Codes::Pq4(_) => CodeMeta::Pq4,
        Codes::RaBitQ(codes) => {
            let (bits, seed) = codes.kind();
            let bits = bits.count();
            CodeMeta::RaBitQ { bits, seed }
        }
    }
}

fn write_codes(writer: Writer, which: &str, codes: &Codes) -> Writer {
    let name = |of: &str| format!("{which}_{of}");
    match codes {
        Codes::F16(codes) => writer.section(&name("halves"), bytes_of_f16(codes.values())),
        Codes::Int8(codes) => writer
            .section(&name("codes"), bytes_of_i8(&codes.codes))
            .section(&name("scales"), bytes_of_f32(&codes.scales))
            .section(&name("offsets"), bytes_of_f32(&codes.offsets)),
        Codes::Pq8(Pq8 {
            codebook, codes, ..
        })
        | Codes::Pq4(Pq { codebook, codes }) => writer
            .section(&name("codebook"), bytes_of_f32(codebook))
            .section(&name("codes"), codes.clone()),
        Codes::RaBitQ(codes) => {
            let (planes, factors) = codes.arrays();
            writer
                .section(&name("planes"), bytes_of_u64(planes))
                .section(&name("factors"), bytes_of_f32(factors))
        }
    }
}

/// The index in `bytes`, which may be of the kind that had rotated codes alone; `name` is told in errors.
///
/// # Errors
/// As [`Container::open`]; also when the arrays do not fit together.
pub fn read_quantised(name: &str, bytes: &[u8]) -> Result<Quantised> {
    let unfit = || damaged(name, "its arrays do not fit together");
    if bytes.get(12..16) == Some(&Kind::Rotated.number().to_le_bytes()) {
        return read_rotated(&Sections {
            name,
            container: Container::open(name, Kind::Rotated, bytes)?,
        })?
        .ok_or_else(unfit);
    }
    let sections = Sections {
        name,
        container: Container::open(name, Kind::Quantised, bytes)?,
    };
    let meta: Meta = parsed(name, sections.container.section("meta")?)?;
    let centroids = read_centroids(name, &sections.container)?;
    let dim = centroids.dim();
    let lists = u32_of(sections.container.section("lists")?);
    let lists = Lists::new(centroids, lists.ok_or_else(|| damaged(name, "its lists"))?);
    let graph = read_graph(name, &sections.container)?;
    let codes = sections.codes(CODE, meta.code, dim)?;
    let refine = meta
        .refine
        .map(|refine| sections.codes(REFINE, refine, dim));
    Quantised::from_parts(lists, graph, codes, refine.transpose()?).ok_or_else(unfit)
}

/// What version 5 wrote of rotated codes: flat, and ranked again by eight bits.
fn read_rotated(sections: &Sections<'_>) -> Result<Option<Quantised>> {
    let meta: RotatedMeta = parsed(sections.name, sections.container.section("meta")?)?;
    let fine = sections.lvq(sections.f32s("mean")?, "")?;
    let kind = (meta.bits, meta.seed);
    let codes = sections.rabitq(kind, fine.dim(), "")?;
    let rows = u32::try_from(fine.len()).ok();
    let lists = rows.map(|rows| one_list(rows as usize, fine.mean.clone()));
    let refine = Codes::Int8(Lvq {
        mean: vec![0.0; fine.dim()],
        ..fine
    });
    Ok(lists.and_then(|lists| Quantised::from_parts(lists, Graph::default(), codes, Some(refine))))
}

struct Sections<'a> {
    name: &'a str,
    container: Container<'a>,
}

impl Sections<'_> {
    fn codes(&self, which: &str, meta: CodeMeta, dim: usize) -> Result<Codes> {
        let prefix = format!("{which}_");
        let bytes = || self.container.section(&format!("{prefix}codes"));
        let codebook = || self.f32s(&format!("{prefix}codebook"));
        Ok(match meta {
            CodeMeta::F16 => {
                let values: Option<Vec<f16>> =
                    f16_of(self.container.section(&format!("{prefix}halves"))?);
                let values = values.ok_or_else(|| damaged(self.name, "its halves"))?;
                Codes::F16(Halves::from_stored(dim, values))
            }
            CodeMeta::Int8 => Codes::Int8(self.lvq(vec![0.0; dim], &prefix)?),
            CodeMeta::Pq8 { axes } => Codes::Pq8(Pq8 {
                axes,
                codebook: codebook()?,
                codes: bytes()?.to_vec(),
            }),
            CodeMeta::Pq4 => Codes::Pq4(Pq {
                codebook: codebook()?,
                codes: bytes()?.to_vec(),
            }),
            CodeMeta::RaBitQ { bits, seed } => self.rabitq((bits, seed), dim, &prefix)?,
        })
    }

    fn lvq(&self, mean: Vec<f32>, prefix: &str) -> Result<Lvq> {
        let codes = i8_of(self.container.section(&format!("{prefix}codes"))?);
        Ok(Lvq {
            mean,
            codes: codes.ok_or_else(|| damaged(self.name, "its codes"))?,
            scales: self.f32s(&format!("{prefix}scales"))?,
            offsets: self.f32s(&format!("{prefix}offsets"))?,
        })
    }

    fn rabitq(&self, (bits, seed): (usize, u64), dim: usize, prefix: &str) -> Result<Codes> {
        let known = CodeBits::ALL
            .into_iter()
            .find(|known| known.count() == bits);
        let bits = known.ok_or_else(|| damaged(self.name, "its bits an axis"))?;
        let planes = u64_of(self.container.section(&format!("{prefix}planes"))?);
        let planes = planes.ok_or_else(|| damaged(self.name, "its planes"))?;
        let factors = self.f32s(&format!("{prefix}factors"))?;
        RaBitQ::from_stored((bits, seed), dim, planes, factors)
            .map(Codes::RaBitQ)
            .ok_or_else(|| damaged(self.name, "its rotated codes do not fit together"))
    }

    fn f32s(&self, section: &str) -> Result<Vec<f32>> {
        f32_of(self.container.section(section)?).ok_or_else(|| damaged(self.name, "its numbers"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Bitset, Code, Depth, Recipe, Structure};
    use crate::kernels::Kernels;

    const DIM: usize = 20;
    const ROWS: usize = 60;

    fn vector(row: usize) -> Vec<f32> {
        let value = |at: usize| ((row * 31 + at * 17 + row * row * at) % 23) as f32 - 11.0;
        (0..DIM).map(|at| value(at) / 60.0).collect()
    }

    fn built(structure: Structure, code: Code, refine: Option<Code>) -> Quantised {
        let recipe = Recipe {
            structure,
            code,
            refine,
        };
        Quantised::build(recipe, (ROWS, DIM), 7, &|row, out| {
            out.copy_from_slice(&vector(row));
        })
        .0
    }

    fn every_kind() -> Vec<Quantised> {
        let codes = [
            Code::F16,
            Code::Int8,
            Code::Pq8 { axes: 3 },
            Code::Pq4,
            Code::RaBitQ(CodeBits::Two),
        ];
        let structures = [
            Structure::Flat,
            Structure::Ivf { nlist: Some(5) },
            Structure::Hnsw {
                m: 4,
                ef_construction: 20,
            },
        ];
        let kinds = structures.into_iter().flat_map(|structure| {
            let refine = [None, Some(Code::F16)];
            codes
                .into_iter()
                .zip(refine.into_iter().cycle())
                .map(move |(code, refine)| (structure, code, refine))
        });
        kinds
            .map(|(structure, code, refine)| built(structure, code, refine))
            .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        for index in every_kind() {
            let read = read_quantised("q", &write_quantised(&index)).expect("whole");
            assert_eq!(read, index);
            let hidden = Bitset::new(ROWS);
            let find = |of: &Quantised| {
                of.search(&vector(3), 5, Depth::default(), &hidden, Kernels::best())
            };
            assert_eq!(find(&read), find(&index));
        }
    }

    /// 60 vectors of 20 axes in codes of two bits that version 5 wrote.
    #[test]
    fn rotated_codes_that_version_5_wrote_are_read_and_found() {
        let old = include_bytes!("../../../tests/data/rotated-5");
        let index = read_quantised("r", old).expect("whole");
        assert_eq!((index.len(), index.dim()), (ROWS, DIM));
        let hidden = Bitset::new(ROWS);
        let hits = index.search(&vector(57), 5, Depth::default(), &hidden, Kernels::best());
        let ids: Vec<u32> = hits.iter().map(|hit| hit.id).collect();
        assert_eq!(ids[..3], [11, 34, 57], "they are the same");
        assert!((hits[0].score - 0.3555).abs() < 1e-3 && hits[3].score < 0.03);
        assert_eq!(
            read_quantised("r", &write_quantised(&index)).expect("whole"),
            index
        );
    }

    #[test]
    fn a_flipped_bit_or_a_cut_is_found() {
        for index in every_kind() {
            let bytes = write_quantised(&index);
            for at in (0..bytes.len()).step_by(bytes.len() / 37) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << (at % 8);
                assert!(read_quantised("q", &flipped).is_err(), "byte {at}");
                assert!(read_quantised("q", &bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let index = built(
            Structure::Flat,
            Code::RaBitQ(CodeBits::Two),
            Some(Code::Int8),
        );
        let (lists, graph, codes, refine) = index.parts();
        let fits = |codes: &Codes, refine: Option<&Codes>| {
            let (lists, graph) = (lists.clone(), graph.clone());
            Quantised::from_parts(lists, graph, codes.clone(), refine.cloned()).is_some()
        };
        assert!(fits(codes, refine) && fits(codes, None));
        let other = Halves::from_stored(DIM, vec![f16::ONE; (ROWS - 1) * DIM]);
        assert!(!fits(&Codes::F16(other), refine));
        let inf = Halves::from_stored(DIM, vec![f16::INFINITY; ROWS * DIM]);
        assert!(!fits(codes, Some(&Codes::F16(inf))));
        let Codes::RaBitQ(rotated) = codes else {
            panic!("rotated codes were asked for");
        };
        let (planes, factors) = rotated.arrays();
        let stored = |kind, dim| RaBitQ::from_stored(kind, dim, planes.to_vec(), factors.to_vec());
        assert!(stored(rotated.kind(), DIM).is_some() && stored(rotated.kind(), 0).is_none());
        assert_eq!(stored((CodeBits::Four, 7), DIM), None);
    }
}
