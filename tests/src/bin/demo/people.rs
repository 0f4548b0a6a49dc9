//! Two accounts to log in to: made for the demonstration and removed after it, where that is possible.

use anyhow::Result;
use e2e::kit::accounts;
use std::process::Command;

/// The accounts of the demonstration.
pub struct People {
    /// The one that may be logged in to.
    pub first: String,
    /// Another one on the same host.
    pub second: String,
    temporary: bool,
}

impl People {
    /// As root, two fresh accounts; otherwise the caller's own, beside one that every machine has.
    pub fn hire() -> Result<Self> {
        if !accounts::is_root() {
            let name = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?;
            return Ok(Self { first: name.trim().to_owned(), second: "nobody".to_owned(), temporary: false });
        }
        let number = std::process::id();
        let people =
            Self { first: format!("jit-demo-a-{number}"), second: format!("jit-demo-b-{number}"), temporary: true };
        accounts::make(&people.first)?;
        accounts::make(&people.second)?;
        Ok(people)
    }
}

impl Drop for People {
    fn drop(&mut self) {
        for name in [&self.first, &self.second] {
            if self.temporary
                && let Err(error) = accounts::remove(name)
            {
                eprintln!("demo: the account {name} is still there: {error:#}");
            }
        }
    }
}
