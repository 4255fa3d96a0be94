//! A stateful flow against somebody else's Stripe: the test plays the buyer, with cards; status,
//! capture, void, refund and webhooks are the adapter's. It has no Checkout, so the payments are
//! `PaymentIntent`s. Where it differs from Stripe the difference is pinned, so that
//! `docs/payments.md` stays true.

use catraca_payments::card::CardAdapter;
use catraca_payments::pix::PixAdapter;
use catraca_payments::{AdapterError, PaymentAdapter, PaymentStatus, ProviderRef, RefundState};
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use super::{client, config, given};
use crate::support::{captured, money, open_inbox, payment};

const GOOD: &str = "4242424242424242";
const DECLINED: &str = "4000000000000341";
const THREE_D_SECURE: &str = "4000002500003155";

struct Peer {
    base: Url,
    client: reqwest::Client,
    adapter: CardAdapter,
}

impl Peer {
    fn new() -> Self {
        let base: Url = given("CATRACA_VERIFY_LOCALSTRIPE").parse().unwrap();
        Self {
            adapter: CardAdapter::new(config(&base), client()),
            client: client(),
            base,
        }
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let request = self.client.post(self.base.join(path).unwrap());
        let reply = request
            .bearer_auth("sk_test_verify")
            .form(form)
            .send()
            .await
            .unwrap();
        (
            reply.status().as_u16(),
            reply.json().await.unwrap_or_default(),
        )
    }

    /// The buyer pays by that card; 200 or 402, and the intent.
    async fn pay(&self, card: &str, order: Uuid) -> (u16, ProviderRef) {
        let card = [
            ("type", "card"),
            ("card[number]", card),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2040"),
            ("card[cvc]", "123"),
        ];
        let (status, method) = self.post("v1/payment_methods", &card).await;
        assert_eq!(status, 200, "{method}");
        let order = order.to_string();
        let form = [
            ("amount", "12345"),
            ("currency", "brl"),
            ("capture_method", "manual"),
            ("payment_method", method["id"].as_str().unwrap()),
            ("metadata[order]", &order),
        ];
        let (status, intent) = self.post("v1/payment_intents", &form).await;
        assert_eq!(status, 200, "{intent}");
        let id = intent["id"].as_str().unwrap().to_owned();
        let (status, _) = self
            .post(&format!("v1/payment_intents/{id}/confirm"), &[])
            .await;
        (status, ProviderRef::new(id))
    }

    /// A payment whose money is set aside.
    async fn authorised(&self) -> ProviderRef {
        let (status, reference) = self.pay(GOOD, Uuid::new_v4()).await;
        assert_eq!(status, 200);
        let amount = money("BRL", 12_345);
        let status = self.adapter.authorise(&reference).await.unwrap();
        assert_eq!(status, PaymentStatus::Authorised { amount });
        reference
    }

    /// The buyer answers the bank's question.
    async fn authenticate(&self, reference: &ProviderRef, success: &str) -> u16 {
        let path = format!("v1/payment_intents/{reference}");
        let request = self.client.get(self.base.join(&path).unwrap());
        let reply = request.bearer_auth("sk_test_verify").send().await.unwrap();
        let intent: Value = reply.json().await.unwrap();
        assert_eq!(intent["status"], "requires_action");
        let secret = intent["client_secret"].as_str().unwrap();
        let form = [("client_secret", secret), ("success", success)];
        self.post(&format!("{path}/_authenticate"), &form).await.0
    }
}

#[tokio::test]
#[ignore = "needs localstripe: scripts/verify-peers"]
async fn authorised_captured_refunded() {
    let peer = Peer::new();
    let whole = money("BRL", 12_345);
    let reference = &peer.authorised().await;
    let adapter = &peer.adapter;
    assert_eq!(
        adapter.capture(reference, whole).await.unwrap(),
        captured(whole, 0)
    );
    assert_eq!(
        adapter.capture(reference, whole).await.unwrap(),
        captured(whole, 0)
    );
    assert_eq!(adapter.void(reference).await.unwrap(), captured(whole, 0));
    let (id, part) = (Uuid::new_v4(), money("BRL", 2_345));
    let refund = adapter.refund(reference, part, id).await.unwrap();
    assert_eq!(refund.state, RefundState::Completed);
    // It ignores idempotency keys; the adapter's own look for the refund makes it one.
    assert_eq!(adapter.refund(reference, part, id).await.unwrap(), refund);
    assert_eq!(
        adapter.status(reference).await.unwrap(),
        captured(whole, 2_345)
    );
    // It would give back more than was taken; the adapter doesn't ask.
    let error = adapter
        .refund(reference, whole, Uuid::new_v4())
        .await
        .unwrap_err();
    assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
    let rest = money("BRL", 10_000);
    adapter
        .refund(reference, rest, Uuid::new_v4())
        .await
        .unwrap();
    assert_eq!(
        adapter.status(reference).await.unwrap(),
        captured(whole, 12_345)
    );
}

