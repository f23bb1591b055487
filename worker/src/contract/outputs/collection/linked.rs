//! What has several names: symbolic links, and files with hard links.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    sync::Arc,
};

use rustix::fs::{FileType, OFlags, Stat, fstat, readlinkat};

use super::{Collection, Several, open_beneath};
use crate::{
    contract::outputs::{
        error::{CollectError, io_trouble, refused, shown, trouble, unreadable},
        links::{self, Beside, Link, Links},
        tray::Tray,
    },
    work::{Content, Output, OwnedFile},
};

impl Collection<'_> {
    pub(super) fn take_link(&mut self, dir: &OwnedFd, name: &CStr, path: String) -> Result<(), CollectError> {
        self.ensure_room()?;
        match self.policy {
            Links::Refuse => return Err(refused(format!("{} is a symbolic link (`links: refuse`)", shown(&path)))),
            Links::Skip => self.skipped_links.add(&path),
            Links::Follow => {
                let target = readlinkat(dir, name, Vec::new()).map_err(|errno| unreadable(&path, errno))?;
                self.links.push(Link { path, target: target.into_bytes() });
            }
        }
        self.remove(dir, name);
        Ok(())
    }

    /// What is known of a file that was found under another name before. One with several names is remembered: its next
    /// output is this.
    pub(super) fn take_again(&mut self, stat: &Stat) -> Option<(Option<blake3::Hash>, Content)> {
        let (inode, place) = ((stat.st_dev, stat.st_ino), self.outputs.len());
        if let Some(several) = self.several.get_mut(&inode) {
            let first = &self.outputs[several.places[0]];
            several.places.push(place);
            return Some((first.digest, first.content.clone()));
        }
        if stat.st_nlink != 1 {
            let small = u64::try_from(stat.st_size).is_ok_and(|size| self.fits_inline(size));
            self.several.insert(inode, Several { places: vec![place], waits: !small });
        }
        None
    }

    /// Takes the bytes of those files that wait for that.
    pub(super) fn take_waiting(&mut self, run: &OwnedFd) -> Result<(), CollectError> {
        for (inode, Several { places, .. }) in std::mem::take(&mut self.several).into_iter().filter(|(_, it)| it.waits)
        {
            let Output { path, size, .. } = &self.outputs[places[0]];
            let (path, size) = (path[self.prefix.len()..].to_owned(), *size);
            let content = Content::File(Arc::new(self.take_at(run, &path, size, inode)?));
            places.into_iter().for_each(|place| self.outputs[place].content = content.clone());
        }
        Ok(())
    }

    fn take_at(&mut self, run: &OwnedFd, path: &str, size: u64, inode: (u64, u64)) -> Result<OwnedFile, CollectError> {
        let parent = match path.rsplit_once('/') {
            None => None,
            Some((parent, _)) => {
                Some(open_beneath(run, parent, OFlags::DIRECTORY).map_err(|errno| unreadable(parent, errno))?)
            }
        };
        let (dir, name) = (parent.as_ref().unwrap_or(run), path.rsplit('/').next().unwrap_or(path));
        let name = CString::new(name).map_err(|cause| io_trouble("opening an output", cause.into()))?;
        let file = open_beneath(dir, name.as_c_str(), OFlags::NONBLOCK | OFlags::NOCTTY)
            .map_err(|errno| unreadable(path, errno))?;
        let stat = fstat(&file).map_err(|errno| trouble("looking at a file", errno))?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || (stat.st_dev, stat.st_ino) != inode || u64::try_from(stat.st_size) != Ok(size) {
            return Err(refused(format!("{} was changed after the run", shown(path))));
        }
        if stat.st_nlink == 1 {
            return self.move_out(dir, &name, &stat, path);
        }
        // Whoever has another name of it could change it.
        let copy = self.copy_out(&File::from(file), size, path)?;
        self.remove(dir, &name);
        Ok(copy)
    }

    /// Copies a file to one of our own.
    fn copy_out(&self, file: &File, size: u64, path: &str) -> Result<OwnedFile, CollectError> {
        let copied = || -> io::Result<(OwnedFile, u64)> {
            let place = self.yard.new_file();
            let mut copy = File::options().write(true).create_new(true).mode(0o600).open(&place)?;
            let owned = OwnedFile::new(place);
            // Within the kernel. One byte more than there should be shows a file that has grown.
            let copied = io::copy(&mut file.take(size.saturating_add(1)), &mut copy)?;
            Ok((owned, copied))
        };
        match copied().map_err(|cause| io_trouble("copying a file", cause))? {
            (owned, copied) if copied == size => Ok(owned),
            _ => Err(refused(format!("{} changed while it was read", shown(path)))),
        }
    }

    /// Adds what links stand for: the files themselves, which are not copied.
    pub(super) fn follow_links(&mut self, tray: &Tray) -> Result<(), CollectError> {
        // Standard output is no file beside them; it was taken first.
        let files = self.outputs.iter().enumerate().skip(usize::from(tray.spooled));
        let beside = Beside {
            files: files.map(|(at, output)| (&output.path[self.prefix.len()..], at)).collect(),
            dirs: self.dirs.iter().map(String::as_str).collect(),
            inside: tray.path(),
        };
        let found = links::resolve(&self.links, &beside)?;
        for (at, link) in found.into_iter().zip(std::mem::take(&mut self.links)) {
            let Output { digest, size, executable, ref content, .. } = self.outputs[at];
            let (content, path) = (content.clone(), format!("{}{}", self.prefix, link.path));
            self.count(size)?;
            self.outputs.push(Output { path, digest, size, executable, content });
        }
        Ok(())
    }
}
