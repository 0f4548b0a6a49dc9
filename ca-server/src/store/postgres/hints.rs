//! What other servers say they did. A hint and no more: where it cannot be heard, it is said twice a second that anything
//! may have happened, so that whoever waits looks again.

use super::connect::{Connection, Connector};
use crate::store::{Hint, StoreError};
use std::time::Duration;
use tokio::{
    sync::broadcast,
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_postgres::AsyncMessage;

/// How many hints wait for somebody who does not look; then it is told that it missed some.
const MOST: usize = 4_096;
/// How often it is asked whether the connection still stands.
const PULSE: Duration = Duration::from_secs(2);
/// The pause between attempts to be heard again, during which anything may have happened.
const DEAF: Duration = Duration::from_millis(500);

/// Listens until it is dropped.
pub(super) struct Hints {
    send: broadcast::Sender<Hint>,
    task: AbortHandle,
}

impl Hints {
    pub(super) fn start(connector: Connector) -> Self {
        let (send, _nobody_yet) = broadcast::channel(MOST);
        let task = tokio::spawn(listen(connector, send.clone())).abort_handle();
        Self { send, task }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Hint> {
        self.send.subscribe()
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(connector: Connector, send: broadcast::Sender<Hint>) {
    let mut deaf = false;
    loop {
        // While it is being tried, whoever waits looks for themselves.
        let failure = match alarmed(timeout(PULSE, begin(&connector, send.clone())), &send).await {
            Ok(Ok(connection)) => {
                // What was said before we listened is lost.
                tell(&send, Hint::Anything);
                if std::mem::take(&mut deaf) {
                    tracing::info!("other servers on this database are heard again");
                }
                while pulse(&connection).await {
                    rest(PULSE).await;
                }
                StoreError("the connection broke".to_owned())
            }
            Ok(Err(error)) => error,
            Err(_late) => StoreError("no answer".to_owned()),
        };
        if !std::mem::replace(&mut deaf, true) {
            tracing::warn!(error = %failure, "other servers on this database cannot be heard");
        }
        tell(&send, Hint::Anything);
        rest(DEAF).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two looks at a connection")]
async fn rest(pause: Duration) {
    sleep(pause).await;
}

async fn begin(connector: &Connector, send: broadcast::Sender<Hint>) -> Result<Connection, StoreError> {
    let connection = connector
        .listen(move |message| {
            if let AsyncMessage::Notification(said) = message {
                // Whoever may notify may say anything.
                for id in said.payload().split(' ').take(512).filter_map(|id| id.parse().ok()) {
                    tell(&send, Hint::Request(id));
                }
            }
        })
        .await?;
    connector.within(connection.client.batch_execute("LISTEN jit_ssh")).await?;
    Ok(connection)
}

async fn alarmed<T>(attempt: impl Future<Output = T>, send: &broadcast::Sender<Hint>) -> T {
    let mut attempt = std::pin::pin!(attempt);
    loop {
        tokio::select! {
            done = &mut attempt => return done,
            () = rest(DEAF) => tell(send, Hint::Anything),
        }
    }
}

async fn pulse(connection: &Connection) -> bool {
    matches!(timeout(PULSE, connection.client.batch_execute("")).await, Ok(Ok(())))
}

fn tell(send: &broadcast::Sender<Hint>, hint: Hint) {
    let _nobody_listens = send.send(hint).is_err();
}
