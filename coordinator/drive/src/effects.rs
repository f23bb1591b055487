//! What an input leads to outside.

use std::collections::BTreeMap;

use longshore_core::{Order, Reply, RequestId};

use crate::LinkId;

/// What may leave now. It is carried out in the order of its fields, so that whoever has a reply sees what it speaks of.
///
/// `X` is whatever the driver wants done in its turn.
#[derive(Debug)]
pub struct Effects<X> {
    /// What is shown changes.
    pub shown: Vec<X>,
    /// Orders for links that are up, each link's in order.
    pub orders: BTreeMap<LinkId, Vec<Order>>,
    /// Answers to requests.
    pub replies: Vec<(RequestId, Reply)>,
    /// Answers to those who looked.
    pub told: Vec<X>,
    /// Orders that go nowhere, since their link has ended: the worker's next hello settles everything.
    pub dropped: usize,
}

impl<X> Default for Effects<X> {
    fn default() -> Self {
        Self { shown: Vec::new(), orders: BTreeMap::new(), replies: Vec::new(), told: Vec::new(), dropped: 0 }
    }
}
