//! Memory that the workers share: many small photos are decoded at once, a huge one on its own.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that may be in use at a time.
pub struct Budget {
    free: Mutex<u64>,
    given_back: Condvar,
    whole: u64,
}

/// Bytes taken from a [`Budget`], given back when dropped.
pub struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    pub fn new(whole: u64) -> Self {
        Self {
            free: Mutex::new(whole),
            given_back: Condvar::new(),
            whole,
        }
    }

    /// Waits until `bytes` are free; more than the whole is the whole.
    pub fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.whole);
        // A number is never half-written: a worker that panicked leaves it as good as any.
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .given_back
            .wait_while(free, |free| *free < bytes)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        Share {
            budget: self,
            bytes,
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let free = self.budget.free.lock();
        *free.unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn shares_never_exceed_the_whole_and_all_are_served() {
        let (budget, used, most) = (Budget::new(100), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (budget, used, most) = (&budget, &used, &most);
                scope.spawn(move || {
                    for turn in 0..200 {
                        let bytes = (thread * 37 + turn * 11) % 130;
                        let share = budget.take(bytes);
                        let now = used.fetch_add(share.bytes, Ordering::SeqCst) + share.bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        used.fetch_sub(share.bytes, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 100);
        assert_eq!(budget.free.into_inner().expect("whole"), 100);
    }
}
