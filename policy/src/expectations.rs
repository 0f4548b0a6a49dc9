//! Policy tests: a request, and what is expected of the decision on it.

mod actual;
mod request;

use crate::{
    Finding, Policies, PolicyId, Seconds, Sources, decide, decide_break_glass,
    source::suggestion,
    toml_section::{Section, tables},
};
use actual::{Facets, facets};

/// How one policy test came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// The test's name.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// Passed, or what was expected and what came.
    pub result: Result<(), String>,
}

const MOST: usize = 10_000;
const BREAK_GLASS: &str = "break-glass";
const ACTIONS: [&str; 2] = ["connect", BREAK_GLASS];
const OUTCOMES: [&str; 3] = ["granted", "needs-approval", "denied"];
const CAUSES: [&str; 5] = ["forbidden", "no-permit", "terms-unmet", "unknown-target", "evaluation-failed"];
const SPANS: [&str; 5] = ["granted_for", "max_duration", "cert_ttl", "claim_within", "review_within"];
const NUMBERS: [&str; 2] = ["approvals", "approvers_from_groups"];
const FLAGS: [&str; 4] = ["reason_required", "ticket_required", "verify_required", "record"];
const TEXTS: [&str; 2] = ["force_command", "elevate"];
const IDS: [&str; 2] = ["policies", "others"];
const LISTS: [&str; 8] =
    ["principals", "sources", "approver_groups", "approval_levels", "advice", "unmet", "extensions", "notify"];

impl Policies {
    /// Runs every test in `sources.tests` against this set. A file that cannot be read is one failed test.
    pub fn run_tests(&self, sources: &Sources) -> Vec<TestOutcome> {
        let run = |source| match tables(source, "test", MOST, |section| self.run(section)) {
            Ok(outcomes) => outcomes,
            Err(findings) => findings.into_iter().map(unreadable).collect(),
        };
        sources.tests.iter().flat_map(run).collect()
    }

    fn run(&self, section: Section<'_>) -> Result<TestOutcome, Finding> {
        let lists =
            [&SPANS[..], &NUMBERS, &FLAGS, &TEXTS, &IDS, &LISTS, &["name", "action", "expect", "policy", "cause"]];
        let known: Vec<&str> = request::KEYS.into_iter().chain(lists.into_iter().flatten().copied()).collect();
        section.only(&known)?;
        let name = section.text("name")?.ok_or_else(|| section.finding("a test has no name", "add name = \"…\""))?;
        let expected = expected(&section)?;
        let (ask, now) = request::read(&section)?;
        let came = facets(&match one_of(&section, "action", &ACTIONS)?.as_deref() {
            Some(BREAK_GLASS) => decide_break_glass(self, &ask, now),
            _ => decide(self, &ask, now),
        });
        let differs = |(key, want): &(&'static str, Vec<String>)| {
            let got = came.get(key);
            (got != Some(want)).then(|| format!("expected {key} {}, came {}", shown(Some(want)), shown(got)))
        };
        let mut differences: Vec<String> = expected.iter().filter_map(differs).collect();
        if !differences.is_empty() {
            differences.push(summary(&came));
        }
        let place = section.finding("", "");
        let result = if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) };
        Ok(TestOutcome { name: name.value.to_owned(), file: place.file, line: place.line, result })
    }
}

/// What the test expects, key by key.
fn expected(section: &Section<'_>) -> Result<Vec<(&'static str, Vec<String>)>, Finding> {
    let mut all = vec![(
        "expect",
        vec![one_of(section, "expect", &OUTCOMES)?.ok_or_else(|| {
            section.finding("a test expects nothing", "add expect = \"granted\", \"needs-approval\" or \"denied\"")
        })?],
    )];
    if let Some(policy) = section.word::<PolicyId>("policy")? {
        all.push(("policies", vec![policy.value.to_string()]));
    }
    if let Some(cause) = one_of(section, "cause", &CAUSES)? {
        all.push(("cause", vec![cause]));
    }
    for key in SPANS {
        all.extend(section.word::<Seconds>(key)?.map(|span| (key, vec![span.value.to_string()])));
    }
    for key in NUMBERS {
        all.extend(section.number::<u8>(key)?.map(|number| (key, vec![number.to_string()])));
    }
    for key in FLAGS {
        all.extend(section.flag(key)?.map(|flag| (key, vec![flag.to_string()])));
    }
    for key in TEXTS {
        all.extend(section.text(key)?.map(|text| (key, vec![text.value.to_owned()])));
    }
    for key in IDS {
        all.extend(
            section.words::<PolicyId>(key, 100)?.map(|ids| (key, sorted(ids.iter().map(|id| id.value.to_string())))),
        );
    }
    for key in LISTS {
        all.extend(section.texts(key, 100)?.map(|texts| (key, sorted(texts.iter().map(|text| text.value.to_owned())))));
    }
    Ok(all)
}

fn one_of(section: &Section<'_>, key: &str, known: &[&str]) -> Result<Option<String>, Finding> {
    let Some(text) = section.text(key)? else { return Ok(None) };
    if known.contains(&text.value) {
        return Ok(Some(text.value.to_owned()));
    }
    Err(text.finding(format!("`{}` is no {key}", text.value), suggestion(text.value, known.iter().copied())))
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = texts.collect();
    all.sort_unstable();
    all
}

fn shown(values: Option<&Vec<String>>) -> String {
    match values.map(Vec::as_slice) {
        None | Some([]) => "nothing".to_owned(),
        Some(values) => values.join(", "),
    }
}

fn summary(came: &Facets) -> String {
    let facet = |key: &str| came.get(key).filter(|values| !values.is_empty()).map(|values| values.join(", "));
    let outcome = facet("expect").unwrap_or_default();
    let cause = facet("cause").map(|cause| format!(", {cause}")).unwrap_or_default();
    let by = facet("policies").map(|policies| format!(" by {policies}")).unwrap_or_default();
    format!("the decision was: {outcome}{cause}{by}")
}

fn unreadable(finding: Finding) -> TestOutcome {
    let hint = finding.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    TestOutcome {
        name: "unreadable".to_owned(),
        file: finding.file,
        line: finding.line,
        result: Err(format!("{}{hint}", finding.message)),
    }
}
