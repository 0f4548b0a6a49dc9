//! verbs/authenticate
