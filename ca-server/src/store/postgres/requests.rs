//! Requests in the database.

use super::{
    PostgresStore,
    change::{Effect, big, bound, column, decode, encode, number, say},
    revocations,
    sessions::place,
};
use crate::{
    audit::Entry,
    store::{
        Filed, Idempotency, KeptRequest, Requests, Stepped, StoreError, Which, records, revocations::by_step as told,
    },
};
use async_trait::async_trait;
use policy::{Group, Identity, Issuer, Request, RequestId, Step, Subject, UnixTime};
use std::collections::HashMap;
use tokio_postgres::Row;

const FILE: &str = "
WITH before AS (SELECT body, request FROM request_keys WHERE owner = $2::bytea AND key = $7::bytea),
    filed AS (INSERT INTO requests (id, owner, filed, expires, extends, request, unreviewed, look_at, reminded)
        SELECT $1::text, $2, $3::bigint, $4::bigint, $5::text, $6::bytea, $9::boolean, $10::bigint, $11::boolean
        WHERE NOT EXISTS (SELECT FROM before)),
    found AS (INSERT INTO request_words (word, filed, id) SELECT word, $3, $1 FROM unnest($12::bytea[]) AS w (word)
        WHERE NOT EXISTS (SELECT FROM before)),
    keyed AS (INSERT INTO request_keys (owner, key, body, request)
        SELECT $2, $7, $8::bytea, $1 WHERE $7 IS NOT NULL AND NOT EXISTS (SELECT FROM before))
SELECT body, request FROM before";
const STEP: &str = "
WITH before AS (SELECT look_at, $8::boolean AND EXISTS (
            SELECT FROM requests g WHERE g.id = r.extends AND g.look_at IS NULL) AS moot
        FROM requests r WHERE id = $1 AND steps = $2),
    stepped AS (UPDATE requests SET steps = steps + 1, waiting = waiting AND NOT $4::boolean,
            unreviewed = unreviewed AND NOT $5::boolean,
            look_at = CASE WHEN $5 OR look_at IS NULL THEN look_at WHEN $4 THEN NULL ELSE $6::bigint END
        WHERE id = $1 AND steps = $2 AND NOT ($7::boolean AND look_at IS NULL) AND NOT (SELECT moot FROM before)
        RETURNING id, extends),
    prolonged AS (UPDATE requests SET look_at = CASE WHEN look_at = $6 THEN $6 + 1 ELSE $6 END
        WHERE $8 AND look_at IS NOT NULL AND id = (SELECT extends FROM stepped)),
    taken AS (INSERT INTO request_steps (request, place, step) SELECT id, $2, $3::bytea FROM stepped)
SELECT true, extends FROM stepped UNION ALL SELECT false, NULL FROM before WHERE $7 AND look_at IS NULL OR moot";

const ONE: &str = "
SELECT request, ARRAY(SELECT step FROM request_steps WHERE request = r.id ORDER BY place) FROM requests r WHERE id = $1";
const PROLONGING: &str = "
SELECT request, ARRAY(SELECT step FROM request_steps WHERE request = r.id ORDER BY place) FROM requests r
    WHERE extends = $1 ORDER BY filed, id";

/// A page, newest first: one statement for the beginning of a list, one for what follows a request.
macro_rules! page {
    ($condition:literal) => {
        [
            concat!(
                "SELECT request, ARRAY(SELECT step FROM request_steps WHERE request = r.id ORDER BY place)
                 FROM requests r WHERE $1::text IS NULL AND ",
                $condition,
                " ORDER BY filed DESC, id DESC LIMIT $2"
            ),
            concat!(
                "SELECT request, ARRAY(SELECT step FROM request_steps WHERE request = r.id ORDER BY place)
                 FROM requests r WHERE (filed, id) < ((SELECT filed FROM requests WHERE id = $1::text), $1) AND ",
                $condition,
                " ORDER BY filed DESC, id DESC LIMIT $2"
            ),
        ]
    };
}

