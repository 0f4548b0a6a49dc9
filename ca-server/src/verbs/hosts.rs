//! verbs/hosts
