//! The words, each parsed at the door and never wrong afterwards.

mod identity;
mod key_id;
mod names;
mod principal;
mod target;
mod text;
mod time;

pub use identity::{Identity, Kind};
pub use key_id::{KeyId, Serial};
pub use names::{
    Account, Email, FreezeId, GrantId, Group, HostGroup, HostName, Incident, Issuer, PolicyId, Reason, RequestId,
    SessionId, Subject, Ticket,
};
pub use principal::{Principal, Principals};
pub use target::Target;
pub use text::WordError;
pub(crate) use text::is_hidden;
pub use time::{Seconds, UnixTime, Validity};
