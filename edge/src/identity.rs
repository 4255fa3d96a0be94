//! Who is logged in, by the core's word, and the one place that an account has in a room.

use crate::runtime::within;
use crate::visit::Visit;
use catraca_domain::hex32::Hex32;
use catraca_domain::ids::{AccountId, RoomName, VisitorId};
use catraca_domain::place::Place;
use serde::Deserialize;
use uuid::Builder;
use worker::{Fetch, Headers, Request, RequestInit, RequestRedirect, console_error};

const CONTEXT: &[u8] = b"catraca-account-v1\0";
/// Longest wait for the core, in milliseconds.
const CORE_MS_MAX: u64 = 4_000;

/// Whose request it is.
pub(crate) enum Login {
    /// This account's.
    Account(AccountId),
    /// Nobody's.
    Nobody,
    /// The core could not be asked.
    Unavailable,
}

/// Asks the core, with the visitor's own cookies.
pub(crate) async fn login(visit: &Visit) -> Login {
    let Some(cookies) = visit.header("cookie") else {
        return Login::Nobody;
    };
    match within(CORE_MS_MAX, ask(visit, &cookies)).await {
        Some(Ok(Some(account))) => Login::Account(account),
        Some(Ok(None)) => Login::Nobody,
        Some(Err(error)) => {
            console_error!("core did not say who is logged in: {error}");
            Login::Unavailable
        }
        None => {
            console_error!("core took over {CORE_MS_MAX} ms to say who is logged in");
            Login::Unavailable
        }
    }
}

async fn ask(visit: &Visit, cookies: &str) -> worker::Result<Option<AccountId>> {
    #[derive(Deserialize)]
    struct Me {
        account: AccountId,
    }
    let headers = Headers::new();
    headers.set("cookie", cookies)?;
    let mut init = RequestInit::new();
    init.with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    let url = format!("{}/api/v1/me", visit.settings.core_url);
    let request = Request::new_with_init(&url, &init)?;
    let mut response = Fetch::Request(request).send().await?;
    match response.status_code() {
        200 => {
            let me: Me = serde_json::from_slice(&response.bytes().await?)?;
            Ok(Some(me.account))
        }
        401 => Ok(None),
        status => Err(format!("status {status}").into()),
    }
}

/// Who an account is in a room, as the bearer of a number: the same on every device. A `UUIDv5`,
/// which no other kind of place has.
pub(crate) fn visitor(account: AccountId, room: &RoomName, number: u64) -> VisitorId {
    let (number, account) = (number.to_be_bytes(), account.0.as_bytes().to_owned());
    let hash = Hex32::sha256(&[CONTEXT, room.as_str().as_bytes(), b"\0", &number, &account]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.0[..16]);
    VisitorId(Builder::from_sha1_bytes(bytes).into_uuid())
}

/// Whether a place is an account's.
pub(crate) fn is_accounts(place: &Place) -> bool {
    place.visitor.0.get_version_num() == 5
}