#[tokio::test]
#[ignore = "needs localstripe: scripts/verify-peers"]
async fn authorised_then_voided() {
    let peer = Peer::new();
    let reference = &peer.authorised().await;
    let adapter = &peer.adapter;
    assert_eq!(
        adapter.void(reference).await.unwrap(),
        PaymentStatus::Voided
    );
    assert_eq!(
        adapter.void(reference).await.unwrap(),
        PaymentStatus::Voided
    );
    let whole = money("BRL", 12_345);
    assert_eq!(
        adapter.capture(reference, whole).await.unwrap(),
        PaymentStatus::Voided
    );
    let error = adapter
        .refund(reference, whole, Uuid::new_v4())
        .await
        .unwrap_err();
    assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs localstripe: scripts/verify-peers"]
async fn declined() {
    let peer = Peer::new();
    let (status, reference) = peer.pay(DECLINED, Uuid::new_v4()).await;
    assert_eq!(status, 402);
    let reason = "card_declined".to_owned();
    let failed = PaymentStatus::Failed { reason };
    assert_eq!(peer.adapter.authorise(&reference).await.unwrap(), failed);
    let whole = money("BRL", 12_345);
    assert_eq!(
        peer.adapter.capture(&reference, whole).await.unwrap(),
        failed
    );
    assert_eq!(
        peer.adapter.void(&reference).await.unwrap(),
        PaymentStatus::Voided
    );
}

#[tokio::test]
#[ignore = "needs localstripe: scripts/verify-peers"]
async fn three_d_secure() {
    let peer = Peer::new();
    let (status, reference) = peer.pay(THREE_D_SECURE, Uuid::new_v4()).await;
    assert_eq!(status, 200);
    assert_eq!(
        peer.adapter.status(&reference).await.unwrap(),
        PaymentStatus::Open
    );
    assert_eq!(peer.authenticate(&reference, "true").await, 200);
    let whole = money("BRL", 12_345);
    let status = peer.adapter.authorise(&reference).await.unwrap();
    assert_eq!(status, PaymentStatus::Authorised { amount: whole });
    assert_eq!(
        peer.adapter.capture(&reference, whole).await.unwrap(),
        captured(whole, 0)
    );

    let (_, reference) = peer.pay(THREE_D_SECURE, Uuid::new_v4()).await;
    assert_eq!(peer.authenticate(&reference, "false").await, 200);
    let status = peer.adapter.authorise(&reference).await.unwrap();
    let reason = "payment_intent_authentication_failure".to_owned();
    assert_eq!(status, PaymentStatus::Failed { reason });

    let (_, reference) = peer.pay(THREE_D_SECURE, Uuid::new_v4()).await;
    assert_eq!(
        peer.adapter.void(&reference).await.unwrap(),
        PaymentStatus::Voided
    );
}

#[tokio::test]
#[ignore = "needs localstripe: scripts/verify-peers"]
async fn webhooks_verify() {
    let peer = Peer::new();
    let (inbox, base) = open_inbox().await;
    let hook = Uuid::new_v4();
    let url = base.join("webhooks/card").unwrap();
    let form = [("url", url.as_str()), ("secret", "whsec_verify")];
    let (status, _) = peer.post(&format!("_config/webhooks/{hook}"), &form).await;
    assert_eq!(status, 200);
    let order = Uuid::new_v4();
    let (_, reference) = peer.pay(GOOD, order).await;
    peer.adapter
        .capture(&reference, money("BRL", 12_345))
        .await
        .unwrap();
    peer.pay(DECLINED, order).await;
    let mut kinds = Vec::new();
    for _ in 0..200 {
        let deliveries = std::mem::take(&mut *inbox.deliveries.lock().unwrap());
        for delivery in deliveries {
            let now = OffsetDateTime::now_utc();
            let verify = |body| peer.adapter.verify_webhook(&delivery.headers, body, now);
            let event = verify(&delivery.body).await.unwrap();
            let mut forged = delivery.body.to_vec();
            forged.push(b' ');
            verify(&forged).await.unwrap_err();
            if event.order_id == Some(order) {
                kinds.push(event.kind);
            }
        }
        if kinds.len() >= 2 {
            kinds.sort();
            let wanted = ["payment_intent.payment_failed", "payment_intent.succeeded"];
            assert_eq!(kinds, wanted);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("only {kinds:?} within 10 s");
}

/// What `docs/payments.md` says is different here.
#[tokio::test]
#[ignore = "needs localstripe: scripts/verify-peers"]
async fn differences() {
    let peer = Peer::new();
    // No Checkout, and no Pix.
    peer.adapter.start(&payment("BRL", 100)).await.unwrap_err();
    let pix = PixAdapter::new(config(&peer.base), client());
    pix.start(&payment("BRL", 100)).await.unwrap_err();
    // A part captured is the whole captured and the rest given back.
    let reference = peer.authorised().await;
    let status = peer
        .adapter
        .capture(&reference, money("BRL", 5_000))
        .await
        .unwrap();
    assert_eq!(status, captured(money("BRL", 12_345), 7_345));
    // More given back than was taken.
    let form = [("payment_intent", reference.as_str()), ("amount", "99999")];
    assert_eq!(peer.post("v1/refunds", &form).await.0, 200);
    // Keys ignored.
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = peer
            .client
            .post(peer.base.join("v1/payment_intents").unwrap());
        let request = request
            .bearer_auth("sk_test_verify")
            .header("Idempotency-Key", "same");
        let reply = request
            .form(&[("amount", "1"), ("currency", "brl")])
            .send()
            .await
            .unwrap();
        ids.push(reply.json::<Value>().await.unwrap()["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
    // What doesn't exist has no code, so it isn't known as "not found".
    let error = peer
        .adapter
        .status(&ProviderRef::new("pi_none"))
        .await
        .unwrap_err();
    assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
}
