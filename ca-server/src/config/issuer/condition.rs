//! `[[issuer.require]]`: what a workload's token must say.

/// A condition on one claim. Exactly one of `equals`, `in` and `prefix` is set; texts are compared byte for byte.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(try_from = "Written")]
pub struct Condition {
    claim: String,
    must: Must,
}

#[derive(Clone, Debug)]
enum Must {
    Be(Vec<String>),
    StartWith(String),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    claim: String,
    equals: Option<String>,
    r#in: Option<Vec<String>>,
    prefix: Option<String>,
}

impl Condition {
    /// `claim` is exactly `text`.
    pub fn equals(claim: impl Into<String>, text: impl Into<String>) -> Self {
        Self { claim: claim.into(), must: Must::Be(vec![text.into()]) }
    }

    /// `claim` begins with `text`.
    pub fn prefix(claim: impl Into<String>, text: impl Into<String>) -> Self {
        Self { claim: claim.into(), must: Must::StartWith(text.into()) }
    }

    /// The claim it is about: a name, a path or a URL, as in `groups_claim`.
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// Whether a claim that reads `text` meets it.
    pub fn holds(&self, text: &str) -> bool {
        match &self.must {
            Must::Be(any) => any.iter().any(|wanted| wanted == text),
            Must::StartWith(prefix) => text.starts_with(prefix),
        }
    }
}

impl TryFrom<Written> for Condition {
    type Error = &'static str;
    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let must = match (written.equals, written.r#in, written.prefix) {
            (Some(text), None, None) => Must::Be(vec![text]),
            (None, Some(any), None) if !any.is_empty() => Must::Be(any),
            // An empty prefix would hold for everybody and look like a rule.
            (None, None, Some(prefix)) if !prefix.is_empty() => Must::StartWith(prefix),
            _ => {
                return Err("a condition has a claim and exactly one of equals, in (not empty) and prefix (not empty)");
            }
        };
        if written.claim.is_empty() {
            return Err("a condition names a claim");
        }
        Ok(Self { claim: written.claim, must })
    }
}
