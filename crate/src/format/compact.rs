//! A compact index ⇄ sections.

use super::{Container, Writer};
use super::{bytes_of_f32, bytes_of_i8, bytes_of_u32, f32_of, i8_of, u32_of};
use crate::error::{Error, Result};
use crate::index::{Compact, Graph, Lists, Lvq, Parts, Pq};

/// Appends the sections of `index`.
pub(super) fn write(writer: Writer, index: &Compact) -> Writer {
    let Parts {
        lists,
        scan,
        fine,
        graph,
        plan,
    } = index.parts();
    writer
        .section("mean", bytes_of_f32(&fine.mean))
        .section("c_codes", bytes_of_i8(&lists.centroids.codes))
        .section("c_scales", bytes_of_f32(&lists.centroids.scales))
        .section("c_offsets", bytes_of_f32(&lists.centroids.offsets))
        .section("lists", bytes_of_u32(&lists.starts))
        .section("codebook", bytes_of_f32(&scan.codebook))
        .section("scan", scan.codes.clone())
        .section("codes", bytes_of_i8(&fine.codes))
        .section("scales", bytes_of_f32(&fine.scales))
        .section("offsets", bytes_of_f32(&fine.offsets))
        .section("entries", bytes_of_u32(&graph.entries))
        .section("link_starts", bytes_of_u32(&graph.starts))
        .section("links", graph.links.clone())
        .section("plan", serde_json::to_vec(plan).expect("numbers are JSON"))
}

/// The index that `container`, the segment `name`, holds, for `dim` axes.
///
/// # Errors
/// [`Error::Damaged`] when a section is missing or does not fit the others.
pub(super) fn read(name: &str, dim: usize, container: &Container<'_>) -> Result<Compact> {
    let damaged = |reason| Error::Damaged {
        what: name.to_owned(),
        reason,
    };
    let f32s = |section| f32_of(container.section(section)?).ok_or(damaged("its numbers"));
    let i8s = |section| i8_of(container.section(section)?).ok_or(damaged("its codes"));
    let u32s = |section| u32_of(container.section(section)?).ok_or(damaged("its lists"));
    let mean = f32s("mean")?;
    let parts = Parts {
        lists: Lists {
            centroids: Lvq {
                mean: mean.clone(),
                codes: i8s("c_codes")?,
                scales: f32s("c_scales")?,
                offsets: f32s("c_offsets")?,
            },
            starts: u32s("lists")?,
        },
        scan: Pq {
            codebook: f32s("codebook")?,
            codes: container.section("scan")?.to_vec(),
        },
        fine: Lvq {
            mean,
            codes: i8s("codes")?,
            scales: f32s("scales")?,
            offsets: f32s("offsets")?,
        },
        graph: Graph {
            entries: u32s("entries")?,
            starts: u32s("link_starts")?,
            links: container.section("links")?.to_vec(),
        },
        plan: serde_json::from_slice(container.section("plan")?)
            .map_err(|_| damaged("its plan"))?,
    };
    Compact::from_parts(dim, parts).ok_or(damaged("its index does not fit together"))
}
