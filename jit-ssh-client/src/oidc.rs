//! Logging in at the issuer (OpenID Connect Core, RFC 8252, RFC 7636, RFC 9207): what comes out is an ID token that
//! names our session key and was checked here before the CA checks it again.

mod browser;
mod callback;
mod device;
mod page;

use crate::{error::Failure, settings, web};
use api::IssuerAbout;
use openidconnect::{
    ClientId, HttpRequest, HttpResponse, IdToken, IssuerUrl, Nonce, ProviderMetadata,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod, CoreGenderClaim,
        CoreGrantType, CoreIdTokenVerifier, CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm,
        CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use std::{future::Future, pin::Pin};
use url::Url;

pub use browser::{Opening, log_in as with_browser};
pub use device::log_in as with_device;

/// What discovery says beside the standard's own fields.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Extras {
    /// RFC 8628.
    device_authorization_endpoint: Option<openidconnect::DeviceAuthorizationUrl>,
    /// RFC 9207: a response without `iss` is then no response of this issuer's.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl openidconnect::AdditionalProviderMetadata for Extras {}

type Metadata = ProviderMetadata<
    Extras,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Token = IdToken<
    openidconnect::EmptyAdditionalClaims,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// Signatures that are believed. No `none`, and no HMAC: a public client shares no secret with its issuer.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// An issuer at work: its metadata and the way to it.
struct Provider<'a> {
    about: &'a IssuerAbout,
    metadata: Metadata,
    http: Http,
}

impl<'a> Provider<'a> {
    async fn discover(about: &'a IssuerAbout, http: reqwest::Client) -> Result<Self, Failure> {
        let http = Http(http);
        let url = IssuerUrl::new(about.issuer.to_string())
            .map_err(|error| Failure::failed(format!("the issuer's address is no address: {error}")))?;
        let metadata = Metadata::discover_async(url, &http.caller()).await.map_err(|error| match error {
            openidconnect::DiscoveryError::Request(cause) => cause.0,
            other => Failure::failed(format!("{} does not describe itself well: {other}", about.name)),
        })?;
        Ok(Self { about, metadata, http })
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.about.client_id.clone())
    }

    /// The keys are asked for now: while a person looked at the login page, the issuer may have changed them.
    async fn verifier(&self) -> Result<CoreIdTokenVerifier<'static>, Failure> {
        let keys = CoreJsonWebKeySet::fetch_async(self.metadata.jwks_uri(), &self.http.caller()).await;
        let keys = keys.map_err(|error| match error {
            openidconnect::DiscoveryError::Request(cause) => cause.0,
            other => Failure::failed(format!("{} shows no keys that can be read: {other}", self.about.name)),
        })?;
        let issuer = self.metadata.issuer().clone();
        Ok(CoreIdTokenVerifier::new_public_client(self.client_id(), issuer, keys).set_allowed_algs(ALGORITHMS))
    }

    /// The token's text, if it is one for us, from this issuer, now, and with our nonce where there was one to carry.
    async fn checked(&self, unverified_token: Option<&Token>, nonce: Option<&Nonce>) -> Result<String, Failure> {
        let token = unverified_token.ok_or_else(|| {
            Failure::failed(format!("{} sent no ID token", self.about.name))
                .hint("the scope `openid` must be among those the CA asks for")
        })?;
        let right_nonce = |found: Option<&Nonce>| match (nonce, found) {
            (Some(ours), Some(found)) if ours.secret() == found.secret() => Ok(()),
            (Some(_), _) => Err("it is not bound to our session key".to_owned()),
            (None, _) => Ok(()),
        };
        token.claims(&self.verifier().await?, right_nonce).map_err(|error| {
            Failure::failed(format!("the ID token of {} was not taken: {error}", self.about.name))
                .hint("is this machine's clock right? jit-ssh doctor looks")
        })?;
        Ok(token.to_string())
    }
}

/// HTTP for the library: our limits, and no address that others could listen in on.
struct Http(reqwest::Client);

/// An error of ours in the library's clothes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct HttpError(Failure);

type Answer = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>>;

impl Http {
    fn caller(&self) -> impl Fn(HttpRequest) -> Answer + Send + Sync + use<> {
        let client = self.0.clone();
        move |request| {
            let client = client.clone();
            Box::pin(async move { exchange(&client, request).await.map_err(HttpError) })
        }
    }
}

async fn exchange(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let url = Url::parse(&request.uri().to_string()).ok().filter(settings::safe);
    if url.is_none() {
        return Err(Failure::failed(format!("the issuer names an address that is not https: {}", request.uri())));
    }
    let request = reqwest::Request::try_from(request)
        .map_err(|error| Failure::failed(format!("a request to the issuer cannot be made: {error}")))?;
    let response = client.execute(request).await.map_err(|error| web::unreachable_by(&error))?;
    let mut answer = openidconnect::http::Response::builder().status(response.status());
    for (name, value) in response.headers() {
        answer = answer.header(name, value);
    }
    let body = web::body(response).await?;
    answer.body(body).map_err(|error| Failure::failed(format!("the issuer's answer cannot be read: {error}")))
}

/// The addresses that a browser or a person is sent to must be as safe as those we call.
fn safe_address(url: &Url, name: &str) -> Result<(), Failure> {
    if settings::safe(url) {
        Ok(())
    } else {
        Err(Failure::failed(format!("{name} names an address that is not https: {url}")))
    }
}

/// An error of the token endpoint, in its own words.
fn token_failure<T>(issuer: &str, error: openidconnect::RequestTokenError<HttpError, T>) -> Failure
where
    T: openidconnect::ErrorResponse + std::fmt::Display + 'static,
{
    match error {
        openidconnect::RequestTokenError::Request(cause) => cause.0,
        openidconnect::RequestTokenError::ServerResponse(refusal) => {
            Failure::failed(format!("{issuer} refuses: {refusal}")).hint("log in again: jit-ssh login")
        }
        other => Failure::failed(format!("{issuer} answers strangely: {other}")),
    }
}
