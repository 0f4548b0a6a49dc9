//! What is proven of an audit log to whoever has its public key and nothing else: the tree over its entries, the signed
//! notes and checkpoints over that tree. Pure; client, server and any outsider verify with the same code.

pub mod checkpoint;
pub mod note;
pub mod tree;
