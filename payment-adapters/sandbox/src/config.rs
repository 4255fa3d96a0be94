//! What the sandbox is told by environment or flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use catraca_domain::secret::Secret;
use clap::Parser;
use url::Url;

/// Flags, each with its environment variable.
#[derive(Clone, Debug, Parser)]
#[command(about = "A stand-in for Stripe and PayPal. No money moves here.")]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "CATRACA_LISTEN", default_value = "127.0.0.1:8790")]
    pub listen: SocketAddr,
    /// Where browsers reach this program; the listening address when not given.
    #[arg(long, env = "CATRACA_SANDBOX_PUBLIC_URL")]
    pub public_url: Option<Url>,
    /// The one key accepted as Stripe's `sk_…`.
    #[arg(long, env = "CATRACA_CARD_SECRET_KEY", hide_env_values = true)]
    pub card_secret_key: Secret,
    /// Comma-separated `whsec_…`. Webhooks are signed with each, as Stripe does during a rotation.
    #[arg(
        long,
        env = "CATRACA_CARD_WEBHOOK_SECRETS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub card_webhook_secrets: Vec<Secret>,
    /// The one `PayPal` client accepted.
    #[arg(long, env = "CATRACA_PAYPAL_CLIENT_ID")]
    pub paypal_client_id: String,
    /// Its secret.
    #[arg(long, env = "CATRACA_PAYPAL_CLIENT_SECRET", hide_env_values = true)]
    pub paypal_client_secret: Secret,
    /// The webhook's id, part of what is signed.
    #[arg(long, env = "CATRACA_PAYPAL_WEBHOOK_ID")]
    pub paypal_webhook_id: String,
    /// Webhooks go to `{base}/webhooks/card` and `{base}/webhooks/paypal`; none when not given.
    #[arg(long, env = "CATRACA_SANDBOX_WEBHOOK_BASE")]
    pub webhook_base: Option<Url>,
    /// Folder of the journal.
    #[arg(long, env = "CATRACA_SANDBOX_DATA", default_value = ".local/sandbox")]
    pub data: PathBuf,
}
