//! All packs together: opening them, appending to the newest, reading from any.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use blake3::Hash;

use super::{
    durability::Durability,
    files::{Layout, failed},
    index::{Index, MAX_PACK, Place},
    listing,
    pack::{Found, HEADER_BYTES, encode, survey},
};
use crate::{Harm, Holding, Loss, MAX_PACK_BYTES, OpenError, PutError};

/// At most this many packs are kept open for reading.
const MAX_OPEN: usize = 128;

/// Records are joined into one write until it has this size.
const WRITE_BYTES: usize = 1 << 20;

/// How far a pack is known to be whole, as in [`Holding::Pack`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) bytes: u64,
    pub(crate) damaged: u32,
}

impl Floor {
    /// Those of all packs.
    pub(crate) fn all(holdings: &[Holding]) -> BTreeMap<u32, Self> {
        let packs = holdings.iter().filter_map(|holding| match *holding {
            Holding::Pack { number, bytes, damaged } => Some((number, Self { bytes, damaged })),
            Holding::File { .. } => None,
        });
        packs.collect()
    }

    fn holding(self, number: u32) -> Holding {
        Holding::Pack { number, bytes: self.bytes, damaged: self.damaged }
    }
}

/// The pack that is appended to.
#[derive(Debug, Default)]
struct Newest {
    number: u32,
    /// None when the next append starts a pack.
    file: Option<Arc<File>>,
    end: u64,
    /// Damaged stretches that are known.
    damaged: u32,
    /// Where it ended when it was told of last.
    reported: Option<u64>,
    /// Packs that were to be told of when another was begun.
    unreported: Vec<Holding>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Packs {
    newest: Mutex<Newest>,
    open: Mutex<HashMap<u32, Arc<File>>>,
}

/// All packs, gone through; nothing was changed.
#[derive(Debug, Default)]
pub(crate) struct Surveyed {
    pub(crate) index: Index,
    pub(crate) damaged: Vec<Hash>,
    /// Damage where it was known to be whole.
    pub(crate) losses: Vec<Loss>,
    newest: Newest,
}

impl Surveyed {
    /// Goes through all packs, of which so much is known. Only the newest can have been cut short by a crash, so its bytes
    /// are all verified: those that were never synced may be anything.
    pub(crate) fn of(layout: &Layout, floors: &BTreeMap<u32, Floor>) -> Result<Self, OpenError> {
        let numbers = layout.pack_numbers()?;
        let mut surveyed = Self::default();
        let last = numbers.last().copied();
        for &number in &numbers {
            let floor = floors.get(&number).copied().unwrap_or_default();
            if Some(number) == last {
                surveyed.newest(layout, number, floor)?;
            } else {
                let found = surveyed.full(layout, number, floor)?;
                surveyed.newest.unreported.extend((found != floor).then(|| found.holding(number)));
            }
        }
        Ok(surveyed)
    }

    /// Takes in a pack that takes no more, from its listing if there is one; answers how much of it is there.
    fn full(&mut self, layout: &Layout, number: u32, floor: Floor) -> Result<Floor, OpenError> {
        let path = layout.pack(number);
        let file = File::open(&path).map_err(failed("open", &path))?;
        let bytes = file.metadata().map_err(failed("look at", &path))?.len();
        let list = layout.listing(number);
        if let Some(records) = listing::read(&list, bytes) {
            self.collect(number, &records);
            return Ok(Floor { bytes, ..floor });
        }
        let found = survey(&file, false).map_err(failed("read", &path))?;
        self.collect(number, &found.records);
        let tail = (found.end < bytes).then_some(found.end);
        let stretches: Vec<u64> = found.gaps.iter().map(|(offset, _)| *offset).chain(tail).collect();
        self.judge(layout, number, floor, &stretches);
        // A pack that is damaged is gone through each time.
        if stretches.is_empty()
            && let Err(error) = listing::write(&list, &layout.temp().join("list"), bytes, &found.records)
        {
            tracing::warn!(pack = number, %error, "cannot write the pack's listing");
        }
        Ok(Floor { bytes, damaged: floor.damaged.max(count(&stretches)) })
    }

