//! How well a model finds photos whose label or caption is known.
//!
//! text→image recall@k: the share of queries with a right photo among the first k of the whole
//! folder. image→image precision@5: the mean share of a photo's five nearest others with its label,
//! over the photos whose label another photo has too.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use photorecall::encoder::Model;
use photorecall::index::exact;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::json;

use crate::args::EvalArgs;
use crate::doubt::Doubt;
use crate::{Outcome, model, photo};

/// The cut-offs of recall@k.
const CUTS: [usize; 3] = [1, 5, 10];

/// The table of photos: each row a file and a label or caption.
struct Table {
    rows: Vec<(String, String)>,
    captions: bool,
}

/// `photorecall eval`
pub fn eval(args: &EvalArgs) -> anyhow::Result<Outcome> {
    let model = model::load(args.model.or_shipped())?;
    let table = read_table(&args.labels)?;
    let mut files: Vec<&str> = table.rows.iter().map(|(file, _)| file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    let vectors = embed_all(&model, &args.photos, &files)?;
    let queries = queries(&table, &files);
    let dim = model.dim();
    let mut ranks = Vec::new();
    let mut asked = Vec::new();
    for (text, right) in &queries {
        let words = if table.captions {
            text.clone()
        } else {
            args.template.replace("{}", text)
        };
        let embedding = model.text()?.embed(&words)?;
        asked.push(words);
        let order = exact::search(&vectors, dim, &embedding, files.len());
        let rank = order
            .iter()
            .position(|hit| right.contains(&(hit.id as usize)));
        ranks.push((
            rank.context("a photo is missing from the ranking")?,
            order[0].id as usize,
        ));
    }
    let recall = CUTS.map(|cut| {
        share(
            ranks.iter().filter(|(rank, _)| *rank < cut).count(),
            ranks.len(),
        )
    });
    let precision = if table.captions {
        None
    } else {
        precision_at_5(&queries, &vectors, dim)
    };
    let doubt = args
        .absent
        .as_deref()
        .map(|absent| Doubt::measure(&model, &files, &vectors, &asked, absent))
        .transpose()?;
    tell(
        args,
        &queries,
        &ranks,
        recall,
        precision,
        &files,
        doubt.as_ref(),
    )?;
    Ok(Outcome::Done)
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn read_table(path: &Path) -> anyhow::Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| header.iter().position(|field| *field == name);
    let file = column("file")
        .with_context(|| format!("{}: no column `file` in the header", path.display()))?;
    let (words, captions) = match (column("label"), column("caption")) {
        (Some(label), _) => (label, false),
        (None, Some(caption)) => (caption, true),
        (None, None) => bail!(
            "{}: no column `label` or `caption` in the header",
            path.display()
        ),
    };
    let mut rows = Vec::new();
    for (number, line) in lines.enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (Some(file), Some(words)) = (fields.get(file), fields.get(words)) else {
            bail!(
                "{}: line {} has {} columns, the header {}",
                path.display(),
                number + 2,
                fields.len(),
                header.len()
            );
        };
        rows.push(((*file).to_owned(), (*words).to_owned()));
    }
    Ok(Table { rows, captions })
}

/// Every query with the photos that answer it: a caption has its photo, a label all of its photos.
fn queries(table: &Table, files: &[&str]) -> Vec<(String, Vec<usize>)> {
    let place = |file: &str| files.binary_search(&file).unwrap_or_default();
    if table.captions {
        return table
            .rows
            .iter()
            .map(|(file, words)| (words.clone(), vec![place(file)]))
            .collect();
    }
    let mut labels: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (file, label) in &table.rows {
        labels.entry(label).or_default().push(place(file));
    }
    labels
        .into_iter()
        .map(|(label, right)| (label.to_owned(), right))
        .collect()
}

/// Embeddings of all files, row after row.
fn embed_all(model: &Model, folder: &Path, files: &[&str]) -> anyhow::Result<Vec<f32>> {
    let rows: Vec<Vec<f32>> = files
        .par_iter()
        .map(|file| {
            let path = folder.join(file);
            let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
            photo::embed_file(model, &bytes, false).with_context(|| path.display().to_string())
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(rows.concat())
}

fn precision_at_5(queries: &[(String, Vec<usize>)], vectors: &[f32], dim: usize) -> Option<f64> {
    let mut shares = Vec::new();
    for (_, group) in queries.iter().filter(|(_, group)| group.len() > 1) {
        for &photo in group {
            let query = &vectors[photo * dim..(photo + 1) * dim];
            let hits = exact::search(vectors, dim, query, 6);
            let others = hits
                .iter()
                .map(|hit| hit.id as usize)
                .filter(|id| *id != photo)
                .take(5);
            let right = others.filter(|id| group.contains(id)).count();
            shares.push(right as f64 / 5f64.min(group.len() as f64 - 1.0));
        }
    }
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

fn tell(
    args: &EvalArgs,
    queries: &[(String, Vec<usize>)],
    ranks: &[(usize, usize)],
    recall: [f64; 3],
    precision: Option<f64>,
    files: &[&str],
    doubt: Option<&Doubt>,
) -> anyhow::Result<()> {
    let photos = files.len();
    let mut worst: Vec<usize> = (0..queries.len()).collect();
    worst.sort_by_key(|&query| std::cmp::Reverse(ranks[query].0));
    worst.truncate(10);
    if args.json {
        let worst: Vec<_> = worst
            .iter()
            .map(|&q| json!({"query": queries[q].0, "rank": ranks[q].0 + 1, "first": files[ranks[q].1]}))
            .collect();
        let told = json!({
            "photos": photos, "queries": queries.len(),
            "recall_at_1": recall[0], "recall_at_5": recall[1], "recall_at_10": recall[2],
            "precision_at_5": precision, "worst": worst,
            "nothing_fits": doubt.map(Doubt::as_json),
        });
        say!("{}", serde_json::to_string(&told)?);
        return Ok(());
    }
    say!("{photos} photos, {} queries", queries.len());
    for (cut, value) in CUTS.iter().zip(recall) {
        say!(
            "text→image recall@{cut:<2} {:5.1} %  (chance {:.1} %)",
            100.0 * value,
            100.0 * share(*cut, photos)
        );
    }
    if let Some(value) = precision {
        say!("image→image precision@5 {:.3}", value);
    }
    if let Some(doubt) = doubt {
        doubt.tell()?;
    }
    say!("worst queries: rank of the right photo, and what came first");
    for query in worst {
        say!(
            "  {:4}  {}  ←  {}",
            ranks[query].0 + 1,
            queries[query].0,
            files[ranks[query].1]
        );
    }
    Ok(())
}
