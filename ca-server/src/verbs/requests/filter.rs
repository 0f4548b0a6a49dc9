//! Which requests of a list are wanted: by whom, for what, how far they have come.

use crate::store::{KeptRequest, Word, records};
use api::STAGES;
use policy::{HostName, Stage, Ticket};

/// What all that are listed have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Asked for by whoever has this e-mail address or subject, whatever the case of its letters.
    pub user: Option<String>,
    /// For this host, among others perhaps.
    pub host: Option<HostName>,
    /// Under this ticket.
    pub ticket: Option<Ticket>,
    /// In this stage: `pending`, … `over`, or the way it ended; `open` is whatever is not over.
    pub stage: Option<Wanted>,
}

/// A stage that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted(String);

impl Wanted {
    /// The stage with this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        STAGES.contains(&name).then(|| Self(name.to_owned()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    fn is(&self, stage: &Stage) -> bool {
        if self.0 == "open" {
            return !matches!(stage, Stage::Over { .. } | Stage::Added { .. });
        }
        // By the names that are written on the wire.
        let written = serde_json::to_value(stage).unwrap_or_default();
        ["/stage", "/how"].iter().any(|name| written.pointer(name).and_then(|name| name.as_str()) == Some(&self.0))
    }
}

impl Filter {
    /// The words of an index that everything wanted has, the rarest first.
    pub(super) fn words(&self) -> Vec<Word> {
        let ticket = self.ticket.as_ref().map(Word::ticket);
        let user = self.user.as_deref().map(Word::user);
        [ticket, user, self.host.as_ref().map(Word::host)].into_iter().flatten().collect()
    }

    /// Whether the request is wanted, as far as can be told without knowing where it stands.
    pub(super) fn takes(&self, kept: &KeptRequest) -> bool {
        let wanted = self.words();
        wanted.is_empty() || {
            let words = records::words(&kept.request);
            wanted.iter().all(|word| words.contains(word))
        }
    }

    /// Whether one that stands at `stage` is wanted.
    pub(super) fn takes_stage(&self, stage: &Stage) -> bool {
        self.stage.as_ref().is_none_or(|wanted| wanted.is(stage))
    }
}

#[cfg(test)]
mod tests {
    use super::{STAGES, Wanted};
    use policy::{Over, Stage, UnixTime};

    #[test]
    fn stages_are_named_as_they_are_written() {
        let at = UnixTime::from_secs(1);
        let over = |how| (Stage::Over { how }, format!("{how:?}").to_lowercase());
        let mut stages = vec![
            (Stage::Pending { needs: Vec::new(), until: at }, "pending".to_owned()),
            (Stage::Scheduled { from: at }, "scheduled".to_owned()),
            (Stage::Claimable { until: at }, "claimable".to_owned()),
            (Stage::Active { since: at, until: at }, "active".to_owned()),
            (Stage::Added { at }, "added".to_owned()),
        ];
        let ends = [Over::Denied, Over::Forbidden, Over::Cancelled, Over::Expired];
        stages.extend(ends.map(over));
        stages.extend([Over::Unclaimed, Over::Finished, Over::Done, Over::Revoked].map(over));
        for (stage, name) in &stages {
            let taken: Vec<&str> =
                STAGES.into_iter().filter(|wanted| Wanted::named(wanted).unwrap().is(stage)).collect();
            let group = match stage {
                Stage::Over { .. } => Some("over"),
                Stage::Added { .. } => None,
                _ => Some("open"),
            };
            assert!(taken.contains(&name.as_str()) && group.is_none_or(|group| taken.contains(&group)), "{taken:?}");
            assert_eq!(taken.len(), 1 + usize::from(group.is_some()), "{name}: {taken:?}");
        }
        assert_eq!(stages.len() + 2, STAGES.len());
        assert_eq!(Wanted::named("Over"), None);
    }
}
