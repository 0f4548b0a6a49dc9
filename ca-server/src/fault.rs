//! Named points at which a test may kill the process. Built only with the `faults` feature; otherwise nothing.

/// Ends the process at once, as `kill -9` would, if the environment variable `JIT_SSH_FAULT` names this point and the
/// file that `JIT_SSH_FAULT_WHEN` names is there: so a test can let a server start and serve before it strikes.
#[inline]
pub fn point(name: &str) {
    #[cfg(feature = "faults")]
    if std::env::var("JIT_SSH_FAULT").is_ok_and(|wanted| wanted == name)
        && std::env::var_os("JIT_SSH_FAULT_WHEN").is_none_or(|file| std::path::Path::new(&file).exists())
    {
        std::process::abort();
    }
    #[cfg(not(feature = "faults"))]
    let _ = name;
}
