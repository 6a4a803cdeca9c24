//! How well a search knows that nothing fits: queries that photos answer against queries that none does.

use std::path::Path;

use anyhow::{Context, ensure};
use photorecall::encoder::Model;
use photorecall::library::{Library, Photo, Query};
use serde_json::{Value, json};

use crate::{browse, info};

/// The thresholds that the curve is told at.
const THRESHOLDS: [f32; 9] = [1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 4.0];

/// Deviations of the best hit ([`photorecall::library::Verdict`]) for both kinds of queries.
pub struct Doubt {
    answered: Vec<f32>,
    absent: Vec<f32>,
}

impl Doubt {
    /// Asks `queries`, which photos answer, and the lines of a file, which none does, of a library of
    /// these vectors.
    pub fn measure(
        model: &Model,
        files: &[&str],
        vectors: &[f32],
        queries: &[String],
        absent: &Path,
    ) -> anyhow::Result<Self> {
        let mut library = Library::create(info::model_ref(model));
        for (file, vector) in files.iter().zip(vectors.chunks_exact(model.dim())) {
            let path = (*file).to_owned();
            library.put(
                Photo {
                    path,
                    ..Photo::default()
                },
                vector,
            )?;
        }
        browse::teach(&mut library, model, 1)?;
        let text = std::fs::read_to_string(absent).with_context(|| absent.display().to_string())?;
        let lines: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .map(str::to_owned)
            .collect();
        ensure!(!lines.is_empty(), "{}: no queries", absent.display());
        let ask = |queries: &[String]| -> anyhow::Result<Vec<f32>> {
            let deviations = |words: &String| {
                let query = Query {
                    embedding: Some(model.text()?.embed(words)?),
                    k: 1,
                    ..Query::default()
                };
                let verdict = library.page(&query)?.verdict;
                Ok(verdict
                    .context("a library without photos, or a model without words")?
                    .deviations)
            };
            queries.iter().map(deviations).collect()
        };
        Ok(Self {
            answered: ask(queries)?,
            absent: ask(&lines)?,
        })
    }

    /// The share of answered queries that are told unlikely, and of absent ones that are told likely.
    fn errors(&self, threshold: f32) -> (f64, f64) {
        let share = |of: &[f32], below: bool| {
            let count = of
                .iter()
                .filter(|deviations| (**deviations < threshold) == below)
                .count();
            count as f64 / of.len().max(1) as f64
        };
        (share(&self.answered, true), share(&self.absent, false))
    }

    /// The chance that an answered query has more deviations than an absent one.
    fn area(&self) -> f64 {
        let wins = |a: &f32| {
            self.absent
                .iter()
                .map(|b| f64::from(u8::from(a > b)) + 0.5 * f64::from(u8::from(a == b)))
                .sum::<f64>()
        };
        let pairs = self.answered.len() * self.absent.len();
        self.answered.iter().map(wins).sum::<f64>() / pairs.max(1) as f64
    }

    pub fn as_json(&self) -> Value {
        let point = |threshold: &f32| {
            let (missed, false_hits) = self.errors(*threshold);
            json!({"deviations": threshold, "missed": missed, "false_hits": false_hits})
        };
        json!({"area": self.area(), "curve": THRESHOLDS.iter().map(point).collect::<Vec<_>>()})
    }

    pub fn tell(&self) -> anyhow::Result<()> {
        say!("nothing fits: area under the curve {:.3}", self.area());
        for threshold in THRESHOLDS {
            let (missed, false_hits) = self.errors(threshold);
            say!(
                "  at {threshold:.2} deviations {:5.1} % of the queries with photos told unlikely, {:5.1} % of those without told likely",
                100.0 * missed,
                100.0 * false_hits
            );
        }
        Ok(())
    }
}
