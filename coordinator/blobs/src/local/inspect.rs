//! Going through a directory without changing it: every byte is read and compared with the digest it is kept under.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use blake3::{Hash, Hasher};
use bytes::Bytes;

use super::{
    files::{Layout, failed},
    index::{Index, Place},
    missing::missing,
    pack::{HEADER_BYTES, survey},
    packs::Floor,
};
use crate::{GetError, Harm, Holding, Loss, OpenError};

/// Bytes of a file read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// How far an inspection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far.
    pub read: u64,
    /// Bytes there are.
    pub total: u64,
}

/// A directory that was gone through. It is as it was, unless somebody else changes it.
#[derive(Debug)]
pub struct Inspection {
    layout: Layout,
    /// What is whole.
    index: Index,
    /// What is lost or damaged, and was not known to be.
    pub losses: Vec<Loss>,
    /// Packs that are there.
    pub packs: usize,
    /// Files of large blobs that are there.
    pub files: usize,
    /// Bytes of both.
    pub bytes: u64,
    /// Bytes behind the newest pack's last blob that were not acknowledged: the next opening cuts them off.
    pub torn_bytes: u64,
}

/// What a pack was found to be.
struct Pack {
    number: u32,
    floor: Floor,
    /// Places that are no records, where they should be.
    gaps: usize,
    /// Records whose bytes are not those of their digest.
    unsound: Vec<Hash>,
}

impl Inspection {
    /// Goes through the directory, of which `holdings` must be there. `go_on` is asked now and then; `None` once it says no.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn of(
        dir: &Path,
        holdings: &[Holding],
        go_on: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Option<Self>, OpenError> {
        let layout = Layout::at(dir);
        let losses = missing(&layout, holdings)?.into_iter().map(|(_, loss)| loss).collect();
        let (packs, files) = (layout.pack_numbers()?, layout.file_digests()?);
        let paths = packs.iter().map(|number| layout.pack(*number)).chain(files.iter().map(|it| layout.file(it)));
        let total = paths.map(|path| bytes_of(&path)).sum::<Result<u64, _>>()?;
        let mut found = Self {
            layout,
            index: Index::default(),
            losses,
            packs: packs.len(),
            files: files.len(),
            bytes: total,
            torn_bytes: 0,
        };
        let mut read = 0;
        let mut told = |bytes: u64| {
            read += bytes;
            go_on(Progress { read, total })
        };
        let whole =
            found.look_at_packs(&packs, &Floor::all(holdings), &mut told)? && found.look_at_files(&files, &mut told)?;
        Ok(whole.then_some(found))
    }

    /// Whether the blob is there, and whole.
    #[must_use]
    pub fn holds(&self, digest: &Hash) -> bool {
        self.index.get(digest).is_some() || self.index.may_be_file(digest)
    }

    /// The whole blob.
    ///
    /// # Errors
    /// When it is not there, not whole, or cannot be read.
    pub fn get(&self, digest: &Hash) -> Result<Bytes, GetError> {
        let place = self.index.get(digest);
        let path = place.map_or_else(|| self.layout.file(digest), |place| self.layout.pack(place.pack()));
        let read = || match place {
            Some(place) => {
                let mut data = vec![0; place.len()];
                File::open(&path)?.read_exact_at(&mut data, place.offset() + HEADER_BYTES as u64)?;
                Ok(data)
            }
            None => fs::read(&path),
        };
        match read() {
            Ok(data) if blake3::hash(&data) == *digest => Ok(data.into()),
            Ok(_) => Err(GetError::Damaged { digest: *digest }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(GetError::NotFound { digest: *digest }),
            Err(source) => Err(GetError::Io { path, source }),
        }
    }

    fn look_at_packs(
        &mut self,
        numbers: &[u32],
        floors: &BTreeMap<u32, Floor>,
        told: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, OpenError> {
        let mut packs = Vec::new();
        for number in numbers {
            let floor = floors.get(number).copied().unwrap_or_default();
            let (pack, bytes) = self.look_at_pack(*number, floor, Some(number) == numbers.last())?;
            packs.push(pack);
            if !told(bytes) {
                return Ok(false);
            }
        }
        for Pack { number, floor, gaps, unsound } in packs {
            // What was put again is whole.
            let stretches = gaps + unsound.iter().filter(|digest| self.index.get(digest).is_none()).count();
            let stretches = u32::try_from(stretches).unwrap_or(u32::MAX);
            if stretches > floor.damaged {
                self.lost(self.layout.pack(number), Harm::Damaged { stretches });
            }
        }
        Ok(true)
    }

    fn look_at_pack(&mut self, number: u32, floor: Floor, newest: bool) -> Result<(Pack, u64), OpenError> {
        let path = self.layout.pack(number);
        let file = File::open(&path).map_err(failed("open", &path))?;
        let bytes = file.metadata().map_err(failed("look at", &path))?.len();
        let found = survey(&file, true).map_err(failed("read", &path))?;
        // Of the newest only what was acknowledged must be whole.
        let whole_to = if newest { floor.bytes } else { bytes };
        let tail = (found.end < bytes).then_some(found.end);
        let gaps = found.gaps.iter().map(|(offset, _)| *offset).chain(tail);
        let gaps = gaps.filter(|offset| *offset < whole_to.min(bytes)).count();
        self.torn_bytes += if newest && found.end >= floor.bytes { bytes - found.end } else { 0 };
        let mut unsound = Vec::new();
        for record in found.records {
            if record.sound {
                self.index.insert(&record.digest, Place::new(number, record.offset, record.size));
            } else if record.offset < whole_to {
                unsound.push(record.digest);
            }
        }
        Ok((Pack { number, floor, gaps, unsound }, bytes))
    }

    fn look_at_files(&mut self, digests: &[Hash], told: &mut dyn FnMut(u64) -> bool) -> Result<bool, OpenError> {
        for digest in digests {
            let path = self.layout.file(digest);
            match hash(&path, told).map_err(failed("read", &path))? {
                None => return Ok(false),
                Some(found) if found == *digest => self.index.insert_file(digest),
                Some(_) => self.lost(path, Harm::Content),
            }
        }
        Ok(true)
    }

    fn lost(&mut self, path: std::path::PathBuf, harm: Harm) {
        // Its size has said so already.
        if !self.losses.iter().any(|loss| loss.path == path) {
            self.losses.push(Loss { path, harm });
        }
    }
}

fn bytes_of(path: &Path) -> Result<u64, OpenError> {
    Ok(fs::symlink_metadata(path).map_err(failed("look at", path))?.len())
}

/// The digest of a file; `None` when nobody wants to go on.
fn hash(path: &Path, told: &mut dyn FnMut(u64) -> bool) -> io::Result<Option<Hash>> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(Some(hasher.finalize()));
        }
        hasher.update(&chunk[..count]);
        if !told(count as u64) {
            return Ok(None);
        }
    }
}