const ALL: [&str; 2] = page!("true");
const OF: [&str; 2] = page!("owner = $3");
const WITH: [&str; 2] = page!("id IN (SELECT id FROM request_words WHERE word = $3)");
const OPEN: [&str; 2] = page!("waiting");
const UNREVIEWED: [&str; 2] = page!("unreviewed");
const WAITING: [&str; 2] = page!("waiting AND expires > $3");

#[async_trait]
impl Requests for PostgresStore {
    async fn file_request(
        &self,
        request: Request,
        idempotency: Option<Idempotency>,
        entry: Entry,
    ) -> Result<Filed, StoreError> {
        let owner = records::owner(&request.requester.issuer, &request.requester.subject).to_vec();
        let look = records::first_look(&request);
        let statement = say!(
            FILE,
            request.id.as_str().to_owned(),
            owner,
            big(request.filed.as_secs())?,
            big(request.expires.as_secs())?,
            request.extends.as_ref().map(|prolonged| prolonged.as_str().to_owned()),
            encode(&request)?,
            idempotency.map(|chosen| chosen.key.to_vec()),
            idempotency.map(|chosen| chosen.body.to_vec()),
            request.break_glass.is_some(),
            big(look.at.as_secs())?,
            look.reminded,
            records::words(&request).iter().map(|word| word.as_str().as_bytes().to_vec()).collect::<Vec<_>>(),
        );
        let filed = self.writer.write(vec![statement], move |rows| {
            let Some(before) = rows.first().and_then(|rows| rows.first()) else {
                return Ok(Effect::on_record(Filed::Yes, vec![entry.clone()]));
            };
            let (body, id) = used(before)?;
            let same = idempotency.is_some_and(|chosen| chosen.body == body);
            Ok(Effect::only(if same { Filed::Before(id) } else { Filed::Mismatch }))
        });
        filed.await
    }

    async fn filed_with(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        key: &[u8; 32],
    ) -> Result<Option<([u8; 32], RequestId)>, StoreError> {
        let sql = "SELECT body, request FROM request_keys WHERE owner = $1 AND key = $2";
        let rows = self.rows(sql, &[&records::owner(issuer, subject).as_slice(), &key.as_slice()]).await?;
        rows.first().map(used).transpose()
    }

    fn changes(&self) -> Option<u64> {
        None
    }

    async fn request(&self, id: &RequestId) -> Result<Option<KeptRequest>, StoreError> {
        self.rows(ONE, &[&id.as_str()]).await?.first().map(kept).transpose()
    }

