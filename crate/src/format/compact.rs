//! A compact index ⇄ sections.

use super::codebook::{read_coarse, write_coarse};
use super::read::damaged;
use super::{Container, Writer, bytes_of_f32, bytes_of_i8, bytes_of_u32, f32_of, i8_of, u32_of};
use crate::error::Result;
use crate::index::{Base, Compact, Graph, Lists, Lvq, Parts, Pq};

/// Appends the sections of `index`.
pub(super) fn write(writer: Writer, index: &Compact) -> Writer {
    let Parts {
        lists,
        scan,
        fine,
        base,
        graph,
        plan,
    } = index.parts();
    let [codes, scales, offsets] = fine_sections(*base);
    let writer = write_coarse(writer, &lists.centroids, &scan.codebook)
        .section("lists", bytes_of_u32(&lists.starts))
        .section("scan", scan.codes.clone())
        .section(codes, bytes_of_i8(&fine.codes))
        .section(scales, bytes_of_f32(&fine.scales))
        .section(offsets, bytes_of_f32(&fine.offsets));
    write_graph(writer, graph).section("plan", serde_json::to_vec(plan).expect("numbers are JSON"))
}

/// Appends the sections of a graph, if there is one.
pub(super) fn write_graph(writer: Writer, graph: &Graph) -> Writer {
    if graph.is_empty() {
        return writer;
    }
    writer
        .section("entries", bytes_of_u32(&graph.entries))
        .section("link_starts", bytes_of_u32(&graph.starts))
        .section("links", graph.links.clone())
}

/// What [`write_graph`] wrote, not yet asked whether it fits together.
pub(super) fn read_graph(name: &str, container: &Container<'_>) -> Result<Graph> {
    let u32s =
        |section| u32_of(container.section(section)?).ok_or_else(|| damaged(name, "its links"));
    Ok(match container.section("entries") {
        Err(_) => Graph::default(),
        Ok(_) => Graph {
            entries: u32s("entries")?,
            starts: u32s("link_starts")?,
            links: container.section("links")?.to_vec(),
        },
    })
}

/// The sections of the finer codes: their names say what they are of.
pub(super) fn fine_sections(base: Base) -> [&'static str; 3] {
    match base {
        Base::Mean => ["codes", "scales", "offsets"],
        Base::Coarse => ["r_codes", "r_scales", "r_offsets"],
    }
}

/// The index that `container`, the segment `name`, holds, for `dim` axes.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) when a section is missing or does not fit the others.
pub(super) fn read(name: &str, dim: usize, container: &Container<'_>) -> Result<Compact> {
    let damaged = |reason| damaged(name, reason);
    let f32s = |section| f32_of(container.section(section)?).ok_or(damaged("its numbers"));
    let lists = u32_of(container.section("lists")?).ok_or(damaged("its lists"))?;
    let (centroids, codebook) = read_coarse(name, container)?;
    let base = match container.section(fine_sections(Base::Coarse)[0]) {
        Ok(_) => Base::Coarse,
        Err(_) => Base::Mean,
    };
    let [codes, scales, offsets] = fine_sections(base);
    let mean = match base {
        Base::Mean => centroids.mean.clone(),
        Base::Coarse => vec![0.0; centroids.mean.len()],
    };
    let parts = Parts {
        lists: Lists::new(centroids, lists),
        scan: Pq {
            codebook,
            codes: container.section("scan")?.to_vec(),
        },
        fine: Lvq {
            mean,
            codes: i8_of(container.section(codes)?).ok_or(damaged("its codes"))?,
            scales: f32s(scales)?,
            offsets: f32s(offsets)?,
        },
        base,
        graph: read_graph(name, container)?,
        plan: serde_json::from_slice(container.section("plan")?)
            .map_err(|_| damaged("its plan"))?,
    };
    Compact::from_parts(dim, parts).ok_or(damaged("its index does not fit together"))
}
