//! All packs together: opening them, appending to the newest, reading from any.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use blake3::Hash;

use crate::{
    MAX_PACK_BYTES, OpenError, PutError,
    durability::Durability,
    files::{Layout, failed},
    index::{Index, MAX_PACK, Place},
    listing,
    pack::{Found, HEADER_BYTES, Survey, encode, survey},
};

/// At most this many packs are kept open for reading.
const MAX_OPEN: usize = 128;

/// Records are joined into one write until it has this size.
const WRITE_BYTES: usize = 1 << 20;

/// The pack that is appended to.
#[derive(Debug)]
struct Newest {
    number: u32,
    /// None when the next append starts a pack.
    file: Option<Arc<File>>,
    end: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Packs {
    newest: Mutex<Newest>,
    open: Mutex<HashMap<u32, Arc<File>>>,
}

/// What opening the packs found.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) index: Index,
    pub(crate) damaged: Vec<Hash>,
}

impl Packs {
    /// Goes through all packs. Only the newest can have been cut short by a crash: its torn end is cut off, and its
    /// bytes are all verified, since those that were never synced may be anything.
    pub(crate) fn open(layout: &Layout) -> Result<(Self, Contents), OpenError> {
        let numbers = layout.pack_numbers()?;
        let mut contents = Contents::default();
        let mut newest = Newest { number: 0, file: None, end: 0 };
        let last = numbers.last().copied();
        for &number in numbers.iter().filter(|&&number| Some(number) != last) {
            collect_full(layout, number, &mut contents)?;
        }
        if let Some(number) = last {
            newest = collect_newest(layout, number, &mut contents)?;
        }
        Ok((Self { newest: Mutex::new(newest), open: Mutex::default() }, contents))
    }

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

    /// Number of packs ever started.
    pub(crate) fn count(&self) -> u32 {
        lock(&self.newest).number
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
    *newest = Newest { number, file: Some(file.clone()), end: 0 };
    Ok(file)
}

/// Puts the records of a pack that takes no more into the index, from its listing if there is one.
fn collect_full(layout: &Layout, number: u32, contents: &mut Contents) -> Result<(), OpenError> {
    let path = layout.pack(number);
    let file = File::open(&path).map_err(failed("open", &path))?;
    let bytes = file.metadata().map_err(failed("look at", &path))?.len();
    let list = layout.listing(number);
    if let Some(records) = listing::read(&list, bytes) {
        collect(number, &records, contents);
        return Ok(());
    }
    let found = survey(&file, false).map_err(failed("read", &path))?;
    report_gaps(number, &found);
    collect(number, &found.records, contents);
    // A pack with gaps is gone through, and complained about, each time.
    if found.gaps.is_empty()
        && let Err(error) = listing::write(&list, &layout.temp().join("list"), bytes, &found.records)
    {
        tracing::warn!(pack = number, %error, "cannot write the pack's listing");
    }
    Ok(())
}

/// Puts the records of the newest pack into the index, all verified, and cuts its torn end.
fn collect_newest(layout: &Layout, number: u32, contents: &mut Contents) -> Result<Newest, OpenError> {
    let path = layout.pack(number);
    let file = File::options().read(true).write(true).open(&path).map_err(failed("open", &path))?;
    let found = survey(&file, true).map_err(failed("read", &path))?;
    report_gaps(number, &found);
    collect(number, &found.records, contents);
    cut(&file, found.end).map_err(failed("cut the torn end of", &path))?;
    Ok(Newest { number, file: Some(Arc::new(file)), end: found.end })
}

fn collect(number: u32, records: &[Found], contents: &mut Contents) {
    for found in records {
        if found.sound {
            contents.index.insert(&found.digest, Place::new(number, found.offset, found.size));
        } else {
            contents.damaged.push(found.digest);
        }
    }
}

fn report_gaps(number: u32, survey: &Survey) {
    for (offset, bytes) in &survey.gaps {
        tracing::error!(pack = number, offset, bytes, "pack is damaged: blobs that began here are lost");
    }
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
