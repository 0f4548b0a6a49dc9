//! verbs/replay
