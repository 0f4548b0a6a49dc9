//! The one door to Cedar: policies are loaded, checked and asked here, and nowhere else.

mod annotations;
mod check;
pub(crate) mod facts;
mod index;
mod memo;
pub(crate) mod named;
pub(crate) mod names;
pub(crate) mod question;
pub(crate) mod rule;
pub(crate) mod size;
#[cfg(test)]
mod tests;

use crate::{Finding, Identity, Inventory, Now, PolicyId, Source, Sources};
use cedar_policy::{Authorizer, PolicySet, Schema};
use facts::Facts;
use index::Index;
use memo::{Answer, Key, Memo};
use named::Named;
use names::{Action, Duty};
use question::{Question, Told, Untellable};
use rule::Rule;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

/// A policy set with its inventory, checked as a whole. Immutable: a reload makes a new one, so an `Arc` of it is all
/// that a server swaps.
pub struct Policies {
    rules: Vec<Rule>,
    by_id: HashMap<PolicyId, usize>,
    index: Index,
    /// Permits to approve.
    approving: Vec<usize>,
    emergencies: bool,
    named: Named,
    inventory: Inventory,
    authorizer: Authorizer,
    memo: Memo,
}

/// Which policies are satisfied, each list sorted by id.
#[derive(Debug, Default)]
pub(crate) struct Verdict<'a> {
    pub(crate) permits: Vec<&'a Rule>,
    pub(crate) forbids: Vec<&'a Rule>,
    /// Policies that could not be evaluated.
    pub(crate) failed: Vec<PolicyId>,
}

impl Policies {
    /// The most policies in one set.
    pub const MOST: usize = 20_000;

    /// The policies and the inventory in `sources`, if all of it is right.
    ///
    /// # Errors
    /// With everything that is wrong, in the order of files and lines: a set is taken whole or not at all.
    pub fn load(sources: &Sources) -> Result<Self, Vec<Finding>> {
        size::on_deep_stack(|| Self::load_here(sources)).unwrap_or_else(|| {
            let message = "there is no thread to load policies on";
            Err(vec![Source::default().finding(0, message, "free some memory and try again")])
        })
    }

    fn load_here(sources: &Sources) -> Result<Self, Vec<Finding>> {
        let inventory = Inventory::read(sources)?;
        let rules = read(&sources.policies)?;
        let set = PolicySet::from_policies(rules.iter().map(|rule| rule.cedar.clone()));
        let schema = Schema::from_cedarschema_str(names::SCHEMA);
        let (Ok(set), Ok((schema, _)), Ok(index)) = (set, schema, Index::of(&rules)) else {
            return Err(vec![Source::default().finding(
                0,
                "the policy engine cannot take this set",
                "report this as a bug",
            )]);
        };
        let mut findings: Vec<Finding> =
            rules.iter().flat_map(|rule| check::names(rule, &inventory)).take(Finding::MOST).collect();
        findings.extend(check::types(&schema, &rules, &set));
        if !findings.is_empty() {
            return Err(findings);
        }
        let by_id = rules.iter().enumerate().map(|(at, rule)| (rule.id.clone(), at)).collect();
        let named = Named::by(&rules);
        let approve = names::action(names::Action::Approve);
        let approving = |rule: &Rule| rule.permits && approve.as_ref().is_some_and(|approve| rule.speaks_of(approve));
        let approving = rules.iter().enumerate().filter(|(_, rule)| approving(rule)).map(|(at, _)| at).collect();
        let emergencies = rules.iter().any(Rule::breaks_glass);
        let (authorizer, memo) = (Authorizer::new(), Memo::default());
        Ok(Self { rules, by_id, index, approving, emergencies, named, inventory, authorizer, memo })
    }

    /// The hosts that policies decide about.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none, so that everything is denied.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Every channel that a permit names in `@notify`.
    pub fn channels(&self) -> BTreeSet<&str> {
        let terms = self.rules.iter().filter_map(|rule| rule.terms.as_ref());
        terms.flat_map(|terms| &terms.notify).map(String::as_str).collect()
    }

    /// Whether there is a policy with this id.
    pub fn has(&self, id: &crate::PolicyId) -> bool {
        self.rules.iter().any(|rule| rule.id == *id)
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn approving(&self) -> impl Iterator<Item = &Rule> {
        self.approving.iter().filter_map(|&at| self.rules.get(at))
    }

    /// Whether any permit gives emergency access.
    pub(crate) fn knows_emergencies(&self) -> bool {
        self.emergencies
    }

    pub(crate) fn named(&self) -> &Named {
        &self.named
    }

    /// How many answers are remembered.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> usize {
        self.memo.len()
    }

