//! The mail server: its settings, and handing a message over to it.

use anyhow::{Context as _, ensure};
use catraca_domain::secret::Secret;
use clap::Args;
use lettre::message::Mailbox;
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use std::time::Duration;
use url::{Host, Url};

/// How long each answer of the server is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Idle connections are closed sooner than a server would.
const IDLE: Duration = Duration::from_secs(20);

/// Where mail is sent from; without both, none is.
#[derive(Debug, Clone, Args)]
pub struct MailConfig {
    /// The mail server: `smtps://user:password@host`, or `smtp://user:password@host:587?tls=required`.
    /// Without TLS only on this machine.
    #[arg(
        long,
        env = "CATRACA_SMTP_URL",
        hide_env_values = true,
        requires = "mail_from"
    )]
    pub smtp_url: Option<Secret>,
    /// Who the mail is from: `Catraca <tickets@example.com>`.
    #[arg(long, env = "CATRACA_MAIL_FROM")]
    pub mail_from: Option<Mailbox>,
}

/// Why the server did not take a message.
#[derive(Debug)]
pub(super) enum Refused {
    /// It, or we, may do better later.
    ForNow(String),
    /// There is no such recipient.
    ForGood(String),
}

/// The way out.
pub struct Post {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    pub(super) from: Mailbox,
}

impl Post {
    /// From the settings; `None` when there are none. Connects to nothing yet.
    ///
    /// # Errors
    /// When they can't be used, or passwords and tickets would travel in the clear.
    pub fn new(config: &MailConfig) -> anyhow::Result<Option<Self>> {
        let (Some(url), Some(from)) = (&config.smtp_url, &config.mail_from) else {
            return Ok(None);
        };
        let url = url.expose_str()?;
        check(url)?;
        // The reason may contain the password.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| anyhow::anyhow!("CATRACA_SMTP_URL is not the address of a mail server"))?;
        let pool = PoolConfig::new().max_size(8).idle_timeout(IDLE);
        Ok(Some(Self {
            transport: transport
                .timeout(Some(ANSWER_WITHIN))
                .pool_config(pool)
                .build(),
            from: from.clone(),
        }))
    }

    /// Hands the message over.
    pub(super) async fn send(&self, message: Message) -> Result<(), Refused> {
        let Err(error) = self.transport.send(message).await else {
            return Ok(());
        };
        // 550 to 553: of the mailbox. Anything else permanent may be our own setting.
        let of_mailbox = error
            .status()
            .is_some_and(|code| ("550"..="553").contains(&code.to_string().as_str()));
        let why = error.to_string();
        Err(if of_mailbox {
            Refused::ForGood(why)
        } else {
            Refused::ForNow(why)
        })
    }
}

fn check(url: &str) -> anyhow::Result<()> {
    let url = Url::parse(url).context("CATRACA_SMTP_URL is not an address")?;
    let required = url
        .query_pairs()
        .any(|(name, value)| name == "tls" && value == "required");
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        // A scheme that the URL standard doesn't know has its host as text.
        Some(Host::Domain(name)) => {
            let name = name.trim_matches(['[', ']']);
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    };
    ensure!(
        url.scheme() == "smtps" || required || here,
        "CATRACA_SMTP_URL: mail beyond this machine needs smtps:// or ?tls=required"
    );
    Ok(())
}
