//! What a revocation is to end, found before anything is changed.

use crate::{
    app::App,
    clock::moment,
    refusal::Refusal,
    store::{KeptRequest, Known, LoginSession, Selection, Which},
    verbs::{
        administer,
        case::{self, Case},
        requests,
    },
};
use api::{Code, Scope};
use policy::{Host, HostName, Identity, Issuer, Now, PolicyId, Request, RequestId, Subject};
use std::collections::{BTreeSet, HashSet};

/// So many requests are looked at between two turns of others.
const PAGE: usize = 100;

/// What is to be ended.
pub(super) struct Wanted {
    /// The kind of scope, in the words of the audit log.
    pub(super) kind: &'static str,
    /// What was named.
    pub(super) named: String,
    /// Requests that are not over.
    pub(super) requests: BTreeSet<RequestId>,
    /// Login sessions.
    pub(super) sessions: Vec<LoginSession>,
    /// Certificates.
    pub(super) certificates: Selection,
    /// What this does not end.
    pub(super) hint: Option<String>,
}

/// The words that tell what goes on all the same.
const STANDING: &str = "standing access goes on where policy gives it: forbid it there, or `jit-ssh freeze`";
const SHARED: &str = "certificates for other hosts open it too, for they are bound to accounts alone: they are revoked with the \
                      rest, and more may come; `jit-ssh freeze --host` stops them";
const LOGIN: &str = "they may log in again: `jit-ssh freeze` keeps anything from being issued to them";

impl Wanted {
    /// What `scope` names.
    ///
    /// # Errors
    /// If it names nothing that is known.
    pub(super) async fn find(app: &App, scope: &Scope) -> Result<Self, Refusal> {
        match scope {
            Scope::Grant(grant) => {
                let request = app.store.request(&grant.request()).await?;
                let certificates = Selection::Grant(grant.clone());
                known(app, request.is_some(), &certificates, "there is no such grant").await?;
                let requests = match request {
                    Some(kept) if case::ending(&kept.steps).is_none() => [kept.request.id].into(),
                    _ => BTreeSet::new(),
                };
                Ok(Self::new("grant", grant, certificates).ending(requests))
            }
            Scope::User(whose) => {
                let accounts = administer::accounts(app, whose).await?;
                Self::new("user", &whose.name, holders(&accounts)).of(app, &accounts).await
            }
            Scope::Issuer(issuer) => {
                let accounts = app.store.known(&Known::Of(issuer.clone())).await?;
                let configured = app.issuers.about().iter().any(|about| about.issuer == *issuer);
                let certificates = Selection::Issuer(issuer.clone());
                let any = configured || !accounts.is_empty();
                known(app, any, &certificates, "no such issuer is known").await?;
                Self::new("issuer", issuer, certificates).of(app, &accounts).await
            }
            Scope::Host(named) => {
                let loaded = app.policies.current();
                let listed = loaded.policies.inventory().host(named);
                let host = listed.map_or(named, |host| host.name());
                let inventory = loaded.policies.inventory();
                let opening: Vec<&Host> = listed.into_iter().flat_map(|host| inventory.opening(host)).collect();
                let shared = opening.len() > 1;
                // Under a former name too, as long as it is one of the host's: the record has that of the day.
                let names = opening.iter().flat_map(|host| std::iter::once(host.name()).chain(host.aliases()));
                let certificates = Selection::Hosts(names.chain([host]).cloned().collect());
                known(app, listed.is_some(), &certificates, "there is no such host").await?;
                let is_it =
                    |name: &HostName| name == host || inventory.host(name).is_some_and(|one| one.name() == host);
                let requests = open(app, |request, _| request.targets.iter().any(|target| is_it(target.host())));
                let requests = requests.await?;
                Ok(Self::new("host", host, certificates).ending(requests).but(if shared { SHARED } else { STANDING }))
            }
            Scope::Policy(policy) => {
                let certificates = Selection::Policy(policy.clone());
                let loaded = app.policies.current();
                known(app, loaded.policies.has(policy), &certificates, "there is no such policy").await?;
                // As of when it was filed too: what is refused at this hour may not be at another.
                let under = |request: &Request, now| is_under(&loaded.policies, request, policy, now);
                let filed = |request: &Request| moment(request.filed, &app.zone);
                let requests = open(app, |request, now| under(request, now) || under(request, filed(request))).await?;
                Ok(Self::new("policy", policy, certificates).ending(requests).but(STANDING))
            }
            Scope::Serial(serial) => {
                let certificates = Selection::Serial(*serial);
                known(app, false, &certificates, "no certificate with this serial lives").await?;
                Ok(Self::new("serial", serial, certificates)
                    .but("its grant goes on and the next certificate may come: `jit-ssh revoke --grant` ends it"))
            }
        }
    }

