//! The options that a certificate under a grant has, no more and no fewer: what its signer puts there, and what whoever
//! checks it compares.

use policy::{Extension, Grant, GrantId};
use ssh_key::Certificate;

/// The grant's id, for the host's daemon.
pub const GRANT: &str = "grant@jit-ssh";
/// When the grant ends, Unix seconds.
pub const UNTIL: &str = "until@jit-ssh";
/// Sessions must be recorded.
pub const RECORD: &str = "record@jit-ssh";
/// What may be raised to inside a session.
pub const ELEVATE: &str = "elevate@jit-ssh";

/// Whether the options of the certificate as read back are exactly those of the grant. Every option must be accounted
/// for by name: one that is not known here is a difference.
///
/// # Errors
/// Which of them differ.
pub fn compare(made: &Certificate, grant: &Grant, id: &GrantId) -> Result<(), &'static str> {
    let terms = grant.terms();
    let mut restrictions = 0;
    for (name, value) in made.critical_options().iter() {
        let granted = match name.as_str() {
            "force-command" => terms.force_command.as_deref() == Some(value.as_str()),
            "source-address" => grant.sources().is_some_and(|sources| {
                value.split(',').map(str::parse).eq(sources.iter().map(|network| Ok::<_, policy::WordError>(*network)))
            }),
            "verify-required" => terms.verify_required && value.is_empty(),
            _ => false,
        };
        if !granted {
            return Err("critical options");
        }
        restrictions += 1;
    }
    let wanted = [terms.force_command.is_some(), grant.sources().is_some(), terms.verify_required];
    if restrictions != wanted.into_iter().filter(|wanted| *wanted).count() {
        return Err("critical options");
    }
    let mut ours = 0;
    for (name, value) in made.extensions().iter() {
        let granted = match name.as_str() {
            GRANT => value == id.as_str(),
            UNTIL => value.parse() == Ok(grant.end().as_secs()),
            RECORD => terms.record && value.is_empty(),
            ELEVATE => terms.elevate.as_deref() == Some(value.as_str()),
            permit => value.is_empty() && permit.parse::<Extension>().is_ok_and(|e| terms.extensions.contains(&e)),
        };
        if !granted {
            return Err("extensions");
        }
        ours += 1;
    }
    // Each name occurs once in the map, so as many as there should be means that none is missing.
    let wanted = 2 + usize::from(terms.record) + usize::from(terms.elevate.is_some()) + terms.extensions.len();
    if ours == wanted { Ok(()) } else { Err("extensions") }
}
