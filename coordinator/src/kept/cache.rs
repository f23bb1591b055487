//! What was read last and may be wanted again, bounded by the bytes it takes.

use std::{hash::Hash, sync::Arc};

use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter, sync};

/// Something whose size in memory is known, roughly.
pub trait HasSize {
    /// Bytes it takes.
    fn size_bytes(&self) -> usize;
}

/// Things by their names. Those that are asked for again stay longer than those that were asked for once, so that going
/// through everything once (a listing) does not drive out what is in use. Shared by threads.
pub type Cache<K, V> = sync::Cache<K, Arc<V>, BySize>;

/// A cache of about that many bytes, of which one thing usually takes `usual_bytes`.
pub fn of_bytes<K: Eq + Hash, V: HasSize>(bytes: usize, usual_bytes: usize) -> Cache<K, V> {
    let options = OptionsBuilder::new()
        // Each shard has a share of the bytes; with one, a thing may be as large as the whole.
        .shards(1)
        .estimated_items_capacity(bytes / usual_bytes)
        .weight_capacity(bytes as u64)
        .build()
        .expect("both capacities are given");
    sync::Cache::with_options(options, BySize, DefaultHashBuilder::default(), sync::DefaultLifecycle::default())
}

/// Weighs by size.
#[derive(Clone)]
pub struct BySize;

impl<K, V: HasSize> Weighter<K, Arc<V>> for BySize {
    fn weight(&self, _: &K, value: &Arc<V>) -> u64 {
        // What weighs nothing would never leave.
        value.size_bytes().max(1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(usize);

    impl HasSize for Thing {
        fn size_bytes(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let cache: Cache<usize, Thing> = of_bytes(1_000, 10);
        for name in 0..10_000 {
            cache.insert(name, Arc::new(Thing(name % 50)));
            assert!(cache.weight() <= 1_000, "{}", cache.weight());
        }
        assert!(cache.weight() > 900 && cache.len() > 10, "{} {}", cache.weight(), cache.len());
    }

    #[test]
    fn what_is_as_large_as_the_whole_is_kept_and_what_is_larger_is_not() {
        let cache: Cache<u8, Thing> = of_bytes(1_000, 10);
        cache.insert(1, Arc::new(Thing(900)));
        assert!(cache.get(&1).is_some());
        cache.insert(2, Arc::new(Thing(1_001)));
        assert!(cache.get(&2).is_none());
    }

    #[test]
    fn what_is_in_use_outlives_a_listing_of_everything() {
        let cache: Cache<usize, Thing> = of_bytes(1_000, 10);
        cache.insert(0, Arc::new(Thing(10)));
        for name in 1..10_000 {
            assert!(cache.get(&0).is_some(), "{name}");
            cache.insert(name, Arc::new(Thing(10)));
        }
    }
}
