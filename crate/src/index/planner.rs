//! How much of an index a query has to look at.
//!
//! A photo's embedding lies among the others and finds its neighbours in a few lists; words lie far
//! from all photos (the modality gap: Liang et al. 2022, "Mind the gap") and have to look into many
//! more. Which of the two a query is shows in how near it comes to a centroid, so nobody has to say it.
//! The numbers are measured when the index is built, on samples with exact answers.

use serde::{Deserialize, Serialize};

/// The share of the true nearest rows that an answer should hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recall {
    /// 95 % of the ten nearest.
    Fast,
    /// 99 % of the ten nearest, or as near to that as the codes allow.
    #[default]
    High,
    /// Every row is compared, in eight bits an axis.
    Exact,
}

/// How far one search goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// Lists that have to be scanned when every query gets as many.
    pub nprobe: u32,
    /// How much less than the tenth best score so far a list's cosine may be for the list to be scanned
    /// too: some queries need fewer lists, some more.
    #[serde(default = "any_gap")]
    pub gap: f32,
    /// Rows that are compared again with the finer codes.
    pub rerank: u32,
    /// The graph's `ef_search`, where walking it costs less than the lists; else 0.
    pub ef: u32,
    /// The recall@10 that was measured with it.
    pub recall: f32,
}

/// Before version 4 every query got as many lists.
fn any_gap() -> f32 {
    f32::MAX
}

/// Efforts for one kind of query.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Efforts {
    /// For [`Recall::Fast`].
    pub fast: Effort,
    /// For [`Recall::High`].
    pub high: Effort,
}

/// What was measured at building.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// A query whose best centroid scores less than this above the mean is treated as words.
    pub boundary: f32,
    /// For photos.
    pub photo: Efforts,
    /// For words.
    pub word: Efforts,
}

impl Default for Plan {
    /// Everything is looked at: what is right before anything was measured.
    fn default() -> Self {
        let effort = Effort {
            nprobe: u32::MAX,
            gap: any_gap(),
            rerank: 1024,
            ef: 0,
            recall: 0.0,
        };
        let efforts = Efforts {
            fast: effort,
            high: effort,
        };
        Self {
            boundary: 0.0,
            photo: efforts,
            word: efforts,
        }
    }
}

/// What a search did, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// `photo` or `word`: how near the query came to a centroid; `any` where that makes no difference.
    pub kind: &'static str,
    /// `lists`: some lists were scanned; `graph`: links were followed; `rows`: every row that is shown was
    /// compared, since so few are or because that was asked for.
    pub route: &'static str,
    /// Lists that were scanned, and how many there are.
    pub lists: (usize, usize),
    /// Rows whose coarse codes were scanned.
    pub scanned: usize,
    /// Rows that were compared with the finer codes.
    pub compared: usize,
}

impl Explanation {
    /// Every one of `rows` rows was compared, since there is no other way.
    pub(super) fn flat(rows: usize) -> Self {
        Self {
            kind: "any",
            route: "rows",
            lists: (0, 0),
            scanned: 0,
            compared: rows,
        }
    }
}

impl Plan {
    /// How far to go for a query whose best centroid scores `nearness` above the mean.
    pub(super) fn effort(&self, nearness: f32, recall: Recall) -> (&'static str, Effort) {
        let (kind, efforts) = if nearness < self.boundary {
            ("word", self.word)
        } else {
            ("photo", self.photo)
        };
        let effort = match recall {
            Recall::Fast => efforts.fast,
            Recall::High | Recall::Exact => efforts.high,
        };
        (kind, effort)
    }
}
