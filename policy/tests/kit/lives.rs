//! Requests to try: the words of docs/REQUESTS.md, as facts.
#![allow(dead_code, reason = "each test takes its part of it")]

use policy::{
    Approval, Ask, BreakGlass, Decision, Digest, Grant, Identity, Joined, Kind, Life, Now, Over, Policies, Request,
    Review, Seconds, Source, Sources, Stage, Step, Target, UnixTime, Verdict, What, decide_under, stage,
};
use std::sync::Arc;

/// Wednesday 2026-03-04, noon UTC: when every request here is filed.
pub const FILED: u64 = 1_772_625_600;
const DIGEST: Digest = Digest([7; 32]);
const HOSTS: &str = r#"
[[host]]
name = "web-1"
accounts = ["deploy", "root"]
[[host]]
name = "db-1"
accounts = ["deploy"]
"#;

/// The instant so long after filing.
pub fn after(span: &str) -> UnixTime {
    UnixTime::from_secs(FILED).plus(span.parse().unwrap())
}

/// UTC is local time.
pub fn now(time: UnixTime) -> Now {
    let secs = time.as_secs();
    let weekday = u8::try_from((secs / 86_400 + 3) % 7 + 1).unwrap();
    Now { time, weekday, minute: u16::try_from(secs % 86_400 / 60).unwrap() }
}

