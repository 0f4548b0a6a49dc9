//! What anybody may ask of the audit log: its signed head, the proof that one head continues another, and the proof that an
//! entry which they have is in it. Hashes only.

use crate::{
    app::App,
    audit::{
        checkpoint::Checkpoint,
        tree::{Plan, places},
    },
    refusal::Refusal,
};
use api::{Code, ConsistencyResponse, InclusionResponse};
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
    let (from, to) = numbers(unverified_query, "from", "to")
        .ok_or_else(|| Refusal::new(Code::BadRequest, "this route takes ?from=N&to=M, two sizes of the tree"))?;
    let size = signed(app).await?;
    let plan = Plan::consistency(from, to).filter(|_| to <= size).ok_or_else(|| {
        Refusal::new(Code::BadRequest, "from is at most to, and to at most the size in the latest checkpoint")
    })?;
    Ok(ConsistencyResponse { from, to, proof: proof(app, &plan).await? })
}

/// The proof that entry number `index` is in the tree of `size` entries, and its leaf hash.
///
/// # Errors
/// If there is no such entry, or the store cannot say.
pub async fn inclusion(app: &App, unverified_query: &str) -> Result<InclusionResponse, Refusal> {
    let (index, size) = numbers(unverified_query, "index", "size").ok_or_else(|| {
        Refusal::new(Code::BadRequest, "this route takes ?index=N&size=M, an entry's number and a size of the tree")
    })?;
    let signed = signed(app).await?;
    let plan = Plan::inclusion(index, size).filter(|_| size <= signed).ok_or_else(|| {
        Refusal::new(Code::BadRequest, "index is less than size, and size at most that in the latest checkpoint")
    })?;
    let leaf = app.store.tree_hashes(&[places(index)]).await?;
    let leaf = leaf.first().ok_or_else(|| Refusal::internal("the store gave no leaf"))?;
    Ok(InclusionResponse { index, size, leaf: STANDARD.encode(leaf), proof: proof(app, &plan).await? })
}

/// How many entries the latest checkpoint is over. Looked at first: what is read after it is then bounded by the size of a
/// real tree.
async fn signed(app: &App) -> Result<u64, Refusal> {
    Ok(Checkpoint::unverified(&app.store.checkpoint().await?).map_err(Refusal::internal)?.size)
}

async fn proof(app: &App, plan: &Plan) -> Result<Vec<String>, Refusal> {
    let hashes = app.store.tree_hashes(&plan.places()).await?;
    let proof = plan.proof(&hashes).ok_or_else(|| Refusal::internal("the store gave too few hashes"))?;
    Ok(proof.iter().map(|hash| STANDARD.encode(hash)).collect())
}

/// Two numbers under exactly these names, in this order, each in its one spelling.
fn numbers(query: &str, first: &str, second: &str) -> Option<(u64, u64)> {
    let (one, other) = query.split_once('&')?;
    let number = |text: &str, name: &str| {
        let digits = text.strip_prefix(name)?.strip_prefix('=')?;
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        plain.then(|| digits.parse().ok())?
    };
    Some((number(one, first)?, number(other, second)?))
}
