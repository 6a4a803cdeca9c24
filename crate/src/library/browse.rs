//! A library without a query: by month, and by what is seen.
//!
//! Clusters are made by spherical k-means (Dhillon and Modha 2001, "Concept Decompositions for Large
//! Sparse Text Data") over at most 4,096 photos, seeded by the first and the farthest ones, so that
//! the same library gives the same clusters, but for how processors round their sums. A cluster's word
//! is the one whose vector lies nearest to the cluster's centre, as seen from the middle of all centres:
//! what tells it from the others.

use std::collections::BTreeMap;

use super::ask::{Day, Filter};
use super::search::time_of;
use super::segment::Segment;
use super::{Library, Word, normalise};
use crate::kernels::Kernels;

/// Photos that the centres are made of.
const SAMPLE: usize = 4096;
const ROUNDS: usize = 12;
/// The most clusters where none are asked for: more than that is no overview.
const MAX_CLUSTERS: usize = 24;

/// The photos of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month {
    /// The year.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// How many photos.
    pub photos: usize,
    /// The path of the newest one.
    pub newest: String,
}

/// Photos that look alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// What most tells them from the others; `None` without words.
    pub word: Option<String>,
    /// Their paths, the most typical first.
    pub photos: Vec<String>,
}

impl Library {
    /// How many photos each month has, the newest first.
    pub fn months(&self, filter: Option<&Filter>) -> Vec<Month> {
        let mut months: BTreeMap<(u16, u8), (usize, f64, &str)> = BTreeMap::new();
        let rows = self.segments.iter().flat_map(|segment| {
            let holds = move |row: &usize| {
                filter.is_none_or(|filter| filter.holds(&segment.photos.glance(*row)))
            };
            let rows = segment.live_rows().filter(holds);
            rows.map(|row| segment.photos.record(row))
        });
        for photo in rows {
            let (day, time) = (Day::of_record(&photo), time_of(&photo));
            let month = months
                .entry((day.year, day.month))
                .or_insert((0, time, photo.path));
            month.0 += 1;
            if time > month.1 {
                (month.1, month.2) = (time, photo.path);
            }
        }
        let month = |((year, month), (photos, _, newest)): ((u16, u8), (usize, f64, &str))| Month {
            year,
            month,
            photos,
            newest: newest.to_owned(),
        };
        months.into_iter().rev().map(month).collect()
    }

