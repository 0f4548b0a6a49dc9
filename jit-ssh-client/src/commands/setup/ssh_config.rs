//! What is written for ssh. It names hosts and accounts letter by letter, from the CA's list: no `%h`, `%n` or `%r` is
//! ever put before a shell, for those carry whatever a hostile URL or submodule says (CVE-2023-51385, CVE-2025-61984).

use super::names::{Held, header};
use crate::{error::Failure, quoting, route::Route, state::certs::Certs};
use api::HostEntry;
use policy::{HostName, Target};
use std::{collections::BTreeSet, fmt::Write as _, path::Path};

const HEADER: &str = "# Written by `jit-ssh setup`";

/// Whether jit-ssh wrote `text`.
pub fn is_ours(text: &str) -> bool {
    text.starts_with(HEADER)
}

/// What is written: the hosts of a CA's list, and the domains whose names are routed as they come.
pub struct Listed<'a> {
    /// The CA.
    pub server: &'a str,
    /// The domains.
    pub domains: &'a [HostName],
    /// The list.
    pub hosts: &'a [HostEntry],
}

/// The file: one block for each account on each host. A name that is held back is not in it.
///
/// `Match final` waits until ssh has read the whole configuration, so that `User deploy` further down counts; the
/// name is compared before `exec` runs, so nothing runs for other hosts. Where `jit-ssh ensure` says no, ssh goes on as
/// if the block were not there.
///
/// # Errors
/// If the state directory or the program lies where ssh_config cannot name it, or an address is none.
pub fn text(from: &Listed<'_>, held: &[Held], certs: &Certs, program: &Path) -> Result<String, Failure> {
    let program = quoting::shell_word(program).ok_or_else(|| {
        Failure::failed("jit-ssh lies at a path that a shell would have to be told about")
            .hint("put it into /usr/local/bin")
    })?;
    let held: BTreeSet<&HostName> = held.iter().map(|held| &held.name).collect();
    let mut text = format!("{HEADER}{}", header(from.server, from.domains));
    for entry in from.hosts {
        let names = [&entry.host].into_iter().chain(&entry.aliases).filter(|name| !held.contains(name));
        let names: Vec<&str> = names.map(HostName::as_str).collect();
        if names.is_empty() {
            continue;
        }
        text.push_str(&way(&names.join(","), entry)?);
        for reach in &entry.accounts {
            let target = Target::new(reach.account.clone(), entry.host.clone());
            let block = block(&names.join(","), &target, &quoting::config_path(&certs.path(&target))?, program);
            text.push_str(&block);
        }
    }
    Ok(text)
}

/// Where the host is, if its name does not say. A block of its own: ssh has settled `HostName` before `Match final`.
fn way(names: &str, entry: &HostEntry) -> Result<String, Failure> {
    let mut block = String::new();
    for (name, value) in Route::of(entry)?.directives(&entry.host) {
        if block.is_empty() {
            let _infallible = write!(block, "\nMatch originalhost {names}\n");
        }
        let _infallible = writeln!(block, "    {name} {value}");
    }
    Ok(block)
}

/// Every name in it has passed a parser of policy's, which lets no quote, blank, pattern or `%` through.
fn block(names: &str, target: &Target, certificate: &str, program: &str) -> String {
    let account = target.account();
    let mut block = String::new();
    let _infallible = write!(
        block,
        "\nMatch final originalhost {names} user {account} exec \"{program} ensure --quiet --ask {target}\"\n    \
         IdentityFile {certificate}\n    IdentitiesOnly yes\n"
    );
    block
}

/// The file's name in `~/.ssh`, and the line that includes it.
#[derive(Debug)]
pub struct Included {
    name: String,
    line: String,
}

impl Included {
    /// The file of this name.
    ///
    /// # Errors
    /// If the name is a path, a pattern, or one that ssh itself uses.
    pub fn named(name: &str) -> Result<Self, Failure> {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let start = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if plain && start && name.len() <= 64 && name.ends_with(".conf") {
            Ok(Self { name: name.to_owned(), line: format!("Include {name}") })
        } else {
            Err(Failure::usage("the name must be of letters, digits, '.', '_' and '-' and end in .conf")
                .hint("jit-ssh setup --name jit-ssh.conf"))
        }
    }

    /// Named by its whole path: ssh looks for a bare name in the home that the password file says, whatever HOME is.
    ///
    /// # Errors
    /// If ssh_config cannot name the path.
    pub fn by_path(self, directory: &Path) -> Result<Self, Failure> {
        let line = format!("Include {}", quoting::config_path(&directory.join(&self.name))?);
        Ok(Self { line, ..self })
    }

    /// Its name.
    pub fn file_name(&self) -> &str {
        &self.name
    }

    /// `config` with the line at its top: further down it would belong to a `Host` block.
    pub fn added_to(&self, config: &str) -> String {
        if config.lines().any(|line| line == self.line) {
            return config.to_owned();
        }
        format!("{}\n{config}", self.line)
    }

    /// `config` without the line.
    pub fn removed_from(&self, config: &str) -> String {
        let whole = format!("{}\n", self.line);
        let mut done = false;
        config
            .split_inclusive('\n')
            .filter(|line| {
                let ours = !done && *line == whole;
                done |= ours;
                !ours
            })
            .collect()
    }
}
