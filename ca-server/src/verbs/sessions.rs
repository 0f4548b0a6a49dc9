//! verbs/sessions
