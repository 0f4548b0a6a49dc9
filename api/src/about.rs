use policy::Issuer;

/// What anybody may know about the server: enough to log in.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct About {
    /// The server's name in every signature: its public URL, without a trailing slash.
    pub audience: String,
    /// The server's version.
    pub version: String,
    /// The server's clock, milliseconds since the epoch.
    pub time_ms: u64,
    /// Keys that sign user certificates, in OpenSSH's public form.
    pub user_ca: Vec<String>,
    /// Keys that sign host certificates, in OpenSSH's public form.
    pub host_ca: Vec<String>,
    /// Where people may log in, the default first.
    pub issuers: Vec<IssuerAbout>,
}

/// An issuer at which people may log in.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct IssuerAbout {
    /// `iss`.
    pub issuer: Issuer,
    /// A name for people.
    pub name: String,
    /// The OAuth client id of `jit-ssh` at this issuer (a public client, RFC 8252).
    pub client_id: String,
    /// Scopes to ask for, `openid` among them.
    pub scopes: Vec<String>,
    /// Loopback ports for the redirect, tried in this order; empty means any free port.
    pub redirect_ports: Vec<u16>,
    /// Whether the device grant (RFC 8628) is accepted.
    pub device_grant: bool,
    /// `acr_values` to ask for, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr_values: Option<String>,
}
