//! A library without a query, by what is seen.
//!
//! Clusters are made by spherical k-means (Dhillon and Modha 2001, "Concept Decompositions for Large
//! Sparse Text Data") over at most 4,096 photos, seeded by the first and the farthest ones, so that
//! the same library gives the same clusters, but for how processors round their sums. A cluster's word
//! is the one whose vector lies nearest to the cluster's centre, as seen from the middle of all centres:
//! what tells it from the others. They are made in steps of some milliseconds, for callers that have others to
//! answer in between.

use super::{Library, Place, Word, normalise};
use crate::kernels::Kernels;

/// Photos that the centres are made of.
const SAMPLE: usize = 4096;
const ROUNDS: usize = 12;
/// Photos that a step puts into their clusters.
const STEP: usize = 2048;
/// The most clusters where none are asked for: more than that is no overview.
const MAX_CLUSTERS: usize = 24;

/// Photos that look alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// What most tells them from the others; `None` without words.
    pub word: Option<String>,
    /// Their paths, the most typical first.
    pub photos: Vec<String>,
}

/// Clusters in the making, of the photos that a library had when it began.
#[derive(Debug)]
pub struct Clustering {
    /// The library's changes then.
    changes: u64,
    /// Vectors that the centres are made of, and how often that is still done.
    sample: Vec<Vec<f32>>,
    rounds: usize,
    centres: Vec<Vec<f32>>,
    /// Cosine to the centre, and the photo's place.
    members: Vec<Vec<(f32, Place)>>,
    /// The photo that is looked at next.
    next: Place,
}

impl Library {
    /// Photos in clusters by what is seen, the largest first; about √(n/2) of them where no number is
    /// asked for. They have words where the library has a vocabulary.
    pub fn clusters(&self, count: Option<usize>) -> Vec<Cluster> {
        let mut clustering = self.clustering(count);
        while self.cluster_on(&mut clustering) {}
        self.clustered(clustering).unwrap_or_default()
    }

    /// Begins what [`Library::clusters`] does in one go: [`Library::cluster_on`] as long as it says so, then
    /// [`Library::clustered`].
    pub fn clustering(&self, count: Option<usize>) -> Clustering {
        let photos = self.places.len();
        let usual = ((photos as f64 / 2.0).sqrt() as usize).min(MAX_CLUSTERS);
        let count = count.unwrap_or(usual).clamp(1, photos.max(1));
        let sample: Vec<Vec<f32>> = (self.segments.iter())
            .flat_map(|segment| segment.live_rows().map(move |row| (segment, row)))
            .step_by(photos.div_ceil(SAMPLE).max(1))
            .map(|(segment, row)| segment.vectors.vector(row))
            .collect();
        let centres = seeds(&sample, count);
        Clustering {
            changes: self.changes,
            sample,
            rounds: ROUNDS,
            members: vec![Vec::new(); centres.len()],
            centres,
            next: (0, 0),
        }
    }

    /// Does the next step. False when nothing is left to do, or the library has changed.
    pub fn cluster_on(&self, clustering: &mut Clustering) -> bool {
        if clustering.changes != self.changes {
            return false;
        }
        if clustering.rounds > 0 {
            clustering.rounds -= 1;
            move_to_middles(&mut clustering.centres, &clustering.sample);
            return true;
        }
        let (at, first) = clustering.next;
        let Some(segment) = self.segments.get(at) else {
            return false;
        };
        // One vector at a time: those of a whole library may be more than a browser gives.
        let rows = first..segment.photos.len().min(first + STEP);
        for row in rows.clone().filter(|row| segment.is_live(*row)) {
            let vector = segment.vectors.vector(row);
            if let Some((nearest, cosine)) = nearest(&vector, &clustering.centres) {
                clustering.members[nearest].push((cosine, (at, row)));
            }
        }
        let is_last = rows.end == segment.photos.len();
        clustering.next = if is_last { (at + 1, 0) } else { (at, rows.end) };
        true
    }

    /// What came of it; `None` when the library has changed since it began.
    pub fn clustered(&self, clustering: Clustering) -> Option<Vec<Cluster>> {
        if clustering.changes != self.changes {
            return None;
        }
        let path = |(segment, row): Place| self.segments[segment].photos.path(row);
        let words = names(&clustering.centres, &self.vocabulary);
        let mut clusters: Vec<Cluster> = (clustering.members.into_iter())
            .zip(words)
            .filter(|(photos, _)| !photos.is_empty())
            .map(|(mut photos, word)| {
                photos.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| path(a.1).cmp(path(b.1))));
                let photos = photos.into_iter().map(|(_, place)| path(place).to_owned());
                Cluster {
                    word,
                    photos: photos.collect(),
                }
            })
            .collect();
        clusters.sort_by(|a, b| {
            b.photos
                .len()
                .cmp(&a.photos.len())
                .then(a.photos.cmp(&b.photos))
        });
        Some(clusters)
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

/// A round of k-means: each centre comes to the middle of the vectors that are nearest to it.
fn move_to_middles(centres: &mut [Vec<f32>], sample: &[Vec<f32>]) {
    let mut sums = vec![vec![0f32; sample.first().map_or(0, Vec::len)]; centres.len()];
    for vector in sample {
        if let Some((at, _)) = nearest(vector, centres) {
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
    fn nothing_has_no_clusters() {
        assert!(library(&[]).clusters(None).is_empty());
    }

    #[test]
    fn steps_find_what_one_go_finds() {
        let turned = |i: usize| [(i as f32 * 0.7).sin(), (i as f32 * 0.7).cos(), 0.2];
        let vectors: Vec<[f32; 3]> = (0..2 * STEP + 100).map(turned).collect();
        let mut library = library(&vectors);
        for at in (0..STEP).step_by(7) {
            library.remove(&format!("{at}.jpg"));
        }
        let mut clustering = library.clustering(Some(5));
        let mut steps = 0;
        while library.cluster_on(&mut clustering) {
            steps += 1;
        }
        assert!(steps > ROUNDS + 2, "{steps} steps");
        let clusters = library.clustered(clustering).expect("nothing has changed");
        assert_eq!(clusters, library.clusters(Some(5)));
        let photos: usize = clusters.iter().map(|cluster| cluster.photos.len()).sum();
        assert_eq!(photos, library.stats().photos);
    }

    #[test]
    fn a_change_in_between_is_told() {
        let mut library = library(&[[1.0, 0.1, 0.0], [0.0, 1.0, 0.1], [1.0, 0.0, 0.1]]);
        let mut clustering = library.clustering(Some(2));
        assert!(library.cluster_on(&mut clustering));
        library.remove("1.jpg");
        assert!(!library.cluster_on(&mut clustering));
        assert_eq!(library.clustered(clustering), None);
    }
}
