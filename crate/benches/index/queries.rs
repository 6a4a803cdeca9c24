//! What the index is measured with: `.npy` files.

use std::io::{Error, ErrorKind};

use photorecall::index::Hit;

/// Queries with their true neighbours.
pub struct Queries {
    pub vectors: Vec<f32>,
    pub dim: usize,
    truth: Vec<i32>,
}

impl Queries {
    pub fn read(path: &str) -> std::io::Result<Self> {
        let (vectors, dim) = read(path, f32::from_le_bytes)?;
        let (truth, _) = read(&path.replace(".npy", ".truth.npy"), i32::from_le_bytes)?;
        Ok(Self {
            vectors,
            dim,
            truth,
        })
    }

    /// The part of the ten true neighbours that the answers, in the order of the queries, have; `order` says which
    /// vector each row is.
    pub fn recall<'a>(&self, answers: impl Iterator<Item = &'a [Hit]>, order: &[u32]) -> f64 {
        let right = |(hits, truth): (&'a [Hit], &[i32])| {
            let found = |hit: &&Hit| truth.contains(&(order[hit.id as usize] as i32));
            hits.iter().filter(found).count()
        };
        let found: usize = answers.zip(self.truth.chunks_exact(10)).map(right).sum();
        found as f64 / self.truth.len() as f64
    }
}

/// The numbers of a two-dimensional `.npy` file and its width.
pub fn read<T>(path: &str, number: fn([u8; 4]) -> T) -> std::io::Result<(Vec<T>, usize)> {
    let bytes = std::fs::read(path)?;
    let wrong = || {
        Error::new(
            ErrorKind::InvalidData,
            format!("{path}: not an .npy file of two dimensions"),
        )
    };
    let header_len = bytes
        .get(8..10)
        .map(|len| usize::from(u16::from_le_bytes([len[0], len[1]])));
    let start = 10 + header_len.ok_or_else(wrong)?;
    let header = String::from_utf8_lossy(bytes.get(10..start).ok_or_else(wrong)?);
    let shape = header
        .split("'shape': (")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    let width = shape.and_then(|shape| shape.split(',').nth(1)?.trim().parse().ok());
    let numbers = bytes[start..]
        .as_chunks()
        .0
        .iter()
        .map(|value| number(*value));
    Ok((numbers.collect(), width.ok_or_else(wrong)?))
}
