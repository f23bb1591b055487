//! The two traits: one owner that commits, any number of readers.

use std::sync::Arc;

use crate::{Batch, CommitError, Epoch, Key, ReadError, Value};

/// A key and its value.
pub type Entry = (Key, Value);

/// An ordered map that survives power loss. One owner commits; see [`Store::reader`] for the others.
pub trait Store: Send + 'static {
    /// Begins the next epoch and returns it when it is durable: one above all before it, or `at_least` when that is
    /// further on. From then on commits under an earlier epoch are refused, whoever makes them.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    fn begin_epoch(&mut self, at_least: Epoch) -> Result<Epoch, CommitError>;

    /// Applies the batch atomically and returns when it is durable, if `epoch` is the one begun last. That it still is,
    /// and the changes, are one step.
    ///
    /// # Errors
    /// [`CommitError::Refused`] and [`CommitError::LowSpace`] leave the store as it was and usable. So does
    /// [`CommitError::Fenced`], but not for this owner: its epoch is over, and it has to end. After any other error
    /// ([`CommitError::is_fatal`]) it is unknown whether the batch is kept, every later commit fails, and the only way on
    /// is to end the process and open the store again. A failed commit must never be tried again on the same store:
    /// the kernel may have dropped the unwritten pages and report success the second time.
    fn commit(&mut self, epoch: Epoch, batch: &Batch) -> Result<(), CommitError>;

    /// The value of `key`.
    ///
    /// # Errors
    /// When the entry cannot be read or is damaged.
    fn get(&self, key: &[u8]) -> Result<Option<Value>, ReadError>;

    /// Entries whose key begins with `prefix` and is greater than `after` (if given), in key order, at most `limit`.
    ///
    /// # Errors
    /// When one of them cannot be read or is damaged; none is returned then.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, ReadError>;

    /// Bytes it takes on disk, roughly.
    fn size_bytes(&self) -> u64;

    /// A read handle for other threads. The store stays open (and locked) until its last reader is gone.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Does what commits have put off (never durability). Called by an owner that has been idle for a second.
    ///
    /// # Errors
    /// As for [`Store::commit`], always fatal.
    fn settle(&mut self) -> Result<(), CommitError> {
        Ok(())
    }
}

/// A read handle. It may see a batch a moment before its commit returns, that is before it is durable; a scan running
/// beside commits may see some of them and not others.
pub trait Reader: Send + Sync + 'static {
    /// As [`Store::get`].
    ///
    /// # Errors
    /// When the entry cannot be read or is damaged.
    fn get(&self, key: &[u8]) -> Result<Option<Value>, ReadError>;

    /// As [`Store::scan`].
    ///
    /// # Errors
    /// When one of the entries cannot be read or is damaged; none is returned then.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, ReadError>;
}

impl Store for Box<dyn Store> {
    fn begin_epoch(&mut self, at_least: Epoch) -> Result<Epoch, CommitError> {
        (**self).begin_epoch(at_least)
    }

    fn commit(&mut self, epoch: Epoch, batch: &Batch) -> Result<(), CommitError> {
        (**self).commit(epoch, batch)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Value>, ReadError> {
        (**self).get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, ReadError> {
        (**self).scan(prefix, after, limit)
    }

    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        (**self).reader()
    }

    fn settle(&mut self) -> Result<(), CommitError> {
        (**self).settle()
    }
}
