//! store/redb
