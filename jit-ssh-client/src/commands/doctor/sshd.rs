//! What the host's own sshd says, heard through stock ssh.

use crate::{
    commands::ssh::{self, Destination},
    error::{Exit, Failure},
    quoting,
};
use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
};

/// Logs in and leaves at once. `-N` asks for no command: a certificate may force one, and looking must not run it.
///
/// # Errors
/// With what sshd or the way to it said.
pub fn answer(destination: &Destination, certificate: &Path, way: &[OsString]) -> Result<(), Failure> {
    let mut child = Command::new("ssh")
        .args(["-v", "-N", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ControlPath=none"])
        .args(ssh::options(&quoting::config_path(certificate)?))
        .args(way)
        .arg(destination.typed())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::failed(format!("cannot run ssh: {error}")))?;
    let mut heard = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // Bounded: what a host says in its banner is its own business.
        for line in BufReader::new(stderr.take(1024 * 1024)).lines().map_while(Result::ok) {
            let inside = line.starts_with("Authenticated to ") || line.starts_with("debug1: Authentication succeeded");
            heard.push(line);
            if inside {
                break;
            }
        }
    }
    let stopped = child.kill().and_then(|()| child.wait());
    stopped.map_err(|error| Failure::failed(format!("ssh does not stop: {error}")))?;
    verdict(&heard)
}

fn verdict(heard: &[String]) -> Result<(), Failure> {
    let said = |text: &str| heard.iter().any(|line| line.contains(text));
    if said("Authenticated to ") || said("Authentication succeeded") {
        return Ok(());
    }
    let last = heard.iter().rev().find(|line| !line.starts_with("debug")).cloned().unwrap_or_default();
    let no = |exit, what: &str, fix: &str| Err(Failure::new(exit, format!("{what} ({last})")).hint(fix));
    if said("Could not resolve hostname") {
        no(Exit::Unreachable, "the name is unknown", "check the name, DNS, or HostName in ~/.ssh/config")
    } else if said("Host key verification failed") && !said("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        no(
            Exit::Failed,
            "the host's key is not known here",
            "compare its fingerprint (ssh-keyscan HOST | ssh-keygen -lf -) with whoever runs the host, then log in once by ssh and say yes; or trust the CA's @cert-authority line",
        )
    } else if said("Host key verification failed") {
        no(
            Exit::Failed,
            "the host's key is not the one you know",
            "compare its fingerprint with whoever runs the host, then ssh-keygen -R",
        )
    } else if said("Connection refused") || said("timed out") || said("No route to host") || said("unreachable") {
        no(Exit::Unreachable, "no sshd answers", "check network, VPN, port and firewall")
    } else if said("Too many authentication failures") {
        no(Exit::Failed, "ssh tried too many other keys first", "use jit-ssh ssh, or IdentitiesOnly yes")
    } else if said("Server accepts key") {
        no(
            Exit::Failed,
            "sshd takes the certificate but not the login",
            "look into sshd's log: the account may be locked or lack a home or shell",
        )
    } else if said("Offering public key") {
        no(
            Exit::Denied,
            "sshd does not take the certificate",
            "on the host: does TrustedUserCAKeys name the CA, does the account's AuthorizedPrincipalsFile hold account@host, is the clock right?",
        )
    } else {
        no(Exit::Failed, "ssh did not offer the certificate", "jit-ssh ensure --renew, then look at ssh -v")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_own_fix() {
        let hears = |lines: &[&str]| verdict(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert!(hears(&["debug1: Offering public key: x", "Authenticated to web-1 ([127.0.0.1]:22)."]).is_ok());
        for (lines, exit, word) in [
            (&["ssh: Could not resolve hostname web-9"][..], Exit::Unreachable, "unknown"),
            (&["ssh: connect to host web-1 port 22: Connection refused"], Exit::Unreachable, "no sshd"),
            (&["Host key verification failed."], Exit::Failed, "not known here"),
            (
                &["@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @", "Host key verification failed."],
                Exit::Failed,
                "not the one you know",
            ),
            (
                &["debug1: Offering public key: x", "deploy@web-1: Permission denied (publickey)."],
                Exit::Denied,
                "does not take",
            ),
            (&["deploy@web-1: Permission denied (publickey)."], Exit::Failed, "did not offer"),
        ] {
            let failure = hears(lines).unwrap_err();
            assert_eq!(failure.exit, exit, "{lines:?}");
            assert!(failure.message.contains(word), "{lines:?}: {}", failure.message);
        }
    }
}
