//! What the user's ssh does with a name without us, as ssh itself tells.

use crate::{error::Failure, state::StateDir};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The user's ssh without our file.
pub struct Ssh<'a> {
    state: &'a StateDir,
    config: String,
    directory: PathBuf,
}

/// What ssh settled on for a name.
#[derive(Debug)]
pub struct Settled {
    /// Where it goes, in lower case.
    pub hostname: String,
    port: String,
    known_hosts: Vec<String>,
}

impl<'a> Ssh<'a> {
    /// With the configuration `config` in `directory`, ours taken out.
    ///
    /// # Errors
    /// If the state directory cannot be written.
    pub fn without_us(state: &'a StateDir, directory: &Path, config: &str) -> Result<Self, Failure> {
        let name = format!("ssh_config.{}", std::process::id());
        // What -F names is read instead of both, the user's and the system's.
        let whole = format!("{config}\nMatch all\nInclude /etc/ssh/ssh_config\n");
        state.write(&name, whole.as_bytes())?;
        Ok(Self { state, config: name, directory: directory.to_owned() })
    }

    /// What ssh settles on; none where it cannot read the configuration.
    ///
    /// # Errors
    /// If there is no ssh.
    pub fn settled(&self, name: &str) -> Result<Option<Settled>, Failure> {
        let mut command = Command::new("ssh");
        // Canonicalization would ask the network.
        command.args(["-G", "-o", "CanonicalizeHostname=no", "-F"]).arg(self.state.path().join(&self.config));
        let Some(text) = output(command.args(["--", name]))? else { return Ok(None) };
        let word = |wanted: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix(' '));
            line.unwrap_or_default()
        };
        let files = [word("userknownhostsfile"), word("globalknownhostsfile")];
        Ok(Some(Settled {
            hostname: word("hostname").to_ascii_lowercase(),
            port: word("port").to_owned(),
            known_hosts: files.iter().flat_map(|files| files.split(' ')).map(str::to_owned).collect(),
        }))
    }

    /// Whether the user has been at `name`: a host's key is kept for it. One line for a whole domain says nothing of that.
    pub fn has_key(&self, name: &str, settled: &Settled) -> bool {
        let asked = if settled.port == "22" { name.to_owned() } else { format!("[{name}]:{}", settled.port) };
        let named = settled.known_hosts.iter().map(|file| self.path(file, name));
        let ours = ["known_hosts", "known_hosts2"].map(|file| self.directory.join(file));
        named.chain(ours).filter(|file| file.is_file()).any(|file| {
            let mut command = Command::new("ssh-keygen");
            let found = output(command.args(["-F", &asked, "-f"]).arg(&file)).ok().flatten();
            found.is_some_and(|text| text.lines().any(|line| !line.is_empty() && !line.starts_with(['#', '@'])))
        })
    }

    /// With the `~` and the words for the host's name that ssh understands in it.
    fn path(&self, file: &str, name: &str) -> PathBuf {
        let file = ["%h", "%k", "%n"].iter().fold(file.to_owned(), |file, word| file.replace(word, name));
        match file.strip_prefix("~/.ssh/") {
            Some(rest) => self.directory.join(rest),
            None => PathBuf::from(file),
        }
    }
}

impl Drop for Ssh<'_> {
    fn drop(&mut self) {
        let _gone = self.state.remove(&self.config).is_ok();
    }
}

/// What it printed; none if it failed.
fn output(command: &mut Command) -> Result<Option<String>, Failure> {
    match command.stdin(Stdio::null()).stderr(Stdio::null()).output() {
        Ok(done) => Ok(done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Failure::failed("ssh is not there to say what it does with the names").hint("install OpenSSH"))
        }
        Err(error) => Err(Failure::failed(format!("cannot run ssh: {error}"))),
    }
}
