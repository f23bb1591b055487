//! Opening: the order of steps that makes a store either sound or refused.

use std::{fs::File, path::Path, sync::Arc};

use super::{
    commit::SledStore,
    engine::{self, Fault},
    envelope::SCHEMA,
    filter,
    high_water::HighWater,
    last::Last,
    layout::{Layout, failed, sync_path},
    options::{Opened, Options},
    probe,
    read::SledReader,
    room,
};
use crate::OpenError;

impl SledStore {
    /// Opens the store in `dir`, which is made if it is missing.
    ///
    /// Steps: lock; remove half-written snapshots; room; try in another process (if asked for); open; check every entry; compare
    /// with the high-water mark; make all names durable; ballast.
    ///
    /// # Errors
    /// See [`OpenError`]: nothing is opened that is not known to be whole, unless [`Options::accept_data_loss`].
    pub fn open(dir: &Path, options: &Options) -> Result<(Self, Opened), OpenError> {
        if options.refuse_sync_file_range {
            filter::refuse_sync_file_range().map_err(failed("have sync_file_range refused for", dir))?;
        }
        let (layout, lock) = Layout::open(dir)?;
        layout.clear_torn_snapshots()?;
        room::require(&layout, options.open_reserve_bytes)?;
        let water_path = options.high_water.clone().unwrap_or_else(|| layout.high_water());
        let existed = layout.log().exists();
        let mut water = HighWater::open(&water_path).map_err(failed("read", &water_path))?;
        if !existed && water.is_none() {
            // Before the first commit can be: so that a missing mark is always a sign.
            water = Some(create_high_water(&water_path, &Last::default())?);
        }
        let verified = probe::run(&layout, options)?;
        let open = || {
            let db = engine::open(&layout.sled(), options.cache_bytes)?;
            let last = if options.verify && !verified { engine::verify(&db)? } else { engine::last(&db)? };
            let epoch = engine::epoch(&db)?;
            Ok((db, last, epoch))
        };
        let (db, last, epoch) = open().map_err(|fault| open_error(&layout, fault))?;
        let loss = water.as_ref().map_or_else(
            || Some(OpenError::NoHighWater { path: water_path.clone() }),
            |water| compare(&layout, &last, water),
        );
        let loss_accepted = loss.is_some() && options.accept_data_loss;
        let lost_up_to = match loss {
            Some(loss) if !options.accept_data_loss => return Err(loss),
            Some(loss) => {
                tracing::error!(%loss, "opening the store all the same: the loss was accepted");
                let lost = water.as_ref().map(|water| water.kept().seq);
                water = Some(create_high_water(&water_path, &last)?);
                lost
            }
            None => None,
        };
        layout.sync_names()?;
        room::restore_ballast(&layout, options);
        let log_path = layout.log();
        let log = File::options().read(true).write(true).open(&log_path).map_err(failed("open", &log_path))?;
        // What was read but never acknowledged (a crash came first) is about to be built upon.
        log.sync_all().map_err(failed("sync", &log_path))?;
        let high_water = match water {
            Some(water) => water,
            None => create_high_water(&water_path, &last)?,
        };
        let opened = Opened { commit_seq: last.mark.seq, created: last.mark.seq == 0, loss_accepted, lost_up_to };
        let reader = Arc::new(SledReader::new(layout.dir.clone(), db, lock));
        let store = Self { reader, layout, options: options.clone(), log, last, epoch, high_water, failed: false };
        Ok((store, opened))
    }
}

fn create_high_water(path: &Path, last: &Last) -> Result<HighWater, OpenError> {
    let water = HighWater::create(path, last.mark).map_err(failed("create", path))?;
    let parent = path.parent().unwrap_or(path);
    sync_path(parent).map_err(failed("sync", parent))?;
    Ok(water)
}

/// What the high-water mark says against the store.
fn compare(layout: &Layout, last: &Last, water: &HighWater) -> Option<OpenError> {
    let (held, kept) = (last.mark, water.kept());
    if held.seq < kept.seq {
        return Some(OpenError::RolledBack { dir: layout.dir.clone(), seq: held.seq, high_water: kept.seq });
    }
    (held.seq == kept.seq && held != kept).then(|| OpenError::Diverged { dir: layout.dir.clone(), seq: held.seq })
}

fn open_error(layout: &Layout, fault: Fault) -> OpenError {
    let dir = layout.dir.clone();
    match fault {
        Fault::Io(source) => OpenError::Io { doing: "open", path: layout.log(), source },
        Fault::Damaged(detail) => OpenError::Corrupt { dir, detail },
        Fault::Newer(found) => OpenError::NewerSchema { dir, found, known: SCHEMA },
    }
}
