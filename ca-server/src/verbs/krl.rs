//! The list of revoked certificates as anybody may fetch it, and the signed statement about it.

use crate::{
    app::App,
    ca::krl::{Krl, stated_at},
    custody::CaKey,
    refusal::Refusal,
    store::Edition,
};
use ssh_key::PublicKey;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is fetched often and changes seldom: made once for each edition, stated once a minute.
#[derive(Debug)]
pub struct Lists {
    ca: PublicKey,
    key: CaKey,
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    list: Option<(Edition, Arc<Krl>)>,
    /// Of which list, of which time, what.
    stated: Option<(Arc<Krl>, u64, Arc<str>)>,
}

impl Lists {
    /// For certificates of `ca`, stated by `key`.
    pub fn new(ca: PublicKey, key: CaKey) -> Self {
        Self { ca, key, latest: Mutex::default() }
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list as of now.
///
/// # Errors
/// If the store cannot say.
pub async fn list(app: &App) -> Result<Arc<Krl>, Refusal> {
    let lists = &app.krl;
    let before = lists.latest().list.clone();
    let found = app.store.revoked(before.as_ref().map(|(edition, _)| edition)).await?;
    let Some(revoked) = found else {
        let same = before.map(|(_, list)| list);
        return same.ok_or_else(|| Refusal::internal("the store has no list of revoked certificates"));
    };
    let list = Krl::new(&lists.ca, revoked.edition.version, revoked.changed, &revoked.serials);
    let list = Arc::new(list.map_err(Refusal::internal)?);
    let mut latest = lists.latest();
    // Another may have read a newer one in the meantime. It is answered as it was read, and the newer one is kept. But what
    // was known before is not what the store has, whatever its number: the store may have lost its last changes.
    let kept = latest.list.as_ref().map(|(edition, _)| edition);
    if kept == before.as_ref().map(|(edition, _)| edition) || kept.is_none_or(|kept| kept.version < list.version) {
        latest.list = Some((revoked.edition, Arc::clone(&list)));
    }
    Ok(list)
}

/// The statement about it: lines of text, and an SSH signature over them.
///
/// # Errors
/// If the store cannot say.
pub async fn stated(app: &App) -> Result<Arc<str>, Refusal> {
    let (list, now) = (list(app).await?, app.clock.now());
    let lists = &app.krl;
    if let Some((of, at, text)) = &lists.latest().stated
        && (&of.sha256, *at) == (&list.sha256, stated_at(now))
    {
        return Ok(Arc::clone(text));
    }
    let text: Arc<str> = list.stated(&lists.key, now).map_err(Refusal::internal)?.into();
    lists.latest().stated = Some((Arc::clone(&list), stated_at(now), Arc::clone(&text)));
    Ok(text)
}
