//! What the Worker is configured with: read and parsed once per isolate.

use crate::log_key::LogKey;
use catraca_domain::keyring::Keyring;
use catraca_domain::secret::Secret;
use std::cell::OnceCell;
use std::rc::Rc;
use worker::{Env, console_error};

/// Bindings that hold text.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The core's origin, without a slash at the end.
    pub(crate) core_url: String,
    /// What the core signs its calls with.
    pub(crate) edge_secret: Secret,
    /// Keys of admission tokens.
    pub(crate) admission_keys: Keyring,
    /// Keys of place tokens.
    pub(crate) place_keys: Keyring,
    /// Signs the admission log; without it no log is published.
    pub(crate) log_key: Option<LogKey>,
    /// Cloudflare Turnstile, for rooms that ask for it; else which bindings it lacks, in words.
    pub(crate) turnstile: Result<Turnstile, String>,
}

/// A Turnstile widget.
#[derive(Debug)]
pub(crate) struct Turnstile {
    /// Public name of the widget.
    pub(crate) site_key: String,
    /// What its responses are checked with.
    pub(crate) secret: Secret,
    /// Where.
    pub(crate) url: String,
}

/// Where responses are checked, unless `CATRACA_TURNSTILE_URL` says otherwise.
const TURNSTILE_URL: &str = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

/// Some binding is missing or can't be used; the log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misconfigured;

thread_local!(static SETTINGS: OnceCell<Rc<Settings>> = const { OnceCell::new() });

impl Settings {
    /// The isolate's settings, if they have been read.
    pub(crate) fn at_hand() -> Option<Rc<Self>> {
        SETTINGS.with(|cell| cell.get().cloned())
    }

    /// The isolate's settings.
    pub(crate) fn of(env: &Env) -> Result<Rc<Self>, Misconfigured> {
        SETTINGS.with(|cell| {
            if let Some(settings) = cell.get() {
                return Ok(Rc::clone(settings));
            }
            let settings = Rc::new(Self::read(env)?);
            Ok(Rc::clone(cell.get_or_init(|| settings)))
        })
    }

    fn read(env: &Env) -> Result<Self, Misconfigured> {
        let core_url = text(env, "CORE_URL")?;
        Ok(Self {
            core_url: core_url.trim_end_matches('/').to_owned(),
            edge_secret: Secret::from(text(env, "CATRACA_EDGE_SECRET")?.as_str()),
            admission_keys: keyring(env, "CATRACA_ADMISSION_KEYS")?,
            place_keys: keyring(env, "CATRACA_PLACE_KEYS")?,
            log_key: log_key(env)?,
            turnstile: turnstile(env),
        })
    }
}

fn log_key(env: &Env) -> Result<Option<LogKey>, Misconfigured> {
    let Some(seed) = optional(env, "CATRACA_LOG_KEY") else {
        return Ok(None);
    };
    LogKey::from_base64url(&seed).map(Some).ok_or_else(|| {
        console_error!("binding CATRACA_LOG_KEY is not 32 bytes in base64url");
        Misconfigured
    })
}

fn turnstile(env: &Env) -> Result<Turnstile, String> {
    let (site_key, secret) = ("CATRACA_TURNSTILE_SITE_KEY", "CATRACA_TURNSTILE_SECRET");
    match (optional(env, site_key), optional(env, secret)) {
        (Some(site_key), Some(secret)) => Ok(Turnstile {
            site_key,
            secret: Secret::from(secret.as_str()),
            url: optional(env, "CATRACA_TURNSTILE_URL").unwrap_or_else(|| TURNSTILE_URL.to_owned()),
        }),
        (site, other) => {
            let lacking = [(site_key, site), (secret, other)];
            let names = lacking.iter().filter(|(_, value)| value.is_none());
            let names: Vec<&str> = names.map(|(name, _)| *name).collect();
            Err(names.join(" and "))
        }
    }
}

fn optional(env: &Env, name: &str) -> Option<String> {
    let value = env.var(name).ok()?.to_string();
    (!value.is_empty()).then_some(value)
}

fn text(env: &Env, name: &str) -> Result<String, Misconfigured> {
    match env.var(name) {
        Ok(value) if !value.to_string().is_empty() => Ok(value.to_string()),
        _ => {
            console_error!("binding {name} is missing or empty");
            Err(Misconfigured)
        }
    }
}

fn keyring(env: &Env, name: &str) -> Result<Keyring, Misconfigured> {
    Keyring::from_json(&text(env, name)?).map_err(|error| {
        console_error!("binding {name}: {error}");
        Misconfigured
    })
}
