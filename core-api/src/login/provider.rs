//! One `OpenID` provider: discovery and keys fetched when first needed, kept, fetched again.

use crate::config::OidcProvider;
use crate::error::ApiError;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, Client, ClientId, ClientSecret, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenFields,
    IssuerUrl, RedirectUrl, StandardErrorResponse, StandardTokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long discovery and keys are kept.
const METADATA_TTL: Duration = Duration::from_mins(10);
/// Shortest time between two fetches, however many tokens have an unknown key.
const METADATA_AGE_MIN: Duration = Duration::from_secs(5);

/// The claims beyond the standard ones: among them the roles.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct FurtherClaims(pub(super) Map<String, Value>);

impl AdditionalClaims for FurtherClaims {}

type TokenFields = IdTokenFields<
    FurtherClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// The protocol's client, with our claims.
pub(super) type OidcClient = Client<
    FurtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<TokenFields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Our HTTP client, as the protocol's crate wants it.
#[derive(Clone)]
pub(super) struct Http(pub(super) reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, reqwest::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.0.execute(request.try_into()?).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut whole = HttpResponse::new(response.bytes().await?.to_vec());
            *whole.status_mut() = status;
            *whole.headers_mut() = headers;
            Ok(whole)
        })
    }
}

/// A provider and what it has told us of itself.
pub(super) struct Provider {
    pub(super) settings: OidcProvider,
    redirect: RedirectUrl,
    pub(super) http: Http,
    metadata: Mutex<Option<(Instant, Arc<CoreProviderMetadata>)>>,
}

impl Provider {
    pub(super) fn new(settings: OidcProvider, redirect: RedirectUrl, http: Http) -> Self {
        Self {
            settings,
            redirect,
            http,
            metadata: Mutex::new(None),
        }
    }

    /// A client with the provider's addresses and keys. `fresh` asks for keys no older than a
    /// few seconds: a token was signed with one that we don't know.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when the provider can't be reached or answers nonsense.
    pub(super) async fn client(&self, fresh: bool) -> Result<OidcClient, ApiError> {
        let age_max = if fresh {
            METADATA_AGE_MIN
        } else {
            METADATA_TTL
        };
        let metadata = self.metadata(age_max).await?;
        let secret = self.settings.client_secret();
        let secret = secret
            .expose_str()
            .map_err(|_| ApiError::internal("client secret is not text"))?;
        Ok(Client::from_provider_metadata(
            (*metadata).clone(),
            ClientId::new(self.settings.client_id.clone()),
            Some(ClientSecret::new(secret.to_owned())),
        )
        .set_redirect_uri(self.redirect.clone()))
    }

    /// One fetch at a time; the others wait for it.
    async fn metadata(&self, age_max: Duration) -> Result<Arc<CoreProviderMetadata>, ApiError> {
        let mut kept = self.metadata.lock().await;
        if let Some((fetched_at, metadata)) = kept.as_ref()
            && fetched_at.elapsed() < age_max
        {
            return Ok(Arc::clone(metadata));
        }
        let issuer = IssuerUrl::new(self.settings.issuer.clone())
            .map_err(|error| ApiError::internal(format!("issuer: {error}")))?;
        match CoreProviderMetadata::discover_async(issuer, &self.http).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *kept = Some((Instant::now(), Arc::clone(&metadata)));
                Ok(metadata)
            }
            Err(error) => match kept.as_ref() {
                // Better keys of ten minutes ago than no login.
                Some((_, metadata)) => Ok(Arc::clone(metadata)),
                None => Err(ApiError::unavailable(format!(
                    "discovery of {}: {error}",
                    self.settings.name
                ))),
            },
        }
    }
}
