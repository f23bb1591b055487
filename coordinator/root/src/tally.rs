//! What has come of a query so far, counted.

/// What became of a shard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    /// Its part is there, whole.
    Whole,
    /// Its part is there, with this share of the shard: at least 0, and less than 1.
    InPart(f64),
    /// There is no part of it.
    Missing,
}

/// Counts over the shards of one query.
#[derive(Debug)]
pub(crate) struct Tally {
    weights: Vec<u64>,
    total: f64,
    out: usize,
    out_weight: f64,
    whole: usize,
    in_part: usize,
    covered: f64,
}

#[allow(clippy::cast_precision_loss, reason = "weights have at most 53 bits together")]
fn float(weight: u64) -> f64 {
    weight as f64
}

impl Tally {
    /// Shards of these weights, each at least 1; all are out.
    pub fn of(weights: &[u64]) -> Self {
        let total = float(weights.iter().sum());
        Self {
            out: weights.len(),
            out_weight: total,
            weights: weights.to_vec(),
            total,
            whole: 0,
            in_part: 0,
            covered: 0.0,
        }
    }

    /// A shard that was out is not any more.
    pub fn note(&mut self, shard: u32, state: State) {
        let weight = float(self.weights[shard as usize]);
        self.out -= 1;
        self.out_weight -= weight;
        match state {
            State::Whole => {
                self.whole += 1;
                self.covered += weight;
            }
            State::InPart(share) => {
                self.in_part += 1;
                self.covered += weight * share;
            }
            State::Missing => {}
        }
    }

    /// Shards there are.
    pub fn shards(&self) -> usize {
        self.weights.len()
    }

    /// Shards that are out.
    pub fn out(&self) -> usize {
        self.out
    }

    /// Parts that are whole.
    pub fn whole(&self) -> usize {
        self.whole
    }

    /// Parts that are there, whole or not.
    pub fn parts(&self) -> usize {
        self.whole + self.in_part
    }

    /// The share of the service that is there.
    pub fn covered(&self) -> f64 {
        self.share(self.covered)
    }

    /// The share that can be there, if all that is out comes whole.
    pub fn coverable(&self) -> f64 {
        self.share(self.covered + self.out_weight)
    }

    fn share(&self, weight: f64) -> f64 {
        if self.total > 0.0 { weight / self.total } else { 0.0 }
    }
}