    /// Photos in clusters by what is seen, the largest first; about √(n/2) of them where no number is
    /// asked for. They have words where the library has a vocabulary.
    pub fn clusters(&self, count: Option<usize>) -> Vec<Cluster> {
        let photos = self.places.len();
        let usual = ((photos as f64 / 2.0).sqrt() as usize).min(MAX_CLUSTERS);
        let count = count.unwrap_or(usual).clamp(1, photos.max(1));
        let rows = || {
            let of = |segment| Segment::live_rows(segment).map(move |row| (segment, row));
            self.segments.iter().flat_map(of)
        };
        let sample: Vec<Vec<f32>> = rows()
            .step_by(photos.div_ceil(SAMPLE).max(1))
            .map(|(segment, row)| segment.vectors.vector(row))
            .collect();
        let centres = centres(&sample, count);
        let mut members: Vec<Vec<(f32, &str)>> = vec![Vec::new(); centres.len()];
        // One vector at a time: those of a whole library may be more than a browser gives.
        for (segment, row) in rows() {
            if let Some((nearest, cosine)) = nearest(&segment.vectors.vector(row), &centres) {
                members[nearest].push((cosine, segment.photos.path(row)));
            }
        }
        let words = names(&centres, &self.vocabulary);
        let mut clusters: Vec<Cluster> = members
            .into_iter()
            .zip(words)
            .filter(|(photos, _)| !photos.is_empty())
            .map(|(mut photos, word)| {
                photos.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
                let photos = photos
                    .into_iter()
                    .map(|(_, path)| path.to_owned())
                    .collect();
                Cluster { word, photos }
            })
            .collect();
        clusters.sort_by(|a, b| {
            b.photos
                .len()
                .cmp(&a.photos.len())
                .then(a.photos.cmp(&b.photos))
        });
        clusters
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    Kernels::best().dot_f32(a, b)
}

/// The nearest of some centres and the cosine to it.
fn nearest(vector: &[f32], centres: &[Vec<f32>]) -> Option<(usize, f32)> {
    let cosines = centres.iter().map(|centre| dot(vector, centre)).enumerate();
    cosines.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
}

fn centres(sample: &[Vec<f32>], count: usize) -> Vec<Vec<f32>> {
    let mut centres = seeds(sample, count);
    for _ in 0..ROUNDS {
        let mut sums = vec![vec![0f32; sample.first().map_or(0, Vec::len)]; centres.len()];
        for vector in sample {
            if let Some((at, _)) = nearest(vector, &centres) {
                sums[at]
                    .iter_mut()
                    .zip(vector)
                    .for_each(|(sum, x)| *sum += x);
            }
        }
        for (centre, sum) in centres.iter_mut().zip(sums) {
            // One without photos stays where it is.
            if let Ok(moved) = normalise(sum) {
                *centre = moved;
            }
        }
    }
    centres
}

/// The first photo, and then each time the one that is farthest from all before.
fn seeds(sample: &[Vec<f32>], count: usize) -> Vec<Vec<f32>> {
    let mut seeds: Vec<Vec<f32>> = Vec::new();
    let mut closest = vec![f32::MIN; sample.len()];
    let mut next = (!sample.is_empty()).then_some(0);
    while let Some(at) = next.filter(|_| seeds.len() < count) {
        seeds.push(sample[at].clone());
        for (closest, vector) in closest.iter_mut().zip(sample) {
            *closest = closest.max(dot(vector, &sample[at]));
        }
        let far = closest.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        // Equal photos make no further cluster.
        next = far
            .filter(|(_, cosine)| **cosine < 0.9999)
            .map(|(at, _)| at);
    }
    seeds
}

/// A word for each centre; each word names one cluster, the one that it fits best.
fn names(centres: &[Vec<f32>], words: &[Word]) -> Vec<Option<String>> {
    let mut names = vec![None; centres.len()];
    let Some(dim) = centres.first().map(Vec::len) else {
        return names;
    };
    let mean = |vectors: &mut dyn Iterator<Item = &Vec<f32>>, count: usize| -> Vec<f32> {
        let mut sum = vec![0f32; dim];
        for vector in vectors {
            sum.iter_mut()
                .zip(vector)
                .for_each(|(sum, x)| *sum += x / count as f32);
        }
        sum
    };
    let middle = mean(&mut centres.iter(), centres.len());
    let usual = mean(
        &mut words.iter().map(|word| &word.vector),
        words.len().max(1),
    );
    let from = |vector: &[f32], origin: &[f32]| -> Vec<f32> {
        vector.iter().zip(origin).map(|(x, o)| x - o).collect()
    };
    let mut fits: Vec<(f32, usize, usize)> = Vec::new();
    for (c, centre) in centres.iter().enumerate() {
        let centre = if centres.len() > 1 {
            from(centre, &middle)
        } else {
            centre.clone()
        };
        for (w, word) in words.iter().enumerate() {
            fits.push((dot(&centre, &from(&word.vector, &usual)), c, w));
        }
    }
    fits.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut taken = vec![false; words.len()];
    for (_, c, w) in fits {
        if names[c].is_none() && !taken[w] {
            names[c] = Some(words[w].word.clone());
            taken[w] = true;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::{ModelRef, Photo};

    fn library(vectors: &[[f32; 3]]) -> Library {
        let mut library = Library::create(ModelRef {
            name: "m".into(),
            digest: "d".into(),
            dim: 3,
        });
        for (i, vector) in vectors.iter().enumerate() {
            let photo = Photo {
                path: format!("{i}.jpg"),
                taken: Some(format!("20{}-0{}-11T10:00:00", 19 + i / 4, 1 + i % 2)),
                ..Photo::default()
            };
            let vector = normalise(vector.to_vec()).expect("a direction");
            library.put(photo, &vector).expect("fits");
        }
        library
    }

    #[test]
    fn what_looks_alike_comes_together_and_has_a_word() {
        let mut library = library(&[
            [1.0, 0.1, 0.0],
            [0.0, 1.0, 0.1],
            [1.0, 0.0, 0.1],
            [0.1, 1.0, 0.0],
            [1.0, 0.0, 0.0],
        ]);
        let word = |name: &str, vector: [f32; 3]| Word {
            word: name.to_owned(),
            vector: vector.to_vec(),
        };
        let words = vec![
            word("sea", [0.0, 1.0, 0.0]),
            word("dog", [1.0, 0.0, 0.0]),
            word("sky", [0.0, 0.0, 1.0]),
        ];
        assert_eq!(library.clusters(Some(9)).len(), 5, "none has a word yet");
        library.set_vocabulary(words).expect("they fit");
        let clusters = library.clusters(Some(2));
        assert_eq!(clusters.len(), 2);
        assert_eq!(
            (clusters[0].word.as_deref(), clusters[0].photos.len()),
            (Some("dog"), 3)
        );
        assert_eq!(
            (clusters[1].word.as_deref(), clusters[1].photos.len()),
            (Some("sea"), 2)
        );
        assert_eq!(clusters[0].photos[0], "4.jpg", "the most typical first");
        assert!(
            library
                .clusters(None)
                .iter()
                .map(|c| c.photos.len())
                .sum::<usize>()
                == 5
        );
    }

    #[test]
    fn nothing_has_no_clusters_and_no_months() {
        let library = library(&[]);
        assert!(library.clusters(None).is_empty() && library.months(None).is_empty());
    }

    #[test]
    fn months_are_counted() {
        let library = library(&[[1.0, 0.0, 0.0]; 6]);
        let months = library.months(None);
        let told: Vec<(u16, u8, usize)> =
            months.iter().map(|m| (m.year, m.month, m.photos)).collect();
        assert_eq!(
            told,
            [(2020, 2, 1), (2020, 1, 1), (2019, 2, 2), (2019, 1, 2)]
        );
        let ask = super::super::ask::Ask::parse("date:2020").expect("valid");
        assert_eq!(library.months(ask.filter.as_ref()).len(), 2);
    }
}
