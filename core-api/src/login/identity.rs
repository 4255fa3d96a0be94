//! From the provider's code to who it is: tokens fetched, checked, read.

use super::provider::{FurtherClaims, Provider};
use crate::error::ApiError;
use catraca_domain::problem::Kind;
use openidconnect::core::{CoreGenderClaim, CoreJwsSigningAlgorithm};
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, EndUserEmail, EndUserName, LocalizedClaim, Nonce,
    OAuth2TokenResponse as _, PkceCodeVerifier, RequestTokenError, TokenResponse as _,
    UserInfoClaims, UserInfoError,
};
use serde_json::Value;

/// Longest e-mail address kept (RFC 5321, 4.5.3.1.3), and longest name.
const TEXT_CHARS_MAX: usize = 254;
/// Most roles kept of one account.
const ROLES_MAX: usize = 64;

/// Who the provider says it is.
pub(super) struct Identity {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) email: String,
    pub(super) name: Option<String>,
    pub(super) roles: Vec<String>,
}

/// The answer to every login that went wrong for a reason that is not ours.
pub(super) fn failed(detail: impl Into<String>) -> ApiError {
    ApiError::new(Kind::LOGIN_FAILED, detail)
}

/// Redeems the code and reads who it stands for.
///
/// # Errors
/// 400 `login_failed`; unavailable when the provider can't be reached.
pub(super) async fn redeem(
    provider: &Provider,
    code: String,
    verifier: String,
    nonce: &Nonce,
) -> Result<Identity, ApiError> {
    let mut client = provider.client(false).await?;
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))
        .map_err(|error| ApiError::unavailable(format!("token endpoint: {error}")))?
        .set_pkce_verifier(PkceCodeVerifier::new(verifier))
        .request_async(&provider.http)
        .await
        .map_err(|error| match error {
            RequestTokenError::ServerResponse(answer) => {
                tracing::info!(error = %answer.error(), "the provider refused a code");
                failed("The login provider did not accept the answer. Log in again.")
            }
            RequestTokenError::Request(error) => {
                ApiError::unavailable(format!("token endpoint: {error}"))
            }
            RequestTokenError::Parse(error, _) => {
                ApiError::unavailable(format!("token endpoint: {error}"))
            }
            RequestTokenError::Other(story) => {
                ApiError::unavailable(format!("token endpoint: {story}"))
            }
        })?;
    let token = tokens
        .id_token()
        .ok_or_else(|| failed("The login provider sent no identity."))?;
    // Signed by the provider's own key: never "none", never a key shared with us.
    let allowed = || {
        use CoreJwsSigningAlgorithm as A;
        [
            A::RsaSsaPkcs1V15Sha256,
            A::RsaSsaPkcs1V15Sha384,
            A::RsaSsaPkcs1V15Sha512,
            A::RsaSsaPssSha256,
            A::EcdsaP256Sha256,
            A::EcdsaP384Sha384,
            A::EdDsa,
        ]
    };
    let mut claims = token.claims(
        &client.id_token_verifier().set_allowed_algs(allowed()),
        nonce,
    );
    if let Err(ClaimsVerificationError::SignatureVerification(_)) = claims {
        client = provider.client(true).await?;
        claims = token.claims(
            &client.id_token_verifier().set_allowed_algs(allowed()),
            nonce,
        );
    }
    let claims = claims.map_err(|error| {
        tracing::warn!(provider = %provider.settings.name, %error, "an identity was refused");
        failed("The login provider's identity could not be verified.")
    })?;
    let mut told = Told::default();
    told.learn(claims.email(), claims.name(), claims.additional_claims());
    if let Ok(request) = client.user_info(
        tokens.access_token().clone(),
        Some(claims.subject().clone()),
    ) {
        let more: UserInfoClaims<FurtherClaims, CoreGenderClaim> = request
            .request_async(&provider.http)
            .await
            .map_err(|error| match error {
                UserInfoError::ClaimsVerification(_) => {
                    failed("The login provider's answers contradict each other.")
                }
                error => ApiError::unavailable(format!("userinfo: {error}")),
            })?;
        told.learn(more.email(), more.name(), more.additional_claims());
    }
    let roles = provider.settings.roles_claim.as_deref();
    Ok(Identity {
        issuer: claims.issuer().to_string(),
        subject: claims.subject().to_string(),
        email: told
            .email
            .ok_or_else(|| failed("The login provider told no e-mail address."))?,
        name: told.name,
        roles: roles.map_or_else(Vec::new, |claim| told.further.roles(claim)),
    })
}

#[derive(Default)]
struct Told {
    email: Option<String>,
    name: Option<String>,
    further: FurtherClaims,
}

impl Told {
    fn learn(
        &mut self,
        email: Option<&EndUserEmail>,
        name: Option<&LocalizedClaim<EndUserName>>,
        further: &FurtherClaims,
    ) {
        if let Some(email) = email {
            self.email = Some(bounded(email));
        }
        if let Some(name) = name.and_then(|name| name.get(None)) {
            self.name = Some(bounded(name));
        }
        self.further.0.extend(further.0.clone());
    }
}

impl FurtherClaims {
    /// A list of texts, or one text with blanks between.
    fn roles(&self, claim: &str) -> Vec<String> {
        let roles: Vec<String> = match self.0.get(claim) {
            Some(Value::Array(list)) => {
                list.iter().filter_map(Value::as_str).map(bounded).collect()
            }
            Some(Value::String(text)) => text.split_whitespace().map(bounded).collect(),
            _ => Vec::new(),
        };
        roles.into_iter().take(ROLES_MAX).collect()
    }
}

fn bounded(text: &str) -> String {
    let clean = text.chars().filter(|character| !character.is_control());
    clean.take(TEXT_CHARS_MAX).collect()
}
