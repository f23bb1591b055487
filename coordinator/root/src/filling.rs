//! Bytes that come piece by piece, with room taken for them as they come.

use bytes::Bytes;
use tokio::time::Instant;

use crate::memory::{Account, Held, NoMemory};

/// The first room of bytes of which nobody knows how many will come.
const LEAST: usize = 16 << 10;

/// Bytes of which some have come. What counts is what is set aside for them.
pub struct Filling {
    account: Account,
    /// The only piece, as long as there is one alone: it is not copied.
    only: Bytes,
    whole: Vec<u8>,
    held: Option<Held>,
}

impl Filling {
    /// Nothing has come.
    #[must_use]
    pub fn new(account: &Account) -> Self {
        Self { account: account.lent(), only: Bytes::new(), whole: Vec::new(), held: None }
    }

    /// Room for this many, which are said to come; more may.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn expect(&mut self, bytes: u64, until: Instant) -> Result<(), NoMemory> {
        let held = self.held.as_ref().map_or(0, Held::bytes);
        if bytes > held {
            let more = self.account.hold(bytes - held, until).await?;
            self.add(more);
        }
        Ok(())
    }

    /// Room that was taken for it elsewhere.
    pub fn add(&mut self, more: Held) {
        match &mut self.held {
            Some(held) => held.join(more),
            None => self.held = Some(more),
        }
    }

    /// How many have come.
    #[must_use]
    pub fn len(&self) -> usize {
        self.only.len() + self.whole.len()
    }

    /// Whether nothing has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next piece.
    ///
    /// # Errors
    /// When there is no room for it in time.
    pub async fn push(&mut self, piece: Bytes, until: Instant) -> Result<(), NoMemory> {
        if self.make_room(piece.len()).is_err() {
            let lacks = (self.len() + piece.len()).saturating_sub(self.room());
            let more = self.account.hold(lacks as u64, until).await?;
            self.add(more);
        }
        self.take(piece);
        Ok(())
    }

    /// The next piece, if there is room for it now.
    ///
    /// # Errors
    /// When there is none.
    pub fn push_now(&mut self, piece: Bytes) -> Result<(), NoMemory> {
        self.make_room(piece.len())?;
        self.take(piece);
        Ok(())
    }

    fn make_room(&mut self, piece: usize) -> Result<(), NoMemory> {
        let (len, held) = (self.len() + piece, self.room());
        if len <= held {
            return Ok(());
        }
        // Whatever comes in many pieces doubles its room, that it need not be copied for each of them.
        let room = if self.is_empty() { len } else { len.max(held.saturating_mul(2)).max(LEAST) };
        let more =
            self.account.hold_now((room - held) as u64).or_else(|_| self.account.hold_now((len - held) as u64))?;
        self.add(more);
        Ok(())
    }

    fn take(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.only = piece;
            return;
        }
        let room = self.room();
        if self.whole.capacity() < room {
            self.whole.reserve_exact(room - self.whole.len());
        }
        self.whole.extend_from_slice(&std::mem::take(&mut self.only));
        self.whole.extend_from_slice(&piece);
    }

    /// All that has come.
    #[must_use]
    pub fn whole(mut self) -> Bytes {
        let len = self.len() as u64;
        let bytes = if self.whole.is_empty() {
            self.only
        } else {
            self.whole.shrink_to_fit();
            self.whole.into()
        };
        match self.held {
            Some(mut held) => {
                held.shrink(len);
                held.keep(bytes)
            }
            None => bytes,
        }
    }

    fn room(&self) -> usize {
        usize::try_from(self.held.as_ref().map_or(0, Held::bytes)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[tokio::test(start_paused = true)]
    async fn bytes_that_come_in_pieces_are_whole_and_hold_what_they_take() {
        let memory = Memory::new(8 << 20);
        let account = memory.account("").of("a");
        for pieces in [vec![], vec!["one"], vec!["one", " and ", "another"]] {
            let mut filling = Filling::new(&account);
            for piece in &pieces {
                filling.push(Bytes::from_static(piece.as_bytes()), Instant::now()).await.unwrap();
            }
            let whole = filling.whole();
            assert_eq!((&whole[..], memory.used()), (pieces.concat().as_bytes(), whole.len() as u64));
        }
        let mut filling = Filling::new(&account);
        filling.expect(1 << 20, Instant::now()).await.unwrap();
        for _ in 0..64 {
            filling.push_now(vec![7; 16 << 10].into()).unwrap();
        }
        assert_eq!(memory.used(), 1 << 20, "what is announced is taken once");
        drop(filling);
        assert_eq!(memory.used(), 0);
    }
}
