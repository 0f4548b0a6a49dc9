//! verbs/explain