    /// Asks every policy that can match.
    pub(crate) fn ask(&self, facts: &Facts<'_>, action: Action) -> Result<Verdict<'_>, Untellable> {
        let key = Key::of(facts, action, &self.named);
        let answer = self.memo.or_find(key, || self.find(&Question::new(facts, action, &self.named)?))?;
        self.verdict(&answer)
    }

    /// As [`Self::ask`], whether `who`, coming from `source`, has this duty.
    pub(crate) fn ask_of_duty(
        &self,
        duty: Duty,
        who: &Identity,
        source: IpAddr,
        now: Now,
    ) -> Result<Verdict<'_>, Untellable> {
        let key = Key::of_duty(duty, who, source, now, &self.named);
        let find = || self.find(&Question::of_duty(duty, who, source, now, &self.named)?);
        let answer = self.memo.or_find(key, find)?;
        self.verdict(&answer)
    }

    fn verdict(&self, answer: &Answer) -> Result<Verdict<'_>, Untellable> {
        let rule = |&at: &usize| self.rules.get(at).ok_or(Untellable);
        let rules = |places: &[usize]| places.iter().map(rule).collect::<Result<Vec<_>, _>>();
        Ok(Verdict {
            permits: rules(&answer.permits)?,
            forbids: rules(&answer.forbids)?,
            failed: answer.failed.clone(),
        })
    }

    fn find(&self, question: &Question) -> Result<Answer, Untellable> {
        let Told { request, entities } = question.told()?;
        let mut answer = Answer::default();
        let id = |at: &usize| self.rules.get(*at).map(|rule| &rule.id);
        for bucket in self.index.buckets(&question.principals, &question.resources) {
            let response = self.authorizer.is_authorized(&request, bucket, &entities);
            for error in response.diagnostics().errors() {
                let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
                let (_, rule) = self.rule(error.policy_id()).ok_or(Untellable)?;
                answer.failed.push(rule.id.clone());
            }
            for satisfied in response.diagnostics().reason() {
                let (at, rule) = self.rule(satisfied).ok_or(Untellable)?;
                if rule.permits { answer.permits.push(at) } else { answer.forbids.push(at) }
            }
        }
        answer.permits.sort_unstable_by_key(id);
        answer.forbids.sort_unstable_by_key(id);
        answer.failed.sort_unstable();
        Ok(answer)
    }

    /// Whether `policy`, alone, is satisfied; none where it cannot be evaluated.
    pub(crate) fn holds(&self, policy: cedar_policy::Policy, told: &Told) -> Option<bool> {
        let alone = PolicySet::from_policies([policy]).ok()?;
        let response = self.authorizer.is_authorized(&told.request, &alone, &told.entities);
        let satisfied = response.diagnostics().reason().next().is_some();
        response.diagnostics().errors().next().is_none().then_some(satisfied)
    }

    fn rule(&self, id: &cedar_policy::PolicyId) -> Option<(usize, &Rule)> {
        let id: PolicyId = AsRef::<str>::as_ref(id).parse().ok()?;
        self.by_id.get(&id).and_then(|&at| Some((at, self.rules.get(at)?)))
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policies({} policies, {} hosts)", self.rules.len(), self.inventory.hosts().len())
    }
}

fn read(sources: &[Source]) -> Result<Vec<Rule>, Vec<Finding>> {
    let (mut rules, mut findings) = (Vec::new(), Vec::new());
    for source in sources {
        match read_one(source) {
            Ok(more) => rules.extend(more),
            Err(more) => findings.extend(more),
        }
    }
    if let Some(last) = rules.get(Policies::MOST) {
        findings.push(last.place.finding(format!("more than {} policies", Policies::MOST), "merge some"));
    }
    let mut seen = HashSet::new();
    let taken = rules.iter().filter(|rule| !seen.insert(&rule.id));
    findings.extend(
        taken.take(Finding::MOST).map(|rule| {
            rule.place.finding(format!("@id(\"{}\") is taken", rule.id), "every policy has an id of its own")
        }),
    );
    if findings.is_empty() { Ok(rules) } else { Err(findings) }
}

fn read_one(source: &Source) -> Result<Vec<Rule>, Vec<Finding>> {
    source.readable().and_then(|()| size::bounded(source)).map_err(|finding| vec![finding])?;
    let set: PolicySet = source.text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        errors.iter().take(Finding::MOST).map(|error| check::diagnosed(source, error, 0)).collect::<Vec<_>>()
    })?;
    if set.templates().next().is_some() {
        let at = source.text.find("?principal").or_else(|| source.text.find("?resource")).unwrap_or(0);
        return Err(vec![source.finding(at, "policy templates are not used here", "write the policy out")]);
    }
    let source = Arc::new(source.clone());
    let (mut rules, mut findings) = (Vec::new(), Vec::new());
    for policy in set.policies() {
        match Rule::read(&source, policy) {
            Ok(rule) => rules.push(rule),
            Err(more) if findings.len() < Finding::MOST => findings.extend(more),
            Err(_) => break,
        }
    }
    rules.sort_by_key(|rule| rule.place.start);
    findings.sort();
    if findings.is_empty() { Ok(rules) } else { Err(findings) }
}
