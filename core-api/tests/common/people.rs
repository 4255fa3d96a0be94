//! Accounts with a login, with and without an admission.

use super::{ADMISSION_KEYS, Shop};
use catraca_domain::admission::Admission;
use catraca_domain::ids::{Jti, Lane, VisitorId};
use catraca_domain::keyring::Keyring;
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) account: Uuid,
    pub(crate) cookies: String,
}

/// A new admission to a room, for ten minutes, as the edge would give it.
pub(crate) fn admission(room: &str) -> Admission {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap();
    Admission {
        iss: "catraca".to_owned(),
        aud: room.parse().unwrap(),
        sub: VisitorId(Uuid::new_v4()),
        jti: Jti(Uuid::new_v4()),
        iat: now,
        nbf: now,
        exp: now + 600,
        num: number,
        lane: Lane::standard(),
        epoch: 1,
    }
}

pub(crate) fn mint(admission: &Admission) -> String {
    admission.mint(&Keyring::from_json(ADMISSION_KEYS).unwrap())
}

impl Person {
    /// The same login with this admission.
    pub(crate) fn with(&self, token: &str) -> Self {
        let cookies = format!("{}; __Host-admission={token}", self.cookies);
        Self {
            account: self.account,
            cookies,
        }
    }
}

impl Shop {
    pub(crate) async fn account(&self, roles: &[&str]) -> Person {
        let (account, login) = (Uuid::new_v4(), Uuid::new_v4().to_string());
        let db = self.db().await;
        db.execute(
            "INSERT INTO accounts (account_id, issuer, subject, email, roles)
             VALUES ($1, 'test', $2, 'ana@example.com', $3)",
            &[&account, &account.to_string(), &roles],
        )
        .await
        .unwrap();
        db.execute(
            "INSERT INTO login_sessions (token_sha256, account_id, expires_at)
             VALUES ($1, $2, now() + interval '1 hour')",
            &[&Sha256::digest(&login).to_vec(), &account],
        )
        .await
        .unwrap();
        Person {
            account,
            cookies: format!("__Host-login={login}"),
        }
    }

    pub(crate) async fn operator(&self) -> Person {
        self.account(&["operator"]).await
    }

    /// Somebody logged in and admitted.
    pub(crate) async fn shopper(&self, room: &str) -> Person {
        self.account(&[]).await.with(&mint(&admission(room)))
    }
}
