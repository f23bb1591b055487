//! What the demo plays on: a runtime, and its programs as an image or as a plain file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use longshore_worker::{
    home::Home,
    runtime::{
        Runtime,
        docker::{DockerOptions, DockerRuntime},
        process::ProcessRuntime,
    },
};

use crate::args::servers;

/// The demo's programs, one static file.
const PROGRAMS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/longshore-demo"));

/// Where the file is in the image.
const INSIDE: &str = "/longshore-demo";

/// A runtime with the programs on it.
pub struct Stage {
    runtime: Arc<dyn Runtime>,
    docker: Option<(Arc<DockerRuntime>, String)>,
    program: String,
}

impl Stage {
    /// Docker where it answers or was asked for, else plain processes.
    pub async fn set(home: &Home, asked: Option<servers::Runtime>, dir: &Path) -> Result<Self> {
        if asked == Some(servers::Runtime::Process) {
            return Self::processes(home, dir);
        }
        let options = DockerOptions::new(home.id(), home.dir().join("shim"));
        match DockerRuntime::connect(options).await {
            Ok(docker) => Self::containers(Arc::new(docker)).await,
            Err(error) if asked.is_some() => Err(error.into()),
            Err(error) => {
                eprintln!("no Docker Engine answers ({error}); using plain processes, without any isolation");
                Self::processes(home, dir)
            }
        }
    }

    async fn containers(docker: Arc<DockerRuntime>) -> Result<Self> {
        // A name of this process's own: two demos do not take each other's image away.
        let image = format!("longshore-demo:{}", std::process::id());
        let tar = tar_of_programs().context("cannot build the demo's image")?;
        docker.import_image(&image, tar.into(), &[]).await?;
        let runtime = Arc::clone(&docker) as Arc<dyn Runtime>;
        Ok(Self { runtime, docker: Some((docker, image)), program: INSIDE.to_owned() })
    }

    fn processes(home: &Home, dir: &Path) -> Result<Self> {
        let runtime = ProcessRuntime::new(home.id(), &home.dir().join("shim")).context("cannot write the shim")?;
        let program = write_programs(dir).context("cannot write the demo's programs")?;
        Ok(Self { runtime: Arc::new(runtime), docker: None, program: program.to_string_lossy().into_owned() })
    }

    /// What containers run on.
    pub fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.runtime)
    }

    fn image(&self) -> &str {
        self.docker.as_ref().map_or("process", |(_, image)| image)
    }

    /// The job's spec.
    pub fn pipeline(&self) -> String {
        let (image, program) = (self.image(), &self.program);
        format!(
            "name: pipeline
stages:
  - name: words
    image: {image}
    command: ['{program}', words, '{{in}}']
  - name: drop
    image: {image}
    command: ['{program}', drop, '{{in}}']
  - name: total
    gather: all
    image: {image}
    command: ['{program}', total, '{{in}}']
"
        )
    }

    /// The service's spec.
    pub fn search(&self) -> String {
        let (image, program) = (self.image(), &self.program);
        format!(
            "name: search
leaf:
  image: {image}
  command: ['{program}', search-leaf]
  interface: http
  shards: 4
  data: texts
merge:
  image: {image}
  command: ['{program}', search-merge]
  interface: http
request: {{ deadline: 10s, require: all }}
"
        )
    }

    /// Removes the image.
    pub async fn strike(&self) {
        if let Some((docker, image)) = &self.docker
            && let Err(error) = docker.remove_image(image).await
        {
            eprintln!("warning: {error}");
        }
    }
}

fn tar_of_programs() -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(PROGRAMS.len() as u64);
    header.set_mode(0o755);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut header, INSIDE.trim_start_matches('/'), PROGRAMS)?;
    // Directories that containers have mounted over.
    for dir in ["tmp", "proc", "sys", "dev"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o755);
        tar.append_data(&mut header, dir, io::empty())?;
    }
    tar.into_inner()
}

fn write_programs(dir: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join("longshore-demo");
    std::fs::write(&path, PROGRAMS)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
