//! What the core does, sentence by sentence, and a property: loading equals living.

mod commits;
mod jobs;
mod loading;
mod restarts;
mod services;
mod stage;
mod workers;
