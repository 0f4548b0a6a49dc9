//! Routes of what ends before its time: revocations, freezes, and the list that hosts fetch.

use super::{
    answer::{self, Answer},
    routes::Sent,
};
use crate::{
    app::App,
    ca::krl::Krl,
    refusal::Refusal,
    verbs::{authenticate::Caller, freezes, krl, revoke},
};
use axum::body::Bytes;
use hyper::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, HeaderValue, IF_NONE_MATCH},
};
use std::sync::Arc;

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Revoke,
    ListFreezes,
    Freeze,
    Thaw,
}

pub(super) async fn serve(what: Ending, app: &Arc<App>, caller: &Caller, sent: &Sent<'_>) -> Result<Answer, Refusal> {
    match what {
        Ending::Revoke => {
            // To its end, even if whoever asked goes away or their time is up: it is they who are hurried, not what ends.
            let (app, caller, asked) = (Arc::clone(app), caller.clone(), sent.json()?);
            let done = tokio::spawn(async move { revoke::revoke(&app, &caller, asked).await });
            answer::json(StatusCode::OK, &done.await.map_err(Refusal::internal)??)
        }
        Ending::ListFreezes => answer::json(StatusCode::OK, &freezes::list(app, caller).await?),
        Ending::Freeze => {
            let (freeze, new) = freezes::freeze(app, caller, sent.json()?).await?;
            answer::json(if new { StatusCode::CREATED } else { StatusCode::OK }, &freeze)
        }
        Ending::Thaw => answer::json(StatusCode::OK, &freezes::thaw(app, caller, sent.id, sent.json()?).await?),
    }
}

/// The list's bytes, where they are: it may be large, and whoever asks may take their time to read it.
struct Listed(Arc<Krl>);

impl AsRef<[u8]> for Listed {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// The list, for whoever asks: a host that has it already is told so.
pub(super) async fn list(app: &App, headers: &HeaderMap) -> Result<Answer, Refusal> {
    let list = krl::list(app).await?;
    let etag = format!("\"{}\"", list.sha256);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|value| value.split(',')).map(str::trim);
    let mut answer = if tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag) {
        answer::not_modified(&etag)
    } else {
        answer::tagged(answer::bytes(Bytes::from_owner(Listed(Arc::clone(&list)))), &etag)
    };
    let headers = answer.headers_mut();
    // A cache may keep it, and asks each time whether it still holds.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("jit-ssh-krl-version", HeaderValue::from(list.version));
    Ok(answer)
}

/// The statement about it.
pub(super) async fn stated(app: &App) -> Result<Answer, Refusal> {
    Ok(answer::text(krl::stated(app).await?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::list;
    use crate::{
        fixture::{Stage, seal},
        store::memory::MemoryStore,
    };
    use hyper::HeaderMap;
    use std::sync::Arc;

    /// Anybody may ask for it, many times at once, and take their time to read it.
    #[tokio::test]
    async fn the_list_is_in_memory_once_however_many_are_being_given_it() {
        let stage = Stage::new(Arc::new(MemoryStore::new(seal())));
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let answer = list(&stage.app, &HeaderMap::new()).await.unwrap();
            bodies.push(axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap());
        }
        assert_eq!(bodies[0], bodies[1]);
        assert_eq!(bodies[0].as_ptr(), bodies[1].as_ptr());
    }
}
