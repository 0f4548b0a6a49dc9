//! Live certificates, revoked ones and freezes in the database.

use super::{
    PostgresStore,
    change::{Effect, Statement, Value, big, bound, column, decode, encode, number, say},
};
use crate::{
    audit::Entry,
    store::{
        Edition, Freezes, Known, LiveCertificate, Revocations, Revoked, Selection, Stepped, StoreError, records,
        revocations::Account,
    },
};
use async_trait::async_trait;
use policy::{Freeze, FreezeId, Identity, Issuer, Serial, Thaw, UnixTime};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio_postgres::Row;

/// What finds the live certificates of a selection, and what revokes them and tells so to the version of the KRL.
macro_rules! selection {
    ($condition:literal) => {
        (
            concat!(
                "SELECT expires, serial, revoked FROM certificates WHERE expires > $1 AND ",
                $condition,
                " ORDER BY expires, serial"
            ),
            concat!(
                "WITH new AS (UPDATE certificates SET revoked = true WHERE NOT revoked AND expires > $1 AND ",
                $condition,
                " RETURNING 1)
                UPDATE revocation_counts SET krl = krl + 1, krl_changed = $1, krl_mark = gen_random_uuid()
    WHERE EXISTS (SELECT FROM new)"
            ),
        )
    };
}

type Found = (&'static str, &'static str);

const BY_GRANT: Found = selection!("under = $2::text");
const BY_HOLDER: Found = selection!("owner = ANY($2::bytea[])");
const BY_HOST: Found = selection!("host = ANY($2::bytea[])");
const BY_POLICY: Found = selection!("policy = $2::bytea");
const BY_SERIAL: Found = selection!("serial = $2::bigint");
const BY_ISSUER: Found = selection!("issuer = $2::bytea");
const EVERY: Found = selection!("$2::boolean");
/// What a step revokes, if it was taken: then it stands at its place.
const BY_STEP: &str = "
WITH new AS (UPDATE certificates SET revoked = true WHERE NOT revoked AND expires > $1 AND under = $2::text
        AND EXISTS (SELECT FROM request_steps WHERE request = $3 AND place = $4 AND step = $5) RETURNING 1)
UPDATE revocation_counts SET krl = krl + 1, krl_changed = $1, krl_mark = gen_random_uuid()
    WHERE EXISTS (SELECT FROM new)";
const VERSION: &str = "SELECT krl FROM revocation_counts";

const REVOKED: &str = "
SELECT krl, krl_changed, krl_mark::text,
    CASE WHEN (krl, krl_mark::text) = ($1::bigint, $2::text) THEN NULL ELSE ARRAY(SELECT serial FROM certificates WHERE revoked ORDER BY serial) END
FROM revocation_counts";
const FREEZES: &str = "SELECT freezes, ARRAY(SELECT kept FROM freezes) FROM revocation_counts";
const FREEZE: &str = "
WITH moved AS (UPDATE revocation_counts SET freezes = freezes + 1 WHERE freezes = $1 RETURNING 1)
INSERT INTO freezes (id, kept) SELECT $2::text, $3::bytea FROM moved RETURNING 1";
const THAW: &str = "
WITH moved AS (UPDATE revocation_counts SET freezes = freezes + 1
        WHERE freezes = $1 AND EXISTS (SELECT FROM freezes WHERE id = $2::text) RETURNING 1),
    lifted AS (DELETE FROM freezes WHERE id = $2 AND $3::bytea IS NULL AND EXISTS (SELECT FROM moved)),
    told AS (UPDATE freezes SET kept = $3 WHERE id = $2 AND $3 IS NOT NULL AND EXISTS (SELECT FROM moved))
