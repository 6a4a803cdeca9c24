//! A library without a query, by month.

use std::collections::BTreeMap;

use super::Library;
use super::ask::{Day, Filter};
use super::search::time_of;

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::{ModelRef, Photo};

    fn library(photos: usize) -> Library {
        let mut library = Library::create(ModelRef {
            name: "m".into(),
            digest: "d".into(),
            dim: 3,
        });
        for i in 0..photos {
            let photo = Photo {
                path: format!("{i}.jpg"),
                taken: Some(format!("20{}-0{}-11T10:00:00", 19 + i / 4, 1 + i % 2)),
                ..Photo::default()
            };
            library.put(photo, &[1.0, 0.0, 0.0]).expect("fits");
        }
        library
    }

    #[test]
    fn nothing_has_no_months() {
        assert!(library(0).months(None).is_empty());
    }

    #[test]
    fn months_are_counted() {
        let library = library(6);
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
