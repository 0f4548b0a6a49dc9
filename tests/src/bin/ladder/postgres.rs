//! (c) and (d) on a PostgreSQL of the ladder's own, its commits as durable as the file's, and the ratio to the file in the
//! same run.

use crate::{
    load::{self, Until},
    measure::{Effort, cores},
    report::{Aim, Report},
    server::{Server, install},
    stage::{self, Person},
    verb::{Variation, app, run},
};
use anyhow::{Result, bail};
use ca_server::{
    config::{Config, StoreConfig, store::Postgres},
    custody::CaKey,
    store::{Store, postgres::PostgresStore, redb::RedbStore},
};
use e2e::kit::postgres::Cluster;
use std::{path::Path, sync::Arc};

pub fn climb(effort: &Effort, rungs: &str, programs: &Path, place: &Path, report: &mut Report) -> Result<()> {
    let cluster = Cluster::start(programs, true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores()).enable_all().build()?;
    runtime.block_on(async {
        let people: Vec<Arc<Person>> = (0..64).map(|n| Arc::new(Person::new(n))).collect();
        if rungs.contains('c') {
            verb(effort, &cluster, &people, place, report).await?;
        }
        if rungs.contains('d') {
            server(effort, &cluster, &people, programs, place, report).await?;
        }
        Ok(())
    })
}

async fn verb(
    effort: &Effort,
    cluster: &Cluster,
    people: &[Arc<Person>],
    place: &Path,
    report: &mut Report,
) -> Result<()> {
    let seal = stage::seal(CaKey::from_seed([5; 32].into()))?;
    let file: Arc<dyn Store> = Arc::new(RedbStore::open(&place.join("beside.redb"), &seal)?);
    let database: Arc<dyn Store> = Arc::new(PostgresStore::open(&settings(&section(cluster)?)?, &seal).await?);
    let mut rates = Vec::new();
    for store in [file, database] {
        let app = Arc::new(app(store, stage::sources(100)?)?);
        for person in people {
            person.log_in(&*app.store).await?;
        }
        let one = run(&app, people.get(..1).unwrap_or_default(), effort.requests / 8, Variation::None).await?;
        let many = run(&app, people, effort.requests, Variation::None).await?;
        rates.push((one.0, many.0));
    }
    let &[file, database] = rates.as_slice() else { bail!("two stores") };
    report.ratio("c  PostgreSQL: issue verb in process, 1 caller", database.0, Aim::None);
    report.ratio("c  PostgreSQL: issue verb in process, 64 callers", database.1, Aim::None);
    report.factor("c  PostgreSQL against redb, 1 caller", database.0 / file.0, Aim::None);
    report.factor("c  PostgreSQL against redb, 64 callers", database.1 / file.1, Aim::None);
    Ok(())
}

async fn server(
    effort: &Effort,
    cluster: &Cluster,
    people: &[Arc<Person>],
    programs: &Path,
    place: &Path,
    report: &mut Report,
) -> Result<()> {
    let time = Until::Time(effort.time);
    let mut rates = Vec::new();
    for (name, section) in [("beside-file", String::new()), ("beside-database", section(cluster)?)] {
        let home = place.join(name);
        install(&home, &section)?;
        let seal = stage::seal(CaKey::load(&home.join("keys/log"), None)?)?;
        let store: Arc<dyn Store> = match section.is_empty() {
            true => Arc::new(RedbStore::open(&home.join("jit-ssh.redb"), &seal)?),
            false => Arc::new(PostgresStore::open(&settings(&section)?, &seal).await?),
        };
        for person in people {
            person.log_in(&*store).await?;
        }
        drop(store);
        let server = Server::start(programs, &home)?;
        let (rate, mut latencies) = load::run(server.address, people, &time).await?;
        if !section.is_empty() {
            report.ratio("d  PostgreSQL: over HTTP, 64 clients", rate, Aim::None);
            report.millis("d  PostgreSQL: p99", latencies.percentile(99).as_secs_f64() * 1e3, Aim::None);
        }
        rates.push(rate);
    }
    let &[file, database] = rates.as_slice() else { bail!("two stores") };
    report.factor("d  PostgreSQL against redb, 64 clients", database / file, Aim::None);
    Ok(())
}

/// The section of a configuration for a new database.
fn section(cluster: &Cluster) -> Result<String> {
    let (database, host) = (cluster.database()?, cluster.home.display());
    Ok(format!(
        "[store]\nkind = \"postgres\"\nhost = \"{host}\"\nport = {}\nuser = \"postgres\"\ndatabase = \"{database}\"\n",
        cluster.port
    ))
}

fn settings(section: &str) -> Result<Postgres> {
    let text = format!("audience = \"{}\"\n{section}", stage::AUDIENCE);
    let config = Config::parse("ladder", &text, Path::new("."));
    match config.map_err(|findings| anyhow::anyhow!("{findings:?}"))?.store {
        StoreConfig::Postgres(settings) => Ok(settings),
        StoreConfig::Redb(_) => bail!("no database"),
    }
}