SELECT 1 FROM moved";
const KNOWN_AS: &str = "SELECT identity FROM latest_identities WHERE subject = $1 OR email = $2";
const KNOWN_OF: &str = "SELECT identity FROM latest_identities WHERE issuer = $1";
/// Forgets some that expired long ago.
pub(super) const PRUNE: &str = "
WITH over AS (SELECT expires, serial FROM certificates WHERE expires <= $1 ORDER BY expires LIMIT $2),
    gone AS (DELETE FROM certificates USING over
        WHERE certificates.expires = over.expires AND certificates.serial = over.serial RETURNING revoked),
    changed AS (UPDATE revocation_counts SET krl = krl + 1, krl_changed = $3, krl_mark = gen_random_uuid()
        WHERE EXISTS (SELECT FROM gone WHERE revoked))
SELECT 1 FROM gone";

/// The statements of a selection and the value that they compare with.
fn selected(which: &Selection) -> Result<(Found, Value), StoreError> {
    Ok(match which {
        Selection::Grant(grant) => (BY_GRANT, Box::new(grant.as_str().to_owned())),
        Selection::Holders(holders) => {
            let owners = holders.iter().map(|(issuer, subject)| records::owner(issuer, subject).to_vec());
            (BY_HOLDER, Box::new(owners.collect::<Vec<_>>()))
        }
        Selection::Hosts(hosts) => {
            let hosts = hosts.iter().map(|host| host.as_str().as_bytes().to_vec());
            (BY_HOST, Box::new(hosts.collect::<Vec<_>>()))
        }
        Selection::Policy(policy) => (BY_POLICY, Box::new(policy.as_str().as_bytes().to_vec())),
        Selection::Serial(serial) => (BY_SERIAL, Box::new(big(serial.get())?)),
        Selection::Issuer(issuer) => (BY_ISSUER, Box::new(digest(issuer))),
        Selection::All => (EVERY, Box::new(true)),
    })
}

/// What stands for an issuer.
pub(super) fn digest(issuer: &Issuer) -> Vec<u8> {
    Sha256::digest(issuer.as_str()).to_vec()
}

/// The statements by which the step `json` at `place` revokes what is under its request, to follow the one that takes it.
pub(super) fn by_step(id: &policy::RequestId, place: i32, json: Vec<u8>, at: UnixTime) -> Vec<Statement> {
    let (at, grant, id) = (bound(at.as_secs()), id.grant().as_str().to_owned(), id.as_str().to_owned());
    vec![say!(BY_GRANT.0, at, grant.clone()), say!(BY_STEP, at, grant, id, place, json), say!(VERSION)]
}

/// What the answers to a look at certificates, their revocation and the version tell.
pub(super) fn revoked(rows: &[Vec<Row>]) -> Result<(Vec<LiveCertificate>, u64), StoreError> {
    let [live, _revoked, version] = rows else { return Err(StoreError("a statement has no answer".to_owned())) };
    let version = version.first().ok_or_else(|| StoreError("the KRL has no version".to_owned()))?;
    Ok((certificates(live)?, number(column(version, 0)?)?))
}

fn certificates(rows: &[Row]) -> Result<Vec<LiveCertificate>, StoreError> {
    let one = |row: &Row| {
        let serial = number(column(row, 1)?)?;
        Ok(LiveCertificate {
            expires: UnixTime::from_secs(number(column(row, 0)?)?),
            serial: Serial::try_from(serial).map_err(|error| StoreError(error.to_string()))?,
            revoked: column(row, 2)?,
        })
    };
    rows.iter().map(one).collect()
}

#[async_trait]
impl Revocations for PostgresStore {
    async fn live(&self, which: &Selection, now: UnixTime) -> Result<Vec<LiveCertificate>, StoreError> {
        let ((find, _revoke), value) = selected(which)?;
        certificates(&self.rows(find, &[&bound(now.as_secs()), &*value]).await?)
    }