    /// Takes in the newest pack, all of it verified.
    fn newest(&mut self, layout: &Layout, number: u32, floor: Floor) -> Result<(), OpenError> {
        let path = layout.pack(number);
        let file = File::options().read(true).write(true).open(&path).map_err(failed("open", &path))?;
        let bytes = file.metadata().map_err(failed("look at", &path))?.len();
        let found = survey(&file, true).map_err(failed("read", &path))?;
        self.collect(number, &found.records);
        // What was put again, behind the damage, is whole.
        let hurt = found.records.iter().filter(|record| !record.sound && self.index.get(&record.digest).is_none());
        let mut stretches: Vec<u64> = found.gaps.iter().map(|(offset, _)| *offset).collect();
        stretches.extend(hurt.map(|record| record.offset));
        let damaged = count(&stretches);
        // A tail is torn when it was not acknowledged. That a file is too short is seen without reading it.
        stretches.extend((found.end < floor.bytes && floor.bytes <= bytes).then_some(found.end));
        self.judge(layout, number, floor, &stretches);
        let reported = (floor == Floor { bytes: found.end, damaged }).then_some(found.end);
        self.newest.number = number;
        self.newest.file = Some(Arc::new(file));
        (self.newest.end, self.newest.damaged, self.newest.reported) = (found.end, damaged, reported);
        Ok(())
    }

    /// What stretches that are not records mean for a pack of which so much is known.
    fn judge(&mut self, layout: &Layout, number: u32, floor: Floor, stretches: &[u64]) {
        let within: Vec<u64> = stretches.iter().copied().filter(|offset| *offset < floor.bytes).collect();
        if count(&within) > floor.damaged {
            let harm = Harm::Damaged { stretches: count(&within) };
            self.losses.push(Loss { path: layout.pack(number), harm });
            for offset in within {
                tracing::error!(pack = number, offset, "pack is damaged: blobs that began here are lost");
            }
        } else if !stretches.is_empty() {
            tracing::warn!(pack = number, places = stretches.len(), "pack has places that are no blobs, as is known");
        }
    }

    fn collect(&mut self, number: u32, records: &[Found]) {
        for found in records {
            if found.sound {
                self.index.insert(&found.digest, Place::new(number, found.offset, found.size));
            } else {
                self.damaged.push(found.digest);
            }
        }
    }

    /// The packs, to be used: cuts the torn end off the newest.
    pub(crate) fn open(self, layout: &Layout) -> Result<(Packs, Index, Vec<Hash>), OpenError> {
        let newest = self.newest;
        if let Some(file) = &newest.file {
            cut(file, newest.end).map_err(failed("cut the torn end of", &layout.pack(newest.number)))?;
        }
        Ok((Packs { newest: Mutex::new(newest), open: Mutex::default() }, self.index, self.damaged))
    }
}

fn count(stretches: &[u64]) -> u32 {
    u32::try_from(stretches.len()).unwrap_or(u32::MAX)
}

impl Packs {
    /// Appends those blobs that `held` does not know, many in one write, and tells `placed` where they lie. They are
    /// noted with `durability` but not yet durable. Both are called under the lock that orders appends; `placed` before
    /// `held` is asked of the next.
    pub(crate) fn append(
        &self,
        layout: &Layout,
        durability: &Durability,
        blobs: &[(&Hash, &[u8])],
        held: impl Fn(&Hash) -> bool,
        mut placed: impl FnMut(&[(Hash, Place)]),
    ) -> Result<(), PutError> {
        let mut newest = lock(&self.newest);
        let mut wanted = blobs.iter().filter(|(digest, _)| !held(digest)).peekable();
        while wanted.peek().is_some() {
            let mut write = Write::default();
            let here = &mut write;
            while here.records.len() < WRITE_BYTES
                && let Some((digest, data)) = wanted.next()
            {
                here.add(digest, data);
            }
            let places = newest.write(layout, durability, &write)?;
            placed(&places);
        }
        Ok(())
    }

