//! A login on its way: what must be remembered between leaving for the provider and coming back.
//!
//! The attempt is found by SHA-256 over the state *and* a secret in the browser's cookie, so an
//! answer works only in the browser that asked, and several tabs may log in at once.

use super::identity::failed;
use crate::app::App;
use crate::error::ApiError;
use catraca_domain::secret::Secret;
use sha2::{Digest as _, Sha256};
use url::Url;

/// How long a login may take, in seconds.
pub(super) const ATTEMPT_SECONDS: i64 = 600;
/// Longest `return_to`, in bytes.
const RETURN_TO_BYTES_MAX: usize = 2048;

/// What is remembered.
pub(super) struct Attempt {
    pub(super) provider: String,
    pub(super) nonce: String,
    pub(super) pkce_verifier: String,
    pub(super) return_to: String,
}

fn key(state: &str, browser: &Secret) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(state));
    hash.update(browser.expose());
    hash.finalize().into()
}

impl Attempt {
    /// Keeps the attempt until it is redeemed or [`ATTEMPT_SECONDS`] have passed.
    pub(super) async fn keep(
        &self,
        app: &App,
        state: &str,
        browser: &Secret,
    ) -> Result<(), ApiError> {
        let db = app.db.get().await?;
        #[expect(clippy::cast_precision_loss, reason = "a small constant")]
        let seconds = ATTEMPT_SECONDS as f64;
        db.execute(
            "INSERT INTO login_attempts (state_sha256, provider, nonce, pkce_verifier, return_to,
                                         expires_at)
             VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))",
            &[
                &key(state, browser).as_slice(),
                &self.provider,
                &self.nonce,
                &self.pkce_verifier,
                &self.return_to,
                &seconds,
            ],
        )
        .await?;
        Ok(())
    }

    /// Takes the attempt out: it can be redeemed once.
    ///
    /// # Errors
    /// 400 `login_failed` when there is none, in this browser, that is still good.
    pub(super) async fn take(app: &App, state: &str, browser: &Secret) -> Result<Self, ApiError> {
        let db = app.db.get().await?;
        let row = db
            .query_opt(
                "DELETE FROM login_attempts WHERE state_sha256 = $1
                 RETURNING provider, nonce, pkce_verifier, return_to, expires_at > now()",
                &[&key(state, browser).as_slice()],
            )
            .await?;
        match row {
            Some(row) if row.get::<_, bool>(4) => Ok(Self {
                provider: row.get(0),
                nonce: row.get(1),
                pkce_verifier: row.get(2),
                return_to: row.get(3),
            }),
            _ => Err(failed(
                "This login was not begun in this browser, or took too long. Log in again.",
            )),
        }
    }
}

/// Where to go after the login: a path of ours, whatever tricks the text tries.
///
/// # Errors
/// 422 for anything else.
pub(super) fn return_path(text: Option<&str>, public: &Url) -> Result<String, ApiError> {
    let text = text.unwrap_or("/");
    let plain = text.len() <= RETURN_TO_BYTES_MAX
        && text.starts_with('/')
        && !text.starts_with("//")
        && !text.contains('\\')
        && !text.chars().any(char::is_control);
    let joined = public
        .join(text)
        .ok()
        .filter(|url| plain && url.origin() == public.origin() && !url.path().starts_with("//"));
    let url = joined.ok_or_else(|| {
        ApiError::field(
            "return_to",
            "must be a path of this site, such as /e/my-event",
        )
    })?;
    let mut path = url.path().to_owned();
    for (mark, part) in [('?', url.query()), ('#', url.fragment())] {
        if let Some(part) = part {
            path.push(mark);
            path.push_str(part);
        }
    }
    Ok(path)
}
