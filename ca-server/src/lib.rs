//! CA server.
