//! What systemd is told (sd_notify(3)): one datagram, without a library. Where there is no systemd, nothing.

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// The server answers.
pub fn ready() {
    tell("READY=1\nSTATUS=serving");
}

/// The server finishes what is in flight.
pub fn stopping() {
    tell("STOPPING=1\nSTATUS=finishing what is in flight");
}

fn tell(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&path, state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

fn send(path: &OsStr, state: &str) -> io::Result<()> {
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_sent| ())
}