    async fn revoke(
        &self,
        which: Selection,
        now: UnixTime,
        account: Account,
    ) -> Result<Vec<LiveCertificate>, StoreError> {
        let at = bound(now.as_secs());
        let ((find, revoke), value) = selected(&which)?;
        let (_, again) = selected(&which)?;
        let statements = vec![
            Statement { sql: find, values: vec![Box::new(at), value] },
            Statement { sql: revoke, values: vec![Box::new(at), again] },
            say!(VERSION),
        ];
        let revoked = self.writer.write(statements, move |rows| {
            let (live, krl) = revoked(rows)?;
            let entries = account(&live, krl)?;
            Ok(Effect::on_record(live, entries))
        });
        revoked.await
    }

    async fn revoked(&self, known: Option<&Edition>) -> Result<Option<Revoked>, StoreError> {
        let (version, mark) = known.map(|known| (bound(known.version), known.mark.as_str())).unzip();
        let row = self.row(REVOKED, &[&version, &mark]).await?;
        let Some(serials) = column::<Option<Vec<i64>>>(&row, 3)? else { return Ok(None) };
        let serial = |kept| Serial::try_from(number(kept)?).map_err(|error| StoreError(error.to_string()));
        let mut serials: Vec<Serial> = serials.into_iter().map(serial).collect::<Result<_, _>>()?;
        serials.dedup();
        let edition = Edition { version: number(column(&row, 0)?)?, mark: column(&row, 2)? };
        let changed = UnixTime::from_secs(number(column(&row, 1)?)?);
        Ok(Some(Revoked { edition, changed, serials }))
    }

    async fn freezes(&self) -> Result<Arc<Freezes>, StoreError> {
        let row = self.row(FREEZES, &[]).await?;
        let kept: Vec<&[u8]> = column(&row, 1)?;
        let mut all: Vec<Freeze> = kept.into_iter().map(decode).collect::<Result<_, _>>()?;
        all.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(Arc::new(Freezes { version: number(column(&row, 0)?)?, all }))
    }

    async fn freeze(&self, seen: u64, freeze: Freeze, entry: Entry) -> Result<Stepped, StoreError> {
        self.refreeze(say!(FREEZE, bound(seen), freeze.id.as_str().to_owned(), encode(&freeze)?), entry).await
    }

    async fn thaw(
        &self,
        id: &FreezeId,
        seen: u64,
        word: Thaw,
        lift: bool,
        entry: Entry,
    ) -> Result<Stepped, StoreError> {
        // Whatever changes a freeze changes the version, so what is read here is what is there if the version still is.
        let known = self.freezes().await?;
        let freeze = known.all.iter().find(|freeze| freeze.id == *id && known.version == seen);
        let Some(mut freeze) = freeze.cloned() else { return Ok(Stepped::Changed) };
        freeze.thaws.push(word);
        let left = if lift { None } else { Some(encode(&freeze)?) };
        self.refreeze(say!(THAW, bound(seen), id.as_str().to_owned(), left), entry).await
    }

    async fn known(&self, who: &Known) -> Result<Vec<Identity>, StoreError> {
        let rows = match who {
            Known::Named(name) => {
                let email = name.to_ascii_lowercase();
                self.rows(KNOWN_AS, &[&name.as_bytes(), &email.as_bytes()]).await?
            }
            Known::Of(issuer) => self.rows(KNOWN_OF, &[&digest(issuer)]).await?,
        };
        let known = rows.iter().map(|row| decode(column(row, 0)?));
        let mut known: Vec<Identity> = known.collect::<Result<_, StoreError>>()?;
        known.retain(|one| who.is(one));
        known.sort_by(|a, b| (&a.issuer, &a.subject).cmp(&(&b.issuer, &b.subject)));
        Ok(known)
    }
}

impl PostgresStore {
    async fn refreeze(&self, statement: Statement, entry: Entry) -> Result<Stepped, StoreError> {
        let moved = self.writer.write(vec![statement], move |rows| {
            Ok(match rows.first().is_some_and(|rows| !rows.is_empty()) {
                true => Effect::on_record(Stepped::Yes, vec![entry.clone()]),
                false => Effect::only(Stepped::Changed),
            })
        });
        moved.await
    }
}