    /// The bytes at a place, unverified.
    pub(crate) fn read(&self, layout: &Layout, place: Place) -> io::Result<Vec<u8>> {
        let file = self.file(layout, place.pack())?;
        let mut data = vec![0; place.len()];
        file.read_exact_at(&mut data, place.offset() + HEADER_BYTES as u64)?;
        Ok(data)
    }

    fn file(&self, layout: &Layout, number: u32) -> io::Result<Arc<File>> {
        if let Some(file) = lock(&self.open).get(&number) {
            return Ok(file.clone());
        }
        let file = Arc::new(File::open(layout.pack(number))?);
        let mut open = lock(&self.open);
        if open.len() >= MAX_OPEN
            && let Some(&other) = open.keys().next()
        {
            open.remove(&other);
        }
        open.insert(number, file.clone());
        Ok(file)
    }

    /// The packs that are not as they were told of last, as they are now.
    pub(crate) fn unreported(&self) -> Vec<Holding> {
        let mut newest = lock(&self.newest);
        let mut holdings = std::mem::take(&mut newest.unreported);
        holdings.extend(newest.report());
        holdings
    }
}

/// Records that are written together.
#[derive(Default)]
struct Write {
    records: Vec<u8>,
    blobs: HashMap<Hash, (usize, usize)>,
}

impl Write {
    fn add(&mut self, digest: &Hash, data: &[u8]) {
        // The same blob may come twice in one call.
        if let Entry::Vacant(place) = self.blobs.entry(*digest) {
            place.insert((self.records.len(), data.len()));
            encode(digest, data, &mut self.records);
        }
    }
}

impl Newest {
    /// The pack as it is now, unless that was told already.
    fn report(&mut self) -> Option<Holding> {
        if self.file.is_none() || self.reported == Some(self.end) {
            return None;
        }
        self.reported = Some(self.end);
        Some(Floor { bytes: self.end, damaged: self.damaged }.holding(self.number))
    }

    /// Writes at the end; answers where each blob lies.
    fn write(
        &mut self,
        layout: &Layout,
        durability: &Durability,
        write: &Write,
    ) -> Result<Vec<(Hash, Place)>, PutError> {
        let file = match &self.file {
            Some(file) if self.end < MAX_PACK_BYTES => file.clone(),
            _ => start_pack(self, layout, durability)?,
        };
        if let Err(error) = file.write_all_at(&write.records, self.end) {
            // What was half written must not stand before the next record.
            if file.set_len(self.end).is_err() {
                self.file = None;
            }
            return Err(PutError::io("append to", layout.pack(self.number), error));
        }
        durability.wrote(&file);
        let place = |(digest, (at, len)): (&Hash, &(usize, usize))| {
            (*digest, Place::new(self.number, self.end + *at as u64, *len))
        };
        let places = write.blobs.iter().map(place).collect();
        self.end += write.records.len() as u64;
        Ok(places)
    }
}

fn start_pack(newest: &mut Newest, layout: &Layout, durability: &Durability) -> Result<Arc<File>, PutError> {
    let number = newest.number + 1;
    let path = layout.pack(number);
    if number > MAX_PACK {
        let source = io::Error::other("no pack number is left");
        return Err(PutError::Full { path, source });
    }
    // Only the newest pack may have bytes that are not durable: that is all that is synced when it is opened again.
    durability.sync().map_err(|error| PutError::io("sync", layout.packs(), error))?;
    let made =
        durability.change_name(&layout.packs(), || File::options().read(true).write(true).create_new(true).open(&path));
    let file = Arc::new(made.map_err(|error| PutError::io("create", &path, error))?);
    let told = newest.report();
    newest.unreported.extend(told);
    *newest = Newest {
        number,
        file: Some(file.clone()),
        unreported: std::mem::take(&mut newest.unreported),
        ..Newest::default()
    };
    Ok(file)
}

fn cut(file: &File, end: u64) -> io::Result<()> {
    if file.metadata()?.len() > end {
        file.set_len(end)?;
    }
    // Also makes durable what was indexed but written just before a crash of the process.
    file.sync_data()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
