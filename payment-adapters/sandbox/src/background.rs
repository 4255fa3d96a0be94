//! What happens by itself: attempts held back come due, pages expire.

use std::time::Duration;

use crate::app::{App, Txn, now_ms};
use crate::payment::{Payment, Provider, Stage};

/// How late something due may be.
const TICK: Duration = Duration::from_millis(50);

/// Runs until dropped.
pub(crate) async fn run(app: App) {
    loop {
        tokio::time::sleep(TICK).await;
        if app.read(|world| world.due(now_ms()).is_empty()) {
            continue;
        }
        let worked = app
            .transact(|txn| {
                for payment in txn.world.due(txn.now_ms) {
                    come_due(txn, payment);
                }
            })
            .await;
        if worked.is_err() {
            tracing::error!("the journal is broken; nothing more comes due");
            return;
        }
    }
}

/// Carries out what is due for a payment.
pub(crate) fn come_due(txn: &mut Txn<'_>, mut payment: Payment) {
    if payment.attempt.is_some() {
        let events = payment.resolve();
        txn.put_and_tell(&payment, events);
        return;
    }
    let events: &[&str] = match payment.provider {
        Provider::Pix => {
            // As at Stripe: the intent stays, the attempt has failed.
            (payment.declined, payment.lapsed) = (true, true);
            &["payment_intent.payment_failed"]
        }
        Provider::Card => {
            payment.stage = Stage::Expired;
            &["checkout.session.expired"]
        }
        Provider::PayPal => {
            payment.stage = Stage::Expired;
            &[]
        }
    };
    txn.put_and_tell(&payment, events);
}
