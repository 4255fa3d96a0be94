//! Which providers this deployment takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use catraca_domain::money::Currency;

use crate::transport::{Outlet, http_client};
use crate::{ConfigError, Gate, PaymentAdapter, Provider, card, paypal, pix};

/// Reads one setting by its environment variable's name; `None` when unset.
pub type Settings<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Builds an adapter from its settings, or `None` when the provider isn't configured.
type Build = fn(Settings<'_>, &Outlet) -> Result<Option<Arc<dyn PaymentAdapter>>, ConfigError>;

/// Every provider there is: one line each.
const PROVIDERS: &[Build] = &[
    card::from_settings,   // Stripe
    paypal::from_settings, // PayPal
    pix::from_settings,    // Pix, through Stripe
];

/// The configured providers, by name.
#[derive(Clone, Default)]
pub struct Registry {
    adapters: BTreeMap<&'static str, Arc<dyn PaymentAdapter>>,
}

impl Registry {
    /// Builds every configured provider: `Registry::from_settings(&|name| std::env::var(name).ok())`.
    /// A provider none of whose settings are present is left out; half a configuration is an error.
    pub fn from_settings(settings: Settings<'_>) -> Result<Self, ConfigError> {
        Self::with_outlet(settings, &http_client()?.into())
    }

    /// The same, each request through this gate.
    pub fn through(settings: Settings<'_>, gate: Arc<dyn Gate>) -> Result<Self, ConfigError> {
        Self::with_outlet(settings, &Outlet::through(http_client()?, gate))
    }

    /// The same over a client of the caller's, with another patience than 30 s.
    pub fn with_client(
        settings: Settings<'_>,
        client: &reqwest::Client,
    ) -> Result<Self, ConfigError> {
        Self::with_outlet(settings, &client.clone().into())
    }

    fn with_outlet(settings: Settings<'_>, outlet: &Outlet) -> Result<Self, ConfigError> {
        let mut adapters = Vec::new();
        for build in PROVIDERS {
            adapters.extend(build(settings, outlet)?);
        }
        Ok(Self::new(adapters))
    }

    /// A registry of these adapters; a later one replaces an earlier one of the same name.
    pub fn new(adapters: impl IntoIterator<Item = Arc<dyn PaymentAdapter>>) -> Self {
        let adapters = adapters
            .into_iter()
            .map(|a| (a.provider().as_str(), a))
            .collect();
        Self { adapters }
    }

    /// The provider of that name, if this deployment takes it.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn PaymentAdapter>> {
        self.adapters.get(name)
    }

    /// The names, sorted.
    pub fn providers(&self) -> impl Iterator<Item = Provider> + '_ {
        self.adapters.values().map(|adapter| adapter.provider())
    }

    /// The names of those that take that currency, sorted; of all, without one.
    pub fn taking(&self, currency: Option<Currency>) -> impl Iterator<Item = &'static str> + '_ {
        self.adapters
            .iter()
            .filter(move |(_, adapter)| currency.is_none_or(|currency| adapter.takes(currency)))
            .map(|(name, _)| *name)
    }
}
