//! What is due, in the database.

use super::{
    PostgresStore,
    change::{Effect, bound, column, number, say},
    requests::kept,
    sessions::place,
};
use crate::{
    audit::Entry,
    store::{Agenda, Due, Look, StoreError},
};
use async_trait::async_trait;
use policy::UnixTime;

const DUE: &str = "
SELECT request, ARRAY(SELECT step FROM request_steps WHERE request = r.id ORDER BY place), look_at, reminded
    FROM requests r WHERE look_at <= $1 ORDER BY look_at, id LIMIT $2";
const ATTEND: &str = "
UPDATE requests SET look_at = $5::bigint, reminded = coalesce($6::boolean, reminded),
        waiting = waiting AND $5 IS NOT NULL
    WHERE id = $1 AND steps = $2 AND look_at = $3 AND reminded = $4 RETURNING 1";

#[async_trait]
impl Agenda for PostgresStore {
    async fn due(&self, now: UnixTime, most: usize) -> Result<Vec<Due>, StoreError> {
        let most = bound(u64::try_from(most).unwrap_or(u64::MAX));
        let rows = self.rows(DUE, &[&bound(now.as_secs()), &most]).await?;
        let due = rows.iter().map(|row| {
            let at = UnixTime::from_secs(number(column(row, 2)?)?);
            let look = Look { at, reminded: column(row, 3)? };
            Ok(Due { kept: kept(row)?, look })
        });
        due.collect()
    }

    async fn attend(&self, due: &Due, next: Option<Look>, entry: Option<Entry>) -> Result<bool, StoreError> {
        let Due { kept, look } = due;
        let id = kept.request.id.clone();
        let statement = say!(
            ATTEND,
            id.as_str().to_owned(),
            place(kept.steps.len()),
            bound(look.at.as_secs()),
            look.reminded,
            next.map(|next| bound(next.at.as_secs())),
            next.map(|next| next.reminded),
        );
        let attended = self.writer.write(vec![statement], move |rows| {
            Ok(match rows.first().is_some_and(|rows| !rows.is_empty()) {
                true => Effect::on_record(true, entry.iter().cloned().collect()).to(&id),
                false => Effect::only(false),
            })
        });
        attended.await
    }
}
