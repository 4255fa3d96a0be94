//! Against programs that others wrote. `scripts/verify-peers` starts them and runs these tests; by
//! themselves they are ignored, and fail when run without them.

mod localstripe;
mod openapi;
mod stripe_mock;

use catraca_domain::secret::Secret;
use catraca_payments::stripe::StripeConfig;
use url::Url;

/// A setting of `scripts/verify-peers`'s.
fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/verify-peers"))
}

fn config(api_url: &Url) -> StripeConfig {
    StripeConfig {
        api_url: api_url.clone(),
        secret_key: Secret::from("sk_test_verify"),
        webhook_secrets: vec![Secret::from("whsec_verify")],
    }
}

fn client() -> reqwest::Client {
    crate::support::install_crypto();
    catraca_payments::http_client_with(std::time::Duration::from_secs(10)).unwrap()
}
