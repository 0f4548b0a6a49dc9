//! verbs/login
