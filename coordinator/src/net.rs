//! The transports: one port and a socket beside it for gRPC and HTTP, the gate before them, and the door for descriptors.

mod codes;
mod connection;
mod deadline;
pub mod door;
mod gate;
pub mod grpc;
mod http;
mod listener;
mod problem;
pub mod server;
mod stack;
