//! How much of an index a query has to look at.
//!
//! A photo's embedding lies among the others and finds its neighbours in a few lists; words lie far
//! from all photos (the modality gap: Liang et al. 2022, "Mind the gap") and have to look into many
//! more. Which of the two a query is shows in how near it comes to a centroid, so nobody has to say it.
//! How many lists words need depends on how far they lean to the mean of all photos, as CLIP's do and
//! other models' do not: a centroid's cosine grows with that. So it is measured for words of two kinds.
//! The numbers are measured when the index is built, on samples with exact answers.

use serde::{Deserialize, Serialize};

use super::ivf::Ranked;

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
    /// For words that lean to the mean.
    #[serde(default)]
    pub leaning: Option<Leaning>,
}

/// Efforts for words that lean to the mean of all vectors; between these and the others they are
/// interpolated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Leaning {
    /// A query's mean inner product with the centroids up to which [`Plan::word`] holds.
    pub from: f32,
    /// That from which `efforts` hold, larger than `from`.
    pub to: f32,
    /// What was measured there.
    pub efforts: Efforts,
}

/// How a query lies to an index's centroids.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Bearing {
    /// The mean inner product with them.
    pub mean: f32,
    /// By how much the largest one stands out.
    pub nearness: f32,
}

impl Bearing {
    pub fn of(ranked: &[Ranked]) -> Self {
        let mean = ranked.iter().map(|list| list.score).sum::<f32>() / ranked.len().max(1) as f32;
        Self::around(mean, ranked)
    }

    /// Of a query with that mean, and the lists nearest to it.
    pub fn around(mean: f32, ranked: &[Ranked]) -> Self {
        let most = ranked.iter().map(|list| list.score).reduce(f32::max);
        Self {
            mean,
            nearness: most.map_or(0.0, |most| most - mean),
        }
    }
}

impl Effort {
    /// What is `share` of the way from this to `other`.
    fn towards(self, other: Self, share: f32) -> Self {
        let between = |a: f32, b: f32| a + (b - a) * share;
        let count = |a: u32, b: u32| between(a as f32, b as f32).ceil() as u32;
        let is_by_gap = self.gap < any_gap() && other.gap < any_gap();
        let walks = self.ef > 0 && other.ef > 0;
        Self {
            nprobe: count(self.nprobe, other.nprobe),
            gap: if is_by_gap {
                between(self.gap, other.gap)
            } else {
                any_gap()
            },
            rerank: count(self.rerank, other.rerank),
            ef: if walks { count(self.ef, other.ef) } else { 0 },
            recall: self.recall.min(other.recall),
        }
    }
}

impl Efforts {
    pub(super) fn of(&self, recall: Recall) -> Effort {
        match recall {
            Recall::Fast => self.fast,
            Recall::High | Recall::Exact => self.high,
        }
    }
}

impl Leaning {
    /// How far a query leans, from 0 to 1.
    fn share(&self, mean: f32) -> f32 {
        if self.to > self.from {
            ((mean - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }
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
            leaning: None,
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
    /// How far to go for a query that lies so.
    pub(super) fn effort(&self, query: Bearing, recall: Recall) -> (&'static str, Effort) {
        if query.nearness >= self.boundary {
            return ("photo", self.photo.of(recall));
        }
        let word = self.word.of(recall);
        let lean =
            |leaning: Leaning| word.towards(leaning.efforts.of(recall), leaning.share(query.mean));
        ("word", self.leaning.map_or(word, lean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn efforts(nprobe: u32, gap: f32) -> Efforts {
        let effort = Effort {
            nprobe,
            gap,
            rerank: nprobe,
            ef: 0,
            recall: 0.95,
        };
        Efforts {
            fast: effort,
            high: effort,
        }
    }

    fn word(plan: &Plan, mean: f32) -> Effort {
        let query = Bearing {
            mean,
            nearness: 0.0,
        };
        plan.effort(query, Recall::Fast).1
    }

    #[test]
    fn words_are_led_by_how_far_they_lean() {
        let mut plan = Plan {
            boundary: 0.5,
            photo: efforts(10, 0.02),
            word: efforts(200, 0.1),
            leaning: Some(Leaning {
                from: 0.0,
                to: 0.2,
                efforts: efforts(100, 0.06),
            }),
        };
        assert_eq!(word(&plan, -0.3).nprobe, 200);
        assert_eq!(word(&plan, 0.5).nprobe, 100);
        let half = word(&plan, 0.1);
        assert!(half.nprobe == 150 && (half.gap - 0.08).abs() < 1e-6);
        plan.word.fast.gap = any_gap();
        assert_eq!(word(&plan, 0.1).gap, any_gap());
        let narrow = plan.leaning.as_mut().expect("given");
        narrow.to = narrow.from;
        assert_eq!(word(&plan, 0.5).nprobe, 200, "nothing to divide by");
    }

    #[test]
    fn plans_from_before_there_was_leaning_are_read() {
        let plan = Plan {
            boundary: 0.5,
            photo: efforts(10, 0.02),
            word: efforts(200, 0.1),
            leaning: None,
        };
        let mut old = serde_json::to_value(plan).expect("JSON");
        old.as_object_mut().expect("an object").remove("leaning");
        assert_eq!(serde_json::from_value::<Plan>(old).ok(), Some(plan));
    }
}
