//! `jit-ssh ssh`: a certificate first, then stock ssh takes this process's place.

use super::Globals;
use crate::{access, cli, ended, error::Failure, issuance::Ready, quoting, route, state::StateDir};
use policy::{Account, HostName, Target};
use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

/// Runs ssh; returns only if that fails.
///
/// # Errors
/// If there is no certificate, or no ssh.
pub fn run(globals: &Globals, args: &cli::Ssh) -> Result<(), Failure> {
    let destination: Destination = args.destination.parse()?;
    let target = destination.target(&args.args)?;
    let state = StateDir::open()?;
    globals.same_server_if_named(&state)?;
    let wish = args.why.wish();
    let mut ready = access::ensure(&state, &target, &wish)?;
    // sshd would say no more than "Permission denied".
    if ended::meanwhile(&state, &ready) {
        ready = access::ensure(&state, &target, &wish)?;
    }
    connect(&state, &ready, &destination, &args.args)
}

/// Stock ssh takes this process's place; returns only if that fails.
///
/// # Errors
/// If there is no way there, or no ssh.
pub fn connect(state: &StateDir, ready: &Ready, to: &Destination, args: &[OsString]) -> Result<(), Failure> {
    let target = &ready.entry.target;
    let way = route::to(state, target, ready.kept)?;
    // Of two ports ssh takes the first: one that was typed must not come second to the inventory's.
    let way = if flag(args, 'p').is_some() { way.without_port() } else { way };
    let error = Command::new("ssh")
        .args(options(&quoting::config_path(&ready.path)?))
        .args(way.options(target.host()))
        .arg(to.typed())
        .args(args)
        .exec();
    Err(Failure::failed(format!("cannot run ssh: {error}"))
        .hint("install OpenSSH's client (Debian: apt install openssh-client)"))
}

/// `IdentityFile` takes the certificate itself: ssh then finds its private half in the agent. `CertificateFile` would
/// want the plain key beside it, which the agent does not have.
pub fn options(certificate: &str) -> [OsString; 4] {
    ["-o".into(), format!("IdentityFile={certificate}").into(), "-o".into(), "IdentitiesOnly=yes".into()]
}

/// Where to, as typed. Checked before anything is run: ssh, its config and a shell in it all see this text
/// (CVE-2023-51385, CVE-2025-61984).
#[derive(Debug)]
pub struct Destination {
    typed: String,
    account: Option<Account>,
    host: HostName,
}

impl std::str::FromStr for Destination {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self, Failure> {
        let (account, host) = match text.rsplit_once('@') {
            Some((account, host)) => (Some(account), host),
            None => (None, text),
        };
        let wrong =
            |error: policy::WordError| Failure::usage(error.to_string()).hint("write it as host or account@host");
        let account = account.map(str::parse).transpose().map_err(wrong)?;
        Ok(Self { account, host: host.parse().map_err(wrong)?, typed: text.to_owned() })
    }
}

impl Destination {
    /// As typed.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// The account as ssh would choose it: before the `@`, by `-l`, by ssh_config, or the local user.
    ///
    /// # Errors
    /// If ssh chooses none that can be an account.
    pub fn target(&self, args: &[OsString]) -> Result<Target, Failure> {
        let account = match (&self.account, flag(args, 'l')) {
            (Some(account), _) => account.clone(),
            (None, Some(name)) => name.parse()?,
            (None, None) => configured(&self.host)?,
        };
        Ok(Target::new(account, self.host.clone()))
    }
}

/// The value of the flag before the command begins.
fn flag(args: &[OsString], wanted: char) -> Option<String> {
    /// ssh's flags that take a value (ssh.c, getopt).
    const WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";
    let mut args = args.iter().map(|arg| arg.to_string_lossy());
    while let Some(arg) = args.next() {
        let flags = arg.strip_prefix('-').filter(|flags| !flags.is_empty() && *flags != "-")?.to_owned();
        let Some((at, flag)) = flags.char_indices().find(|(_, flag)| WITH_VALUE.contains(*flag)) else { continue };
        let joined = flags.get(at + flag.len_utf8()..).filter(|rest| !rest.is_empty()).map(str::to_owned);
        let value = joined.or_else(|| args.next().map(std::borrow::Cow::into_owned));
        if flag == wanted {
            return value;
        }
    }
    None
}

/// What ssh_config says, asked of ssh itself.
fn configured(host: &HostName) -> Result<Account, Failure> {
    let output = Command::new("ssh")
        .args(["-G", host.as_str()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|error| Failure::failed(format!("cannot run ssh: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let user = text.lines().find_map(|line| line.strip_prefix("user "));
    user.ok_or_else(|| Failure::usage("as which account?").hint(format!("jit-ssh ssh ACCOUNT@{host}")))?
        .parse()
        .map_err(|error: policy::WordError| Failure::usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) {
        assert!(text.parse::<Destination>().is_err(), "{text:?} was taken");
    }

    /// A user name with shell metacharacters reached a shell through `Match exec` and `ProxyCommand` `%r`.
    #[test]
    fn cve_2025_61984_control_characters_in_the_user_name() {
        for text in
            ["$[+]\nsource /tmp/x\n@web-1", "a\nb@web-1", "a\rb@web-1", "a\0b@web-1", "$(id)@web-1", "a;id@web-1"]
        {
            refused(text);
        }
    }

    /// A host name with shell metacharacters (a git submodule's URL) reached a shell through `%h`.
    #[test]
    fn cve_2023_51385_metacharacters_in_the_host_name() {
        for text in ["`id`", "web$(id)", "web;id", "web|id", "web&id", "web'id", "web\"id", "web id", "web\nid", "%h"] {
            refused(text);
        }
    }

    #[test]
    fn options_and_addresses_in_disguise_are_refused() {
        for text in [
            "-oProxyCommand=id",
            "-l",
            "a@-oProxyCommand=id",
            "-v@web-1",
            "ssh://web-1",
            "web-1:22",
            "",
            "@web-1",
            "a@",
            "*",
            "a@we?b",
        ] {
            refused(text);
        }
    }

    #[test]
    fn the_account_is_chosen_as_ssh_does() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let account =
            |text: &str, words: &[&str]| text.parse::<Destination>().unwrap().target(&args(words)).unwrap().to_string();
        assert_eq!(account("deploy@web-1", &["-l", "root"]), "deploy@web-1");
        assert_eq!(account("web-1", &["-p", "22", "-lroot"]), "root@web-1");
        assert_eq!(account("web-1", &["-vl", "root", "uptime"]), "root@web-1");
        assert_eq!(account("deploy@corp.example@WEB-1", &[]), "deploy@corp.example@web-1");
        assert_eq!(flag(&args(&["ls", "-l", "root"]), 'l'), None);
        assert_eq!(flag(&args(&["-o", "-lroot", "ls"]), 'l'), None);
        assert_eq!(flag(&args(&["-vp2222", "ls", "-p", "22"]), 'p').as_deref(), Some("2222"));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_plain(text in "\\PC{0,40}") {
            if let Ok(destination) = text.parse::<Destination>() {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
                prop_assert!(destination.typed.bytes().all(plain) && !destination.typed.starts_with('-'));
            }
        }
    }
}