    fn new(kind: &'static str, named: &impl ToString, certificates: Selection) -> Self {
        let (requests, sessions) = (BTreeSet::new(), Vec::new());
        Self { kind, named: named.to_string(), requests, sessions, certificates, hint: None }
    }

    fn ending(self, requests: BTreeSet<RequestId>) -> Self {
        Self { requests, ..self }
    }

    fn but(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    /// With all that these accounts asked for and all their logins.
    async fn of(mut self, app: &App, accounts: &[Identity]) -> Result<Self, Refusal> {
        let theirs: HashSet<(&Issuer, &Subject)> = accounts.iter().map(|one| (&one.issuer, &one.subject)).collect();
        let is_theirs = |by: &Identity| theirs.contains(&(&by.issuer, &by.subject));
        self.requests = open(app, |request, _| is_theirs(&request.requester)).await?;
        for Identity { issuer, subject, .. } in accounts {
            self.sessions.extend(app.store.sessions_of(issuer, subject).await?);
        }
        Ok(self.but(LOGIN))
    }
}

fn holders(accounts: &[Identity]) -> Selection {
    Selection::Holders(accounts.iter().map(|one| (one.issuer.clone(), one.subject.clone())).collect())
}

/// Whether there is anything that this could mean: what is named wrongly is not done silently.
async fn known(app: &App, known: bool, which: &Selection, message: &str) -> Result<(), Refusal> {
    if known || !app.store.live(which, app.clock.now()).await?.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(Code::NotFound, format!("{message}; nothing was changed"))
        .hint("`ca-server audit tail` shows what was issued, with grant, policy, serial and host"))
}

/// The requests that are not over for good and for which `wanted` holds. What is put away is not looked at, however much of
/// it there is: under that nothing is issued.
async fn open(app: &App, wanted: impl Fn(&Request, Now) -> bool) -> Result<BTreeSet<RequestId>, Refusal> {
    let now = moment(app.clock.now(), &app.zone);
    let (mut open, mut after): (_, Option<RequestId>) = (BTreeSet::new(), None);
    loop {
        let kept = app.store.requests(&Which::Open, after.as_ref(), PAGE).await?;
        let whole = kept.len() == PAGE;
        after = kept.last().map(|kept| kept.request.id.clone());
        for kept in kept.into_iter().filter(|kept| case::ending(&kept.steps).is_none()) {
            let KeptRequest { request, .. } = &kept;
            if wanted(request, now) {
                let id = request.id.clone();
                let stage = Case::of(app, kept).await?.stage(&app.policies.current().policies, now);
                if !stage.is_over_for_good() {
                    open.insert(id);
                }
            }
        }
        if !whole {
            return Ok(open);
        }
        tokio::task::yield_now().await;
    }
}

/// Whether any of its targets is, or would be, granted by this permit.
fn is_under(policies: &policy::Policies, request: &Request, policy: &PolicyId, now: Now) -> bool {
    if let Some(under) = &request.under {
        return under == policy;
    }
    let first = |target| {
        let ask = requests::ask(request, target);
        policy::offers(policies, &ask, now).first().is_some_and(|terms| terms.policy == *policy)
    };
    request.targets.iter().any(first)
}
