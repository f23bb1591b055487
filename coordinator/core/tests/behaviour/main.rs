//! What the core does, sentence by sentence, and a property: loading equals living.

mod adoption;
mod asking_back;
mod commits;
mod failures;
mod handing_out;
mod jobs;
mod leases;
mod loading;
mod members;
mod namespaces;
mod restarts;
mod services;
mod shown;
mod stage;
mod workers;
