//! verbs/issue
