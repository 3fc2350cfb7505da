//! Times in buckets: 64 for each power of two, so that no value is off by more than two percent.

use std::time::Duration;

const SUB: u32 = 6;

/// How often each time occurred, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; 64 << SUB], count: 0 }
    }
}

impl Histogram {
    /// Counts one time.
    pub fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time in microseconds that this share (0 to 1) of all does not exceed; 0 when there are none.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return middle(index) / 1_000.0;
            }
        }
        0.0
    }
}

/// The first 64 buckets hold one value each, the next 64 two each, and so on.
fn bucket(nanos: u64) -> usize {
    let exponent = nanos.max(1).ilog2().saturating_sub(SUB);
    let rest = usize::try_from(nanos >> exponent).unwrap_or(0);
    if nanos < 1 << SUB { rest } else { ((exponent as usize + 1) << SUB) + rest - (1 << SUB) }
}

#[expect(clippy::cast_precision_loss, reason = "a time of more than 2^52 nanoseconds is no time of a request")]
fn middle(index: usize) -> f64 {
    let (row, column) = (index >> SUB, index & ((1 << SUB) - 1));
    if row == 0 {
        return index as f64;
    }
    let width = 1_u64 << (row - 1);
    (column as u64 + (1 << SUB)) as f64 * width as f64 + width as f64 / 2.0
}
