//! A door between a client and a server: who comes is counted, and waits until it is opened or shut in their face.

use super::process::PATIENCE;
use anyhow::{Context as _, Result, anyhow};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// What is done with whoever comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Open,
    Shut,
}

/// The door. Clients go to its address as if it were the server's.
pub struct Gate {
    /// Its address.
    pub url: String,
    state: watch::Sender<State>,
    came: watch::Receiver<usize>,
    porter: JoinHandle<()>,
}

impl Gate {
    /// An open one before the server at `url`.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn before(url: &str) -> Result<Self> {
        let server = url.strip_prefix("http://").context("plain HTTP")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (state, seen) = watch::channel(State::Open);
        let (counter, came) = watch::channel(0);
        let porter = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counter.send_modify(|came| *came += 1);
                tokio::spawn(pass(client, server.clone(), seen.clone()));
            }
        });
        Ok(Self { url, state, came, porter })
    }

    /// From now on whoever comes waits.
    pub fn hold(&self) {
        self.state.send_replace(State::Held);
    }

    /// Lets all in who wait, and all who come.
    pub fn open(&self) {
        self.state.send_replace(State::Open);
    }

    /// Turns all away who wait, and all who come.
    pub fn shut(&self) {
        self.state.send_replace(State::Shut);
    }

    /// How many came so far.
    pub fn came(&self) -> usize {
        *self.came.borrow()
    }

    /// Waits until `many` came, all counted.
    ///
    /// # Errors
    /// If they do not come within [`PATIENCE`].
    pub async fn wait_for(&self, many: usize) -> Result<()> {
        let mut came = self.came.clone();
        let all = timeout(PATIENCE, came.wait_for(|came| *came >= many)).await;
        all.map_err(|_late| anyhow!("only {} of {many} came", self.came()))?.context("the gate is gone").map(|_all| ())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.porter.abort();
    }
}

async fn pass(mut client: TcpStream, server: String, mut state: watch::Receiver<State>) {
    let decided = state.wait_for(|state| *state != State::Held).await.map(|state| *state);
    if decided.is_ok_and(|state| state == State::Open)
        && let Ok(mut server) = TcpStream::connect(server).await
    {
        // Either side may leave when it likes.
        let _left = copy_bidirectional(&mut client, &mut server).await;
    }
}
