//! Settings, from flags or the environment.

use crate::mail::MailConfig;
use crate::purchase::pace::Rates;
use catraca_domain::keyring::Keyring;
use catraca_domain::secret::Secret;
use catraca_domain::ticket_code;
use clap::Args;
use ed25519_dalek::VerifyingKey;
use serde::Deserialize;
use std::net::SocketAddr;
use url::Url;

/// What both roles need.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The edge's origin, as browsers see it: base of redirect and return addresses.
    #[arg(long, env = "CATRACA_PUBLIC_URL")]
    pub public_url: Url,
    /// PostgreSQL.
    #[arg(long, env = "CATRACA_DATABASE_URL", hide_env_values = true)]
    pub database_url: Secret,
    /// Redis. Away, the core is slower, never wrong.
    #[arg(long, env = "CATRACA_REDIS_URL", hide_env_values = true)]
    pub redis_url: Secret,
    /// Where the edge takes `/internal/v1` calls.
    #[arg(long, env = "CATRACA_EDGE_URL")]
    pub edge_url: Url,
    /// Signs calls to the edge.
    #[arg(long, env = "CATRACA_EDGE_SECRET", hide_env_values = true)]
    pub edge_secret: Secret,
    /// Verifies admissions: `[{"kid": …, "secret": …}]`.
    #[arg(long, env = "CATRACA_ADMISSION_KEYS", hide_env_values = true, value_parser = keyring)]
    pub admission_keys: Keyring,
    /// Ed25519 seed, base64url: signs ticket codes.
    #[arg(long, env = "CATRACA_TICKET_KEY", hide_env_values = true, value_parser = ticket_key)]
    pub ticket_key: Secret,
    /// Other public keys whose ticket codes are good, base64url, separated by commas: those that
    /// signed before, and the one that will sign next.
    #[arg(long, env = "CATRACA_TICKET_PUBLIC_KEYS", value_delimiter = ',', value_parser = public_key)]
    pub ticket_public_keys: Vec<VerifyingKey>,
    /// `OpenID` providers, as JSON.
    #[arg(long, env = "CATRACA_OIDC_PROVIDERS", hide_env_values = true, value_parser = oidc)]
    pub oidc_providers: OidcProviders,
    /// Turnstile's public site key, if rooms may ask for it. The secret is the edge's alone.
    #[arg(long, env = "CATRACA_TURNSTILE_SITE_KEY")]
    pub turnstile_site_key: Option<String>,
    /// Mail to buyers.
    #[command(flatten)]
    pub mail: MailConfig,
    /// Most database connections of this process.
    #[arg(long, env = "CATRACA_DATABASE_CONNECTIONS", default_value_t = 24)]
    pub database_connections: usize,
    /// Most calls to one payment provider under way at once, in this process.
    #[arg(long, env = "CATRACA_PROVIDER_CALLS_IN_FLIGHT", default_value_t = 32)]
    pub provider_calls_in_flight: usize,
    /// Most requests to each payment provider in any one second, over all processes:
    /// `card=50,paypal=50`. A provider that is not named is not limited.
    #[arg(long, env = "CATRACA_PROVIDER_RATES", default_value = "", value_parser = rates)]
    pub provider_rates: Rates,
    /// Most processes that call providers: without Redis, each keeps to its share of the rates.
    #[arg(long, env = "CATRACA_PROVIDER_PROCESSES", default_value_t = 4)]
    pub provider_processes: u32,
}

/// The working role's own.
#[derive(Debug, Clone, Args)]
pub struct WorkConfig {
    /// Address for `/metrics`, `/healthz` and `/readyz`; none, none.
    #[arg(long, env = "CATRACA_WORKER_LISTEN")]
    pub listen: Option<SocketAddr>,
}

/// The serving role's own.
#[derive(Debug, Clone, Args)]
pub struct ServeConfig {
    /// Address to listen on.
    #[arg(long, env = "CATRACA_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// One provider of logins.
#[derive(Clone, Deserialize)]
pub struct OidcProvider {
    /// Name in `/auth/login?provider=`.
    pub name: String,
    /// Issuer, letter by letter as in its discovery document.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    client_secret: String,
    /// Claim that lists roles; `operator` is the one we know.
    #[serde(default)]
    pub roles_claim: Option<String>,
}

impl OidcProvider {
    /// Our secret there.
    pub fn client_secret(&self) -> Secret {
        Secret::from(self.client_secret.as_str())
    }
}

/// The configured providers; the first is the default.
#[derive(Clone)]
pub struct OidcProviders(pub Vec<OidcProvider>);

impl std::fmt::Debug for OidcProviders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|provider| &provider.name))
            .finish()
    }
}

fn rates(text: &str) -> Result<Rates, String> {
    let entries = text.split(',').map(str::trim).filter(|one| !one.is_empty());
    entries
        .map(|entry| {
            let (provider, rate) = entry.split_once('=')?;
            let rate: u32 = rate.trim().parse().ok().filter(|rate| *rate > 0)?;
            Some((provider.trim().to_owned(), rate))
        })
        .collect::<Option<Rates>>()
        .ok_or_else(|| "must be a list such as card=50,paypal=50, each more than 0".to_owned())
}

fn keyring(text: &str) -> Result<Keyring, String> {
    Keyring::from_json(text).map_err(|error| error.to_string())
}

fn ticket_key(text: &str) -> Result<Secret, String> {
    match Secret::from_base64url(text) {
        Ok(secret) if secret.expose().len() == 32 => Ok(secret),
        _ => Err("must be 32 bytes in base64url".to_owned()),
    }
}

fn public_key(text: &str) -> Result<VerifyingKey, String> {
    ticket_code::public_key(text.trim()).map_err(|error| error.to_string())
}

fn oidc(text: &str) -> Result<OidcProviders, String> {
    let providers: Vec<OidcProvider> = serde_json::from_str(text).map_err(|_| {
        "must be a JSON list of {name, issuer, client_id, client_secret}".to_owned()
    })?;
    if providers.is_empty() {
        return Err("at least one provider is needed".to_owned());
    }
    if let Some(provider) = providers
        .iter()
        .find(|one| Url::parse(&one.issuer).is_err())
    {
        return Err(format!(
            "the issuer of {:?} is not an address",
            provider.name
        ));
    }
    Ok(OidcProviders(providers))
}
