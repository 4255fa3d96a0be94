//! What may happen to an order, in random orders, on real parts: it always comes to rest paid with
//! its tickets, or with nothing taken or all of it given back, and the ledger agrees.

use super::support::{Buyer, CARD_WEBHOOK_SECRET, Shop};
use catraca_domain::ids::{HoldId, OrderId};
use catraca_domain::secret::Secret;
use catraca_domain::signature;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use std::time::Duration;
use time::OffsetDateTime;

const SALES: usize = 40;
const EVENTS_MAX: usize = 6;

struct Sale<'a> {
    shop: &'a Shop,
    ana: Buyer,
    operator: &'a Buyer,
    hold: HoldId,
    order: OrderId,
    page: Option<String>,
    webhook: u32,
    told: Vec<&'static str>,
}

impl Sale<'_> {
    async fn happen(&mut self, rng: &mut StdRng) {
        let what = [
            "pay", "decline", "expire", "lose", "webhook", "return", "cancel", "refund", "part",
            "work",
        ];
        let what = what[rng.random_range(0..what.len())];
        self.told.push(what);
        match (what, self.page.clone()) {
            ("pay" | "decline" | "cancel", Some(page)) => {
                let outcome = match what {
                    "pay" => "approve",
                    "decline" => "decline",
                    _ => "abandon",
                };
                // A page that is closed says so.
                self.shop.choose(&page, outcome, 0).await;
            }
            ("expire", _) => self.shop.hold_ends(self.hold, Duration::ZERO).await,
            // The seat goes to somebody else, if it may.
            ("lose", _) => {
                let take = "UPDATE seats SET state = 'free', hold_id = NULL, held_until = NULL
                    WHERE hold_id = $1 AND state = 'held' AND held_until < now()";
                let touched = self.shop.db().await.execute(take, &[&self.hold.0]).await;
                if touched.unwrap() > 0 {
                    let bia = self.shop.buyer("bia").await;
                    let seat =
                        "SELECT (seats->0->>'ordinal')::integer FROM holds WHERE hold_id = $1";
                    let db = self.shop.db().await;
                    let row = db.query_one(seat, &[&self.hold.0]).await.unwrap();
                    self.shop.hold(&bia, &[row.get(0)]).await;
                }
            }
            // Early, late, doubled; true or not.
            ("webhook", _) => {
                self.webhook += rng.random_range(0..2);
                self.deliver(rng.random_range(0..3)).await;
            }
            ("return", _) => drop(self.shop.view(&self.ana, self.order).await),
            ("refund" | "part", _) => {
                let path = format!("/api/v1/admin/orders/{}/refund", self.order);
                let body = match what {
                    "part" => json!({ "amount_minor": 100 }),
                    _ => json!({}),
                };
                let key = format!("{}-{}", self.order, self.told.len());
                let reply = self.shop.post(self.operator, &path, &key, &body).await;
                assert!([200, 202, 409].contains(&reply.status), "{}", reply.body);
            }
            ("work", _) => self.work().await,
            _ => {}
        }
    }

    async fn deliver(&self, kind: usize) {
        let kinds = [
            "payment_intent.succeeded",
            "payment_intent.canceled",
            "payment_intent.payment_failed",
        ];
        let body = json!({ "id": format!("evt_{}_{}", self.order, self.webhook),
            "type": kinds[kind],
            "data": { "object": { "object": "payment_intent", "id": "pi_1",
                                  "metadata": { "order": self.order } } } })
        .to_string();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let signed = signature::sign(&Secret::from(CARD_WEBHOOK_SECRET), now, body.as_bytes());
        let request = self
            .shop
            .http
            .post(format!("{}/webhooks/card", self.shop.core));
        let reply = request.header("stripe-signature", signed).body(body);
        assert_eq!(reply.send().await.unwrap().status().as_u16(), 200);
    }

    async fn work(&mut self) {
        self.shop.settle(self.order).await;
        let view = self.shop.view(&self.ana, self.order).await;
        let page = view["next_action"]["redirect_url"].as_str();
        if let Some(page) = page {
            self.page = Some(page.to_owned());
        }
    }

    /// The hold's end is the last thing that can happen; then nothing may be open.
    async fn rest(&mut self) {
        self.shop.hold_ends(self.hold, Duration::ZERO).await;
        for _ in 0..4 {
            self.work().await;
        }
        let view = self.shop.view(&self.ana, self.order).await;
        let status = view["status"].as_str().unwrap();
        assert!(
            ["paid", "failed", "expired", "refunded"].contains(&status),
            "{:?} left it {status}",
            self.told
        );
        let sql = format!(
            "SELECT count(*) FROM orders WHERE order_id = '{}' AND quarantined IS NOT NULL",
            self.order
        );
        assert_eq!(self.shop.count(&sql).await, 0, "{:?}", self.told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sampled_orderings_come_to_rest() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut left = SALES;
    while left > 0 {
        let shop = Shop::open_deaf().await;
        let operator = shop.person("operator", &["operator"]).await;
        for seat in 0..12.min(left) {
            let provider = ["card", "paypal", "pix"][rng.random_range(0..3)];
            let ana = shop.buyer("ana").await;
            let hold = shop.hold(&ana, &[i32::try_from(seat).unwrap()]).await;
            let order = shop.order(&ana, hold, provider).await;
            let mut sale = Sale {
                shop: &shop,
                ana,
                operator: &operator,
                hold,
                order,
                page: None,
                webhook: 0,
                told: vec![provider],
            };
            if rng.random_bool(0.8) {
                sale.work().await;
            }
            for _ in 0..EVENTS_MAX {
                sale.happen(&mut rng).await;
                if rng.random_bool(0.4) {
                    sale.work().await;
                }
            }
            sale.rest().await;
        }
        left -= 12.min(left);
        // Invariants 1 to 3 and the ledger, against the sandbox's own book.
        shop.close().await;
    }
}
