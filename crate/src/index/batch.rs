//! Many queries at a time.
//!
//! ```text
//! queries ─▶ blocks, one a core ─▶ lists, in their own order, for all queries of a block that are led to them ─▶ k hits
//! ```
//! A query alone waits for memory: its lists lie anywhere. Of a block, several are led to the same list. Of a million
//! rows, photos by `high` and words are found 1.2 times faster so.

use super::Hit;
use super::compact::{Compact, Route, Search, Started};
use super::parallel::{each, threads};
use super::planner::Explanation;
use super::scan::{Way, reach_together};
use crate::kernels::Kernels;

/// The most queries of a block: some 50 kB each.
const BLOCK: usize = 256;
/// So many bytes of codes lie in a cache anyway, so that nothing is won.
const CACHED: usize = 32 << 20;

impl Compact {
    /// [`Compact::search`] for each, in their order, to the bit; natively on every core.
    ///
    /// # Panics
    /// When a query's length is not `dim`.
    pub fn search_batch(
        &self,
        searches: &[Search<'_>],
        kernels: &Kernels,
    ) -> Vec<(Vec<Hit>, Explanation)> {
        if self.parts().scan.codes.len() < CACHED {
            return each(searches.len(), |at| self.search(&searches[at], kernels));
        }
        let size = searches.len().div_ceil(threads()).clamp(1, BLOCK);
        let blocks: Vec<&[Search<'_>]> = searches.chunks(size).collect();
        let answers = each(blocks.len(), |at| self.search_together(blocks[at], kernels));
        answers.into_iter().flatten().collect()
    }

    /// [`Compact::search`] for each of a block.
    pub(super) fn search_together(
        &self,
        searches: &[Search<'_>],
        kernels: &Kernels,
    ) -> Vec<(Vec<Hit>, Explanation)> {
        let start = |search| self.started(&self.parts().plan, search, kernels);
        let mut started: Vec<Started> = searches.iter().map(start).collect();
        let led = started.iter_mut().zip(searches);
        let ways = led.filter_map(|(Started { query, route, .. }, search)| match route {
            Route::Lists(reach) => {
                let lists = (&mut query.ranked[..], &query.tables);
                let through = (search.hidden, kernels);
                Some(Way::new(self.parts(), reach, lists, through))
            }
            Route::Rows | Route::Graph(_) => None,
        });
        let mut met = reach_together(ways.collect(), self.parts().lists.len()).into_iter();
        let finish = |(mut started, search): (Started, &Search<'_>)| {
            let found = match started.route {
                Route::Lists(_) => {
                    let met = met.next().unwrap_or_default();
                    let decided = self
                        .parts()
                        .decide(&met.rows, search.k, &started.query, kernels);
                    (decided, met)
                }
                route => self.follow(route, &mut started.query, search, kernels),
            };
            self.finished(started, search, found, kernels)
        };
        started.into_iter().zip(searches).map(finish).collect()
    }
}
