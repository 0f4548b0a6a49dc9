//! CA.
fn main() {}
