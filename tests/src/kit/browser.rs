//! A person's browser, scripted: follows redirects, keeps cookies, fills in forms.

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, StatusCode, header};
use std::collections::BTreeMap;
use url::Url;

/// An HTTP client that follows nothing and reuses no connection, so that killed servers surprise nobody.
///
/// # Errors
/// If the TLS library does not start.
pub fn http() -> Result<reqwest::Client> {
    // Another test may have installed it already.
    let _there = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0);
    client.no_proxy().build().context("HTTP client")
}

/// What the person does at the provider.
#[derive(Clone, Copy, Debug)]
pub enum Person<'a> {
    /// Logs in under this name and consents.
    LogsIn(&'a str),
    /// Refuses at the login page.
    RefusesLogin,
    /// Logs in under this name and refuses consent.
    RefusesConsent(&'a str),
}

/// A page where the browser stopped.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its address.
    pub url: Url,
    /// Its status.
    pub status: StatusCode,
    /// Its text.
    pub text: String,
}

impl Page {
    /// `login` or `consent`, where the provider asks for it.
    pub fn prompt(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("data-prompt=\"")?;
        rest.split('"').next()
    }

    /// The value of the hidden field `name`.
    pub fn hidden(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.text.split_once(&format!("name=\"{name}\" value=\""))?;
        rest.split('"').next()
    }
}

/// A browser with its cookies.
pub struct Browser {
    http: reqwest::Client,
    // By host and port, then name. Path and life of a cookie do not matter to these flows.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    stop_at: Option<String>,
}

impl Browser {
    /// A fresh browser.
    ///
    /// # Errors
    /// If the TLS library does not start.
    pub fn new() -> Result<Self> {
        Ok(Self { http: http()?, cookies: BTreeMap::new(), stop_at: None })
    }

    /// Does not follow a redirect to an address that begins like this; the page then has that address and no text.
    #[must_use]
    pub fn stopping_at(mut self, prefix: &str) -> Self {
        self.stop_at = Some(prefix.to_owned());
        self
    }

    /// Goes to `url` and does there what `person` does, to the last page.
    ///
    /// # Errors
    /// If a page cannot be reached or asks for something unknown.
    pub async fn visit(&mut self, url: &str, person: Person<'_>) -> Result<Page> {
        let mut page = self.open(url).await?;
        while let Some(prompt) = page.prompt() {
            page = match (prompt, person) {
                ("login", Person::LogsIn(name) | Person::RefusesConsent(name)) => {
                    self.submit(&page.url, &[("login", name)]).await?
                }
                ("consent", Person::LogsIn(_)) => self.submit(&page.url, &[("consent", "yes")]).await?,
                ("login", Person::RefusesLogin) | ("consent", Person::RefusesConsent(_)) => {
                    self.submit(&page.url, &[("refuse", "yes")]).await?
                }
                (prompt, person) => bail!("{person:?} cannot answer {prompt}"),
            };
        }
        Ok(page)
    }

    /// Enters the code of a device grant at the provider's page (RFC 8628, `verification_uri_complete`).
    ///
    /// # Errors
    /// If a page cannot be reached or asks for something unknown.
    pub async fn enter_code(&mut self, url: &str, person: Person<'_>) -> Result<Page> {
        let page = self.open(url).await?;
        let complete = Url::parse(url)?;
        let code = complete.query_pairs().find(|(name, _)| name == "user_code").context("no user_code")?.1;
        let xsrf = page.hidden("xsrf").context("the code page has no token")?.to_owned();
        let mut action = page.url.clone();
        action.set_query(None);
        let page = self.submit(&action, &[("xsrf", &xsrf), ("user_code", &code)]).await?;
        let xsrf = page.hidden("xsrf").with_context(|| format!("no confirmation page: {page:?}"))?.to_owned();
        let mut page = self.submit(&action, &[("xsrf", &xsrf), ("user_code", &code), ("confirm", "yes")]).await?;
        if page.prompt().is_some() {
            page = self.visit(page.url.clone().as_str(), person).await?;
        }
        Ok(page)
    }

    /// Opens `url` and follows redirects.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn open(&mut self, url: &str) -> Result<Page> {
        self.go(Method::GET, Url::parse(url)?, None).await
    }

    /// Posts a form to `url` and follows redirects.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn submit(&mut self, url: &Url, fields: &[(&str, &str)]) -> Result<Page> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.go(Method::POST, url.clone(), Some(form)).await
    }

    async fn go(&mut self, mut method: Method, mut url: Url, mut form: Option<String>) -> Result<Page> {
        for _hop in 0..20 {
            let place = format!("{}:{}", url.host_str().unwrap_or(""), url.port().unwrap_or(0));
            let mut request = self.http.request(method, url.clone());
            if let Some(cookies) = self.cookies.get(&place) {
                let line: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
                request = request.header(header::COOKIE, line.join("; "));
            }
            if let Some(form) = form.take() {
                request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
            }
            let answer = request.send().await.with_context(|| format!("GET {url}"))?;
            self.keep_cookies(place, answer.headers());
            let status = answer.status();
            let location = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
            let Some(location) = location.filter(|_| status.is_redirection()) else {
                return Ok(Page { url, status, text: answer.text().await? });
            };
            url = url.join(&location)?;
            if self.stop_at.as_deref().is_some_and(|prefix| url.as_str().starts_with(prefix)) {
                return Ok(Page { url, status, text: String::new() });
            }
            method = Method::GET;
        }
        bail!("too many redirects, last to {url}")
    }

    fn keep_cookies(&mut self, place: String, headers: &header::HeaderMap) {
        let kept = self.cookies.entry(place).or_default();
        for line in headers.get_all(header::SET_COOKIE).iter().filter_map(|line| line.to_str().ok()) {
            let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            if value.is_empty() {
                kept.remove(name);
            } else {
                kept.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