/// `annotations` on the permit to connect, and `more` rules.
pub fn policies(annotations: &str, more: &str) -> Policies {
    let text = format!(
        "@id(\"p\") @max_duration(\"2h\") {annotations} permit (principal, action == Action::\"connect\", resource);
         @id(\"leads\") permit (principal in Group::\"leads\", action == Action::\"approve\", resource);
         @id(\"security\") permit (principal in Group::\"security\", action == Action::\"approve\", resource);
         @id(\"glass\") @max_duration(\"2h\") @reason(\"required\") @record(\"required\") @review_within(\"4h\")
         permit (principal, action == Action::\"break-glass\", resource);
         {more}"
    );
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let sources = Sources {
        policies: vec![source("p.cedar", &text)],
        hosts: Some(source("hosts.toml", HOSTS)),
        groups: None,
        tests: Vec::new(),
    };
    Policies::load(&sources).unwrap_or_else(|all| panic!("{}", all.iter().map(ToString::to_string).collect::<String>()))
}

/// Everybody on these pages.
pub fn person(name: &str) -> Identity {
    let (groups, person): (&[&str], &str) = match name {
        "lea" | "lea-2" => (&["leads"], "lea"),
        "kim" => (&["leads"], "kim"),
        "sam" => (&["security"], "sam"),
        "ann" => (&["leads"], "ann"),
        "ann-2" => (&["leads", "security"], "ANN"),
        "bot" => (&["leads"], "bot"),
        "joe" => (&[], "joe"),
        _ => panic!("who is {name}?"),
    };
    let issuer = if name.ends_with("-2") { "https://other.example.com" } else { "https://issuer.example.com" };
    Identity {
        kind: if name == "bot" { Kind::Workload } else { Kind::User },
        issuer: issuer.parse().unwrap(),
        subject: name.parse().unwrap(),
        email: Some(format!("{person}@example.com").parse().unwrap()),
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        amr: Vec::new(),
        acr: None,
        mfa: true,
        auth_time: Some(UnixTime::from_secs(FILED)),
        claims: Vec::new(),
        known_as: Vec::new(),
    }
}

/// Ann's request of the pages.
pub fn request(number: u8) -> Request {
    Request {
        id: policy::RequestId::from_random([number; 12]),
        requester: person("ann"),
        targets: ["deploy@db-1", "deploy@web-1"].map(|target| target.parse().unwrap()).to_vec(),
        duration: Seconds::new(3600),
        reason: None,
        ticket: None,
        start: None,
        under: None,
        source: [192, 0, 2, 1].into(),
        filed: UnixTime::from_secs(FILED),
        expires: after("24h"),
        extends: None,
        break_glass: None,
    }
}

/// The same as emergency access.
pub fn emergency(request: &Request) -> Request {
    let review_by = request.filed.plus("4h".parse().unwrap());
    Request {
        reason: Some("down".parse().unwrap()),
        under: Some("glass".parse().unwrap()),
        expires: request.filed,
        break_glass: Some(BreakGlass { incident: "INC-7".parse().unwrap(), review_by }),
        ..request.clone()
    }
}

pub fn reviewed(verdict: Verdict) -> What {
    What::Reviewed { verdict, reason: "looked".parse().unwrap() }
}

pub fn approval() -> Approval {
    Approval { digest: DIGEST, duration: None, only: Vec::new(), reason: None }
}

/// A request with its facts and the policies it is judged by.
#[derive(Clone)]
pub struct Case {
    pub policies: Arc<Policies>,
    pub request: Request,
    pub steps: Vec<Step>,
    pub extensions: Vec<(Request, Digest, Vec<Step>)>,
    pub joined: Vec<Joined>,
}

impl Case {
    pub fn new(annotations: &str, more: &str) -> Self {
        Self {
            policies: Arc::new(policies(annotations, more)),
            request: request(1),
            steps: Vec::new(),
            extensions: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// The facts of a row.
    pub fn read(facts: &str) -> Self {
        let facts: Vec<&str> = facts.split("; ").collect();
        let has = |fact: &str| facts.contains(&fact);
        let annotations = match (has("from two groups"), has("first leads then security")) {
            (true, _) => "@approvals(\"2\") @approvers_from_groups(\"2\")",
            (_, true) => "@approvals(\"2\") @approval_levels(\"leads,security\")",
            _ => "@approvals(\"2\")",
        };
        let forbid = "@id(\"no\") forbid (principal, action == Action::\"connect\", resource);";
        let mut case = Self::new(annotations, if has("forbidden") { forbid } else { "" });
        if facts.iter().any(|fact| fact.starts_with("extended")) {
            case.step("lea", after("0s"), What::Approved(approval()));
            case.step("sam", after("0s"), What::Approved(approval()));
        }
        facts.iter().for_each(|fact| case.fact(fact));
        case
    }

    pub fn step(&mut self, who: &str, at: UnixTime, what: What) {
        self.steps.push(Step { at, by: person(who), what });
    }

    pub fn leaves(&mut self, who: &str) {
        let steps = self.extensions.iter_mut().flat_map(|(_, _, steps)| steps).chain(&mut self.steps);
        for step in steps.filter(|step| step.by.subject.as_str() == who) {
            step.learn(&Identity { groups: Vec::new(), ..person(who) });
        }
    }

    pub fn joins(&mut self, who: &str, group: &str, since: UnixTime) {
        let Identity { issuer, subject, .. } = person(who);
        self.joined.push(Joined { issuer, subject, group: group.parse().unwrap(), since });
    }

    pub fn life(&self) -> Life<'_> {
        let Self { request, steps, extensions, joined, .. } = self;
        Life { request, digest: DIGEST, steps, extensions, joined }
    }

    pub fn stage(&self, at: UnixTime) -> Stage {
        stage(&self.policies, &self.life(), now(at))
    }

    pub fn decided(&self, target: &Target, at: UnixTime) -> Decision {
        let ask = Ask {
            identity: self.request.requester.clone(),
            target: target.clone(),
            duration: None,
            reason: None,
            ticket: None,
            source: self.request.source,
        };
        decide_under(&self.policies, &ask, &self.life(), now(at))
    }

    pub fn grants(&self, at: UnixTime) -> Vec<Grant> {
        let decided = self.request.targets.iter().map(|target| self.decided(target, at));
        decided
            .filter_map(|decision| if let Decision::Granted(grant) = decision { Some(*grant) } else { None })
            .collect()
    }

    /// Targets that a certificate may be issued for.
    pub fn granted(&self, at: UnixTime) -> Vec<String> {
        self.grants(at).iter().map(|grant| grant.target().to_string()).collect()
    }

    fn fact(&mut self, fact: &str) {
        let words: Vec<&str> = fact.split(' ').collect();
        let no = || What::Denied { reason: "no".parse().unwrap() };
        let ended = |why| What::Ended { why, reason: None };
        let approved = |approval: Approval| What::Approved(approval);
        match words[..] {
            ["nothing" | "forbidden"] | ["from", "two", "groups"] | ["first", ..] => {}
            ["starts", "at", at] => self.request.start = Some(after(at)),
            ["for", "a", "workload", "of", who] => {
                let sponsor = person(who).email.unwrap().to_string();
                self.request.requester = Identity { claims: vec![("sponsor".into(), sponsor)], ..person("bot") };
            }
            ["used", "at", at] => self.step("ann", after(at), What::Claimed),
            ["breaks", "the", "glass"] => self.breaks_the_glass(),
            [who, "reviews", "at", at] => self.step(who, after(at), reviewed(Verdict::Fine)),
            [who, "has", "a", "concern", "at", at] => self.step(who, after(at), reviewed(Verdict::Concern)),
            [who, "leaves"] => self.leaves(who),
            [who, "joins", group, "at", at] => self.joins(who, group, after(at)),
            [who, "approves", "at", at] => self.step(who, after(at), approved(approval())),
            [who, "approves", "another", "version", "at", at] => {
                self.step(who, after(at), approved(Approval { digest: Digest([8; 32]), ..approval() }));
            }
            [who, "approves", "for", span, "at", at] => {
                let duration = Some(span.parse().unwrap());
                self.step(who, after(at), approved(Approval { duration, ..approval() }));
            }
            [who, "approves", "only", host, "at", at] => {
                let only = vec![host.parse().unwrap()];
                self.step(who, after(at), approved(Approval { only, ..approval() }));
            }
            [who, "denies", "at", at] => self.step(who, after(at), no()),
            [who, "cancels", "at", at] => self.step(who, after(at), What::Cancelled),
            [who, "gives", "back", "at", at] => self.step(who, after(at), ended(policy::EndReason::Done)),
            [who, "revokes", "at", at] => self.step(who, after(at), ended(policy::EndReason::Revoked)),
            ["extended", "by", span, "at", at, ref how @ ..] => self.extended(span.parse().unwrap(), after(at), how),
            _ => panic!("what is `{fact}`?"),
        }
    }

    /// It becomes emergency access, to be reviewed within four hours.
    pub fn breaks_the_glass(&mut self) {
        self.request = emergency(&self.request);
    }

    /// An extension that Lea and Sam approve.
    pub fn extended(&mut self, by: Seconds, at: UnixTime, how: &[&str]) {
        let number = u8::try_from(self.extensions.len()).unwrap() + 2;
        let extends = Some(self.request.id.clone());
        let mut request = Request { duration: by, filed: at, extends, ..request(number) };
        let step = |who: &str, what: What| Step { at, by: person(who), what };
        let mut steps = ["lea", "sam"].map(|who| step(who, What::Approved(approval()))).to_vec();
        match how {
            [] => {}
            ["by", "one", "of", "two"] => steps.truncate(1),
            ["and", "denied"] => steps.push(step("kim", What::Denied { reason: "no".parse().unwrap() })),
            ["by", "somebody", "else"] => request.requester = person("joe"),
            ["on", "other", "targets"] => request.targets = vec!["root@web-1".parse().unwrap()],
            ["on", target] => request.targets = vec![target.parse().unwrap()],
            _ => panic!("how is {how:?}?"),
        }
        self.extensions.push((request, DIGEST, steps));
    }
}

/// A review in the words of the page.
pub fn told_of_review(review: &Review) -> String {
    match review {
        Review::Open { due } => format!("open until {}", span(*due)),
        Review::Overdue { due } => format!("overdue since {}", span(*due)),
        Review::Done { at, verdict: Verdict::Fine } => format!("done at {}", span(*at)),
        Review::Done { at, verdict: Verdict::Concern } => format!("done at {}, a concern", span(*at)),
    }
}

/// A stage in the words of the page.
pub fn told(stage: &Stage) -> String {
    match stage {
        Stage::Pending { needs, until } => {
            let need = needs.first().expect("pending for nothing");
            let turn = need.turn.as_ref().map(|turn| format!(", {turn} next")).unwrap_or_default();
            format!("pending until {}, {} of {}{turn}", span(*until), need.have, need.approvals)
        }
        Stage::Scheduled { from } => format!("scheduled from {}", span(*from)),
        Stage::Claimable { until } => format!("claimable until {}", span(*until)),
        Stage::Active { since, until } => format!("active from {} until {}", span(*since), span(*until)),
        Stage::Added { at } => format!("added at {}", span(*at)),
        Stage::Over { how } => format!("over: {}", over(*how)),
    }
}

fn over(how: Over) -> String {
    format!("{how:?}").to_lowercase()
}

/// Since filing, in hours, minutes and seconds.
fn span(time: UnixTime) -> String {
    let left = time.since(UnixTime::from_secs(FILED));
    let parts = [(left / 3600, 'h'), (left / 60 % 60, 'm'), (left % 60, 's')];
    let shown: String =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown }
}