    async fn requests(
        &self,
        which: &Which,
        after: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<KeptRequest>, StoreError> {
        let pick = |[beginning, following]: [&'static str; 2]| if after.is_some() { following } else { beginning };
        let (after_id, most) = (after.map(RequestId::as_str), bound(u64::try_from(most).unwrap_or(u64::MAX)));
        let rows = match which {
            Which::All => self.rows(pick(ALL), &[&after_id, &most]).await?,
            Which::Open => self.rows(pick(OPEN), &[&after_id, &most]).await?,
            Which::Unreviewed => self.rows(pick(UNREVIEWED), &[&after_id, &most]).await?,
            Which::With(word) => self.rows(pick(WITH), &[&after_id, &most, &word.as_str().as_bytes()]).await?,
            Which::Of(issuer, subject) => {
                self.rows(pick(OF), &[&after_id, &most, &records::owner(issuer, subject).as_slice()]).await?
            }
            Which::Waiting(now) => self.rows(pick(WAITING), &[&after_id, &most, &bound(now.as_secs())]).await?,
        };
        rows.iter().map(kept).collect()
    }

    async fn extensions_of(&self, id: &RequestId) -> Result<Vec<KeptRequest>, StoreError> {
        self.rows(PROLONGING, &[&id.as_str()]).await?.iter().map(kept).collect()
    }

    async fn add_step(&self, id: &RequestId, seen: usize, step: Step, entry: Entry) -> Result<Stepped, StoreError> {
        let (json, ends) = (encode(&step)?, records::ends(&step));
        let (reviews, at) = (records::reviews(&step), bound(step.at.as_secs()));
        let (over_is_over, prolongs) = (records::too_late(&step, None), records::prolongs(&step));
        let step_of = id.as_str().to_owned();
        let mut statements =
            vec![say!(STEP, step_of, place(seen), json.clone(), ends, reviews, at, over_is_over, prolongs)];
        if ends {
            statements.extend(revocations::by_step(id, place(seen), json, step.at));
        }
        let id = id.clone();
        let stepped = self.writer.write(statements, move |rows| {
            let (taken, revoked) = rows.split_first().ok_or_else(|| StoreError("a step has no answer".to_owned()))?;
            let Some(row) = taken.first() else { return Ok(Effect::only(Stepped::Changed)) };
            if !column::<bool>(row, 0)? {
                return Ok(Effect::only(Stepped::Over));
            }
            let mut entries = vec![entry.clone()];
            if ends {
                let (revoked, krl) = revocations::revoked(revoked)?;
                entries.extend(told((&step, &entry), &id.grant(), &revoked, krl)?);
            }
            let effect = Effect::on_record(Stepped::Yes, entries).to(&id);
            // Whoever waits for what it prolongs sees it too.
            let prolonged = column::<Option<&str>>(row, 1)?.and_then(|prolonged| prolonged.parse().ok());
            Ok(match prolonged {
                Some(prolonged) => effect.to(&prolonged),
                None => effect,
            })
        });
        stepped.await
    }

    async fn last_expiry(&self, id: &RequestId) -> Result<Option<UnixTime>, StoreError> {
        let rows = self.rows("SELECT last_expiry FROM requests WHERE id = $1", &[&id.as_str()]).await?;
        let last = rows.first().map(|row| column::<Option<i64>>(row, 0)).transpose()?.flatten();
        Ok(last.map(number).transpose()?.map(UnixTime::from_secs))
    }

    async fn groups_since(&self, issuer: &Issuer, subject: &Subject) -> Result<Vec<(Group, UnixTime)>, StoreError> {
        let Some(identity) = self.latest_identity(issuer, subject).await? else { return Ok(Vec::new()) };
        let sql = "SELECT name, since FROM memberships WHERE owner = $1";
        let rows = self.rows(sql, &[&records::owner(issuer, subject).as_slice()]).await?;
        let known =
            rows.iter().map(|row| Ok((column::<&[u8]>(row, 0)?, UnixTime::from_secs(number(column(row, 1)?)?))));
        let known = known.collect::<Result<HashMap<_, _>, StoreError>>()?;
        let since = |group: Group| Some((known.get(group.as_str().as_bytes()).copied(), group));
        Ok(identity.groups.into_iter().filter_map(since).filter_map(|(at, group)| Some((group, at?))).collect())
    }

    async fn latest_identity(&self, issuer: &Issuer, subject: &Subject) -> Result<Option<Identity>, StoreError> {
        let sql = "SELECT identity FROM latest_identities WHERE owner = $1";
        let rows = self.rows(sql, &[&records::owner(issuer, subject).as_slice()]).await?;
        rows.first().map(|row| decode(column(row, 0)?)).transpose()
    }
}

/// What a key was used for.
fn used(row: &Row) -> Result<([u8; 32], RequestId), StoreError> {
    let wrong = || StoreError("a used key cannot be read".to_owned());
    let body = <[u8; 32]>::try_from(column::<&[u8]>(row, 0)?).map_err(|_length| wrong())?;
    Ok((body, column::<&str>(row, 1)?.parse().map_err(|_malformed| wrong())?))
}

/// A request from a row that begins with its JSON and that of its steps.
pub(super) fn kept(row: &Row) -> Result<KeptRequest, StoreError> {
    let steps: Vec<&[u8]> = column(row, 1)?;
    let steps = steps.into_iter().map(decode).collect::<Result<_, _>>()?;
    Ok(KeptRequest { request: decode(column(row, 0)?)?, steps })
}
