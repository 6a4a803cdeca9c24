//! A collection on paper, before it is built: bytes, hours, shards, machines, for each kind of index.

pub mod args;
mod like;
mod rates;
mod sizes;

use args::PlanArgs;
use clap::ValueEnum;
use rates::Indexing;
use serde_json::{Value, json};
use sizes::{Collection, Kind, Sizes};

use crate::{Outcome, model};

/// A sum that is done for one kind.
struct Line {
    kind: Kind,
    sizes: Sizes,
    /// Hours of a machine for indexes alone; unknown for a server that was not measured.
    index_hours: Option<f64>,
    /// None where browsers do it.
    machines: Option<f64>,
}

/// `photorecall plan`
pub fn plan(args: &PlanArgs) -> anyhow::Result<Outcome> {
    let photos_per_second = match args.photos_per_second {
        Some(rate) => rate,
        None => {
            eprintln!("measuring how many photos are embedded in a second …");
            let choice = args.model.as_deref().unwrap_or(model::SHIPPED);
            rates::embedding(&model::load(choice)?, args.sample.as_deref())?
        }
    };
    let indexing = match args.vectors_per_second {
        Some(rate) => Indexing::given(rate),
        None => {
            eprintln!("measuring how many vectors are indexed in a second …");
            Indexing::measured(args.dim as usize)?
        }
    };
    let record = match (&args.like, args.record_bytes) {
        (Some(library), _) => like::measured(library)?,
        (None, Some(bytes)) => bytes,
        (None, None) => sizes::usual_record()?,
    };
    let of = Collection {
        photos: args.photos as f64,
        dim: args.dim as f64,
        shards: args.photos.div_ceil(args.shard_photos) as f64,
        record,
    };
    let kinds = match args.index.as_slice() {
        [] => Kind::value_variants(),
        asked => asked,
    };
    let lines: Vec<Line> = kinds
        .iter()
        .map(|kind| line(args, &of, indexing, *kind))
        .collect();
    let told = told(args, &of, (photos_per_second, indexing), &lines);
    match args.json {
        true => say!("{told}"),
        false => print(args, &told)?,
    }
    Ok(Outcome::Done)
}

fn line(args: &PlanArgs, of: &Collection, indexing: Indexing, kind: Kind) -> Line {
    let sizes = of.sizes(kind);
    let seconds = match kind {
        // Its rows are written as they come.
        Kind::Flat => Some(0.0),
        Kind::Compact | Kind::Ranges => Some(indexing.seconds(of.rows())),
        _ => args.milvus_vectors_per_second.map(|rate| 1.0 / rate),
    };
    let memory = args.machine_memory * (1u64 << 30) as f64;
    Line {
        kind,
        sizes,
        index_hours: seconds.map(|each| each * of.photos / 3600.0),
        machines: (kind != Kind::Ranges).then(|| (sizes.memory / memory).ceil().max(1.0)),
    }
}

fn told(
    args: &PlanArgs,
    of: &Collection,
    (photos_per_second, indexing): (f64, Indexing),
    lines: &[Line],
) -> Value {
    let from = |given: Option<f64>| if given.is_some() { "given" } else { "measured" };
    let embed_hours = of.photos / photos_per_second / 3600.0;
    let kind = |line: &Line| {
        let hours = line.index_hours.map(|hours| embed_hours + hours);
        json!({
            "index": name(line.kind),
            "engine": if line.kind.is_milvus() { "milvus" } else { "photorecall" },
            "disk_bytes": line.sizes.disk.round() as u64,
            "memory_bytes": line.sizes.memory.round() as u64,
            "machines": line.machines.map(|machines| machines as u64),
            "index_hours": line.index_hours,
            "hours": hours,
            "build_machines": hours.map(|hours| (hours / args.hours).ceil().max(1.0) as u64),
        })
    };
    let kinds: Vec<Value> = lines.iter().map(kind).collect();
    json!({
        "photos": args.photos,
        "dim": args.dim,
        "shards": of.shards as u64,
        "shard_photos": of.rows() as u64,
        "record_bytes": of.record,
        "machine": {
            "cores": rayon::current_num_threads(),
            "photos_per_second": photos_per_second,
            "photos_rate": from(args.photos_per_second),
            "vectors_per_second": 1.0 / indexing.seconds(of.rows()),
            "vectors_rate": from(args.vectors_per_second),
        },
        "embed_hours": embed_hours,
        "parquet_bytes": of.parquet().round() as u64,
        "kinds": kinds,
    })
}

fn name(kind: Kind) -> String {
    let value = kind.to_possible_value();
    value.map_or(String::new(), |value| value.get_name().to_owned())
}

fn print(args: &PlanArgs, told: &Value) -> anyhow::Result<()> {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let machine = &told["machine"];
    let rate = |what: &str, from: &str| {
        let from = machine[from].as_str().unwrap_or_default();
        format!(
            "{:.0} {what} ({from})",
            number(&machine[format!("{what}_per_second")])
        )
    };
    say!(
        "{} photos of {} axes in {} shards of {}",
        told["photos"],
        told["dim"],
        told["shards"],
        told["shard_photos"]
    );
    say!(
        "a machine of {} cores does {} and {} in a second",
        machine["cores"],
        rate("photos", "photos_rate"),
        rate("vectors", "vectors_rate")
    );
    say!(
        "embedding takes {:.1} hours of such a machine and leaves {} of Parquet",
        number(&told["embed_hours"]),
        bytes(number(&told["parquet_bytes"]))
    );
    say!("");
    say!(
        "{:16} {:>9} {:>9}  {:>20}  {:>9}  {:>20}",
        "index",
        "on disk",
        "in memory",
        format!("machines of {} GiB", args.machine_memory),
        "hours",
        format!("machines for {} h", args.hours)
    );
    for kind in told["kinds"].as_array().into_iter().flatten() {
        let or_dash = |value: &Value| match value.is_null() {
            true => "-".to_owned(),
            false => format!("{:.0}", number(value)),
        };
        say!(
            "{:16} {:>9} {:>9}  {:>20}  {:>9}  {:>20}",
            kind["index"].as_str().unwrap_or_default(),
            bytes(number(&kind["disk_bytes"])),
            bytes(number(&kind["memory_bytes"])),
            or_dash(&kind["machines"]),
            or_dash(&kind["hours"]),
            or_dash(&kind["build_machines"])
        );
    }
    Ok(())
}

/// In thousands, as disks are sold.
fn bytes(count: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let step = (count.max(1.0).log10() / 3.0).floor().min(5.0);
    format!("{:.3} {}", count / 1000f64.powf(step), units[step as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_thousands() {
        assert_eq!(bytes(0.0), "0.000 B");
        assert_eq!(bytes(999.0), "999.000 B");
        assert_eq!(bytes(1_234_567.0), "1.235 MB");
        assert_eq!(bytes(2e18), "2000.000 PB");
    }
}
