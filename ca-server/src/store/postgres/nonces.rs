//! Signed requests that were taken, by whichever server.
//!
//! The tables are not logged: a database that crashed, or a standby that took over, finds them empty, both at once. So the
//! second one says since when what was taken is known; where it says nothing, the clock begins anew and everything from
//! before is refused, as after a start of the server. Clients then sign again with the server's time.

use super::{
    PostgresStore,
    change::{big, bound, column, number},
};
use crate::store::{Spent, StoreError};
use policy::SessionId;
use sha2::{Digest as _, Sha256};

/// How long what was taken is kept: well beyond the window, so that servers' clocks may differ.
const KEPT_MS: u64 = 600_000;
/// How far another server's clock may be ahead of ours.
const SKEW_MS: u64 = 1_000;

/// One statement: it is new only if it is known since when nonces are kept, and that is before this one's time.
const SPEND: &str = "
WITH known AS (SELECT since_ms FROM nonces_known),
    spent AS (INSERT INTO nonces (nonce, forget_ms) SELECT $1::bytea, $3::bigint FROM known WHERE since_ms <= $2::bigint
        ON CONFLICT DO NOTHING RETURNING 1)
SELECT (SELECT since_ms FROM known), EXISTS (SELECT FROM spent)";
const BEGIN: &str = "INSERT INTO nonces_known (since_ms) VALUES ($1) ON CONFLICT DO NOTHING";
const FORGET: &str = "DELETE FROM nonces WHERE forget_ms <= $1";

impl PostgresStore {
    pub(super) async fn spend(
        &self,
        session: &SessionId,
        nonce: &[u8; 16],
        time_ms: u64,
        now_ms: u64,
    ) -> Result<Spent, StoreError> {
        let digest = Sha256::new().chain_update(session.as_str()).chain_update(nonce).finalize();
        let forget = big(now_ms.max(time_ms).saturating_add(KEPT_MS))?;
        let rows = self.rows(SPEND, &[&digest.as_slice(), &bound(time_ms), &forget]).await?;
        let row = rows.first().ok_or_else(|| StoreError("a statement has no answer".to_owned()))?;
        match column::<Option<i64>>(row, 0)? {
            None => {
                let since_ms = now_ms.saturating_add(SKEW_MS);
                self.rows(BEGIN, &[&big(since_ms)?]).await?;
                Ok(Spent::Forgotten { since_ms })
            }
            Some(since) if time_ms < number(since)? => Ok(Spent::Forgotten { since_ms: number(since)? }),
            Some(_) if column(row, 1)? => Ok(Spent::First),
            Some(_) => Ok(Spent::Before),
        }
    }

    pub(super) async fn forget_nonces(&self, now_ms: u64) -> Result<(), StoreError> {
        self.rows(FORGET, &[&bound(now_ms)]).await.map(drop)
    }
}
