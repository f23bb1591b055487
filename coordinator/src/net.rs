//! The transports: ports, with TLS or on this machine, and sockets beside them for gRPC and HTTP, the gate before them, and the
//! door for descriptors.

mod bodies;
mod codes;
mod connection;
mod deadline;
mod details;
pub mod door;
pub mod gate;
pub mod grpc;
mod http;
mod listener;
mod problem;
pub mod secure;
mod sending;
pub mod server;
mod stack;
mod streams;
mod turns;
mod whole;
