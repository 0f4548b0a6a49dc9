//! Places for connections: how many, in all and for one client, and who goes when there is none left.

use crate::http::{client::Client, door::Door};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tokio::sync::Notify;

/// All places.
#[derive(Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    next: u64,
    /// By age.
    all: BTreeMap<u64, (Client, Standing)>,
    by_client: HashMap<Client, u32>,
}

/// How a connection stands: whether somebody who is logged in has sent a request on it, and whether it has to go.
#[derive(Clone, Default)]
pub(in crate::http) struct Standing(Arc<State>);

#[derive(Default)]
struct State {
    known: AtomicBool,
    leave: Notify,
}

impl Standing {
    /// A request on it was signed by a live login session.
    pub(in crate::http) fn prove(&self) {
        self.0.known.store(true, Relaxed);
    }

    /// Waits until its place is given to another.
    pub(super) async fn left(&self) {
        self.0.leave.notified().await;
    }
}

impl Places {
    /// A place for one more connection of `peer`. Where there is none, the oldest connection goes on which nobody has
    /// shown to be logged in: a flood of strangers costs strangers theirs, and newcomers get in. Our own proxies carry
    /// many clients in few connections: they are held to the whole, not to a client's share, and never sent away.
    pub(super) fn take(self: &Arc<Self>, door: &Door, peer: SocketAddr) -> Option<Place> {
        let (shared, client) = (door.shared(), Client::of(peer.ip()));
        let (most, share) = (shared.limits.connections.get(), shared.limits.connections_per_client.get());
        let proxy = shared.is_proxy(peer.ip());
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !proxy && taken.by_client.get(&client).is_some_and(|&count| count >= share) {
            taken.make_room(|theirs| theirs == client)?;
            shared.metrics.connection_refused();
        }
        if u32::try_from(taken.all.len()).unwrap_or(u32::MAX) >= most {
            taken.make_room(|_anybody| true)?;
            shared.metrics.connection_refused();
        }
        let standing = Standing::default();
        if proxy {
            standing.prove();
        }
        let number = taken.next;
        taken.next += 1;
        taken.all.insert(number, (client, standing.clone()));
        *taken.by_client.entry(client).or_default() += 1;
        shared.metrics.connected();
        Some(Place { places: Arc::clone(self), number, standing, door: door.clone() })
    }
}

impl Taken {
    fn make_room(&mut self, of: impl Fn(Client) -> bool) -> Option<()> {
        let stranger = |(client, standing): &(Client, Standing)| of(*client) && !standing.0.known.load(Relaxed);
        let oldest = self.all.iter().find(|(_, connection)| stranger(connection)).map(|(number, _)| *number)?;
        let (_, standing) = self.give_back(oldest)?;
        standing.0.leave.notify_one();
        Some(())
    }

    fn give_back(&mut self, number: u64) -> Option<(Client, Standing)> {
        let (client, standing) = self.all.remove(&number)?;
        if let Some(count) = self.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
        Some((client, standing))
    }
}

/// One connection's place; given back when dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    pub(super) standing: Standing,
    door: Door,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing where another has it already.
        let _given = taken.give_back(self.number).is_some();
        drop(taken);
        self.door.shared().metrics.disconnected();
    }
}
