//! The door: connections, requests, answers. Everything a stranger can reach goes through [`door`].

pub mod answer;
mod bodies;
mod body;
pub mod client;
pub mod connections;
pub mod door;
mod listings;
pub mod metrics;
pub mod openapi;
pub mod rate;
mod requests;
mod revocations;
pub mod routes;
pub mod tls;
mod unread;

pub use door::Door;
pub use routes::{Listener, Need, ROUTES, Route};
