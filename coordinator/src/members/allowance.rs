//! What one token or one member may have under way at once, so that nobody takes what others need.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// Something that counts until it is dropped.
pub type Permit = OwnedSemaphorePermit;

/// Somebody has as much under way as they may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this {whose} has {most} {what} under way already")]
pub struct TooMany {
    whose: &'static str,
    most: usize,
    what: &'static str,
}

/// Counted for one token or member, whatever connections its requests come by.
#[derive(Debug)]
pub struct Allowance {
    /// `token` or `worker`, for people.
    whose: &'static str,
    requests: usize,
    free: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    open_downloads: Arc<Semaphore>,
}

impl Allowance {
    /// A person's token's.
    pub fn of_token() -> Self {
        Self::new("token", limits::REQUESTS_OF_TOKEN)
    }

    /// A member's.
    pub fn of_member() -> Self {
        Self::new("worker", limits::REQUESTS_OF_MEMBER)
    }

    fn new(whose: &'static str, requests: usize) -> Self {
        Self {
            whose,
            requests,
            free: Arc::new(Semaphore::new(requests)),
            downloads: Arc::new(Semaphore::new(limits::DOWNLOADS_OF_ONE)),
            open_downloads: Arc::new(Semaphore::new(limits::OPEN_DOWNLOADS_OF_ONE)),
        }
    }

    /// For one more request, until it is answered.
    ///
    /// # Errors
    /// When there are too many already.
    pub fn request(&self) -> Result<Permit, TooMany> {
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| self.too_many(self.requests, "requests"))
    }

    /// For one more download, until nobody reads it any more.
    ///
    /// # Errors
    /// When there are too many already.
    pub fn open_download(&self) -> Result<Permit, TooMany> {
        let too_many = |_| self.too_many(limits::OPEN_DOWNLOADS_OF_ONE, "downloads");
        Arc::clone(&self.open_downloads).try_acquire_owned().map_err(too_many)
    }

    /// Where its open downloads wait until it is their turn to be sent.
    pub fn downloads(&self) -> Arc<Semaphore> {
        Arc::clone(&self.downloads)
    }

    fn too_many(&self, most: usize, what: &'static str) -> TooMany {
        TooMany { whose: self.whose, most, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_is_told_what_it_has_under_way() {
        let (one, other) = (Allowance::of_token(), Allowance::of_token());
        let mut held: Vec<_> = (0..limits::REQUESTS_OF_TOKEN).map(|_| one.request().unwrap()).collect();
        let told = "this token has 256 requests under way already";
        assert_eq!(one.request().unwrap_err().to_string(), told);
        assert!(other.request().is_ok());
        held.pop();
        assert!(one.request().is_ok());
        let open: Vec<_> = (0..limits::OPEN_DOWNLOADS_OF_ONE).map(|_| one.open_download().unwrap()).collect();
        assert!(one.open_download().is_err() && other.open_download().is_ok());
        drop(open);
        assert!(one.open_download().is_ok());
    }
}
