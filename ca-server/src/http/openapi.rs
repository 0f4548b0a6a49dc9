//! The API as OpenAPI 3.1. Written by hand, because people read it; a test compares it with the routes and the types.

/// The document, JSON.
pub const DOCUMENT: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests;
