//! What anybody may ask of the audit log: its signed head, and the proof that one head continues another. Hashes only.

use crate::{
    app::App,
    audit::{checkpoint::Checkpoint, tree::Plan},
    refusal::Refusal,
};
use api::{Code, ConsistencyResponse};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The latest signed checkpoint: a signed note.
///
/// # Errors
/// If the store cannot say.
pub async fn checkpoint(app: &App) -> Result<String, Refusal> {
    Ok(app.store.checkpoint().await?)
}

/// The proof that the tree of `to` entries begins with that of `from`.
///
/// # Errors
/// If there are not so many entries, or the store cannot say.
pub async fn consistency(app: &App, unverified_query: &str) -> Result<ConsistencyResponse, Refusal> {
    let (from, to) = sizes(unverified_query)
        .ok_or_else(|| Refusal::new(Code::BadRequest, "this route takes ?from=N&to=M, two sizes of the tree"))?;
    // Looked at first: what is read below is then bounded by the size of a real tree.
    let size = Checkpoint::unverified(&app.store.checkpoint().await?).map_err(Refusal::internal)?.size;
    let plan = Plan::consistency(from, to).filter(|_| to <= size).ok_or_else(|| {
        Refusal::new(Code::BadRequest, "from is at most to, and to at most the size in the latest checkpoint")
    })?;
    let hashes = app.store.tree_hashes(&plan.places()).await?;
    let proof = plan.proof(&hashes).ok_or_else(|| Refusal::internal("the store gave too few hashes"))?;
    Ok(ConsistencyResponse { from, to, proof: proof.iter().map(|hash| STANDARD.encode(hash)).collect() })
}

fn sizes(query: &str) -> Option<(u64, u64)> {
    let (from, to) = query.split_once('&')?;
    let number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?;
    Some((number(from.strip_prefix("from=")?)?, number(to.strip_prefix("to=")?)?))
}
