//! Where processes of a container begin and where they may write: the working directory and the temporary places.
//!
//! Temporary places on the disk are directories of ours, each bound over a path inside: `/longshore/scratch`, `/tmp`, and an
//! image's VOLUMEs, which as real volumes would grow without a bound and carry one run's leavings into the next. A working
//! directory that was asked for and is not in the image is one too. Those in memory count against the container's. All of them are emptied between runs.

use bollard::models::ImageConfig;
use longshore_proto::path::is_at_or_below;

use crate::runtime::{SandboxSpec, StartError};

/// Ours, beside `/tmp`: where TMPDIR, HOME and, without a WORKDIR, processes are.
pub(super) const INSIDE_SCRATCH: &str = "/longshore/scratch";

/// In memory; the second is the kernel's own kind of file system and needs no mount of ours.
const IN_MEMORY: [&str; 2] = ["/dev/shm", "/dev/mqueue"];

/// Most VOLUMEs an image may have; each becomes a directory.
const MOST_VOLUMES: usize = 16;

/// The places of one container.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// On the disk: what directories of ours are bound over.
    pub(super) on_disk: Vec<String>,
    /// Where processes begin.
    pub(super) workdir: String,
}

impl Places {
    /// Those of a sandbox in an image.
    ///
    /// # Errors
    /// When the image or the specification asks for a place that it cannot have.
    pub(super) fn of(spec: &SandboxSpec, image: &ImageConfig) -> Result<Self, StartError> {
        let refuse = |why: String| StartError::Refused(format!("image {} is refused: {why}", spec.image.reference));
        let on_disk = on_disk(image).map_err(refuse)?;
        let of_image = image.working_dir.as_deref().unwrap_or_default();
        check_image_workdir(of_image).map_err(refuse)?;
        let above = |path: &str| on_disk.iter().find(|place| place.as_str() != path && is_at_or_below(path, place));
        let asked = spec.container.workdir.as_str();
        if let Some(above) = above(asked) {
            return Err(StartError::Refused(format!(
                "workdir {asked:?} would be emptied with {above} between runs; name {above}, or a directory elsewhere"
            )));
        }
        let workdir = match (asked, of_image) {
            ("", "" | "/") => INSIDE_SCRATCH.to_owned(),
            // What the image has there is hidden by the place above, as by a new volume.
            ("", of_image) => above(of_image).map_or(of_image, String::as_str).to_owned(),
            (asked, _) => asked.to_owned(),
        };
        Ok(Self { on_disk, workdir })
    }

    /// The working directory that was asked for, where the image may have nothing.
    pub(super) fn may_be_missing(&self, image: &ImageConfig) -> Option<&str> {
        let of_image = image.working_dir.as_deref().unwrap_or_default();
        // Above another place it could not be emptied.
        let holds_another = self.on_disk.iter().any(|place| is_at_or_below(place, &self.workdir));
        let known = self.workdir == "/" || self.workdir == of_image || holds_another;
        (!known).then_some(self.workdir.as_str())
    }

    /// There is nothing: it becomes a place like the others, private and writable.
    pub(super) fn make_workdir(&mut self) {
        self.on_disk.push(self.workdir.clone());
    }

    /// All that are emptied between runs.
    pub(super) fn emptied(&self) -> impl Iterator<Item = &str> {
        self.on_disk.iter().map(String::as_str).chain(IN_MEMORY)
    }
}

/// CVE-2024-21626: a working directory below /proc/self/fd may lead out of the container with an old runc.
fn check_image_workdir(directory: &str) -> Result<(), String> {
    let hostile = ["/proc", "/sys", "/dev"].iter().any(|bad| is_at_or_below(directory, bad));
    if hostile || directory.split('/').any(|part| part == "..") {
        return Err(format!("its WORKDIR is {directory:?}"));
    }
    Ok(())
}

fn on_disk(image: &ImageConfig) -> Result<Vec<String>, String> {
    let mut places = vec![INSIDE_SCRATCH.to_owned(), "/tmp".to_owned()];
    for volume in image.volumes.iter().flatten() {
        let volume = volume.trim_end_matches('/');
        let plain = volume.starts_with('/') && volume.len() < 256 && !volume.contains([':', ',', '\0']);
        let taken = ["/longshore", "/proc", "/sys", "/dev"].iter().any(|ours| is_at_or_below(volume, ours));
        if !plain || taken || volume.split('/').any(|part| part == "..") {
            return Err(format!("its VOLUME {volume:?} cannot be given"));
        }
        if !places.iter().any(|known| known == volume) {
            places.push(volume.to_owned());
        }
    }
    if places.len() > 2 + MOST_VOLUMES {
        return Err(format!("it has more than {MOST_VOLUMES} VOLUMEs"));
    }
    Ok(places)
}
