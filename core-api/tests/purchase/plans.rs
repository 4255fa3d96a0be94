//! What a purchase reads. A sale's rows come after PostgreSQL last counted any; then an index that
//! merely begins with the event looks as good to it as the right one, and a look-up by key walks all
//! that the event has sold.

use super::support::{Buyer, Options, Shop};
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeMap;

const BUYERS: i32 = 400;
/// Rows of a table that the statements of a purchase and the checks of its keys may fetch: a handful,
/// and a few more where a batch met a lock and some went the long way. Walking the event would be half
/// of [`BUYERS`] and more.
const READ_EACH_MAX: i64 = 100;

/// Another event that has been sold, for 3,000 holds and orders, and was counted.
const SOLD_BEFORE: &str = "
    INSERT INTO events (slug, title, venue, starts_at, currency, max_seats_per_buyer, hold_seconds)
    VALUES ('before', 'Before', 'Here', now(), 'BRL', 6, 300);
    CREATE TEMP TABLE n AS
        SELECT event_id, n, gen_random_uuid() AS jti, gen_random_uuid() AS account_id,
               gen_random_uuid() AS hold_id, gen_random_uuid() AS order_id
        FROM events, generate_series(1, 3000) n WHERE slug = 'before';
    INSERT INTO accounts (account_id, issuer, subject, email)
    SELECT account_id, 'before', n::text, n || '@example.com' FROM n;
    INSERT INTO shopping_sessions (event_id, jti, account_id, visitor, epoch, number, lane,
                                   admitted_at, expires_at)
    SELECT event_id, jti, account_id, jti, 1, n, 'standard', now(), now() FROM n;
    INSERT INTO buyers (event_id, account_id) SELECT event_id, account_id FROM n;
    INSERT INTO holds (event_id, hold_id, jti, account_id, state, quantity, amount_minor, seats,
                       expires_at)
    SELECT event_id, hold_id, jti, account_id, 'sold', 1, 0, '[]', now() FROM n;
    INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider, status,
                        amount_minor, currency)
    SELECT event_id, order_id, hold_id, jti, account_id, 'card', 'paid', 0, 'BRL' FROM n;
    UPDATE sections SET kind = 'general', price_minor = 0;
    UPDATE seats SET price_minor = 0, row_label = NULL, seat_label = NULL;
    ANALYZE";

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_reads_its_own_rows_however_many_there_are() {
    let (shop, buyers) = open_after_another_sale().await;
    let before = fetched(&shop).await;
    for together in buyers.chunks(50) {
        join_all(together.iter().map(|buyer| buy(&shop, buyer))).await;
    }
    // Connections tell what they did once they have been idle for a while.
    let told = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'orders'";
    shop.until_count(told, 3_000 + i64::from(BUYERS)).await;
    assert_reads_few(&shop, &before, "purchase").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_a_hold_giving_it_back_and_leaving_read_their_own_rows() {
    let (shop, buyers) = open_after_another_sale().await;
    let held = join_all(buyers.iter().map(|buyer| hold(&shop, buyer))).await;
    let told = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'holds'";
    shop.until_count(told, 3_000 + i64::from(BUYERS)).await;
    let before = fetched(&shop).await;
    let visits: Vec<_> = buyers.iter().zip(&held).collect();
    for together in visits.chunks(50) {
        join_all(
            together
                .iter()
                .map(|(buyer, hold)| visit(&shop, buyer, hold)),
        )
        .await;
    }
    let told = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'shopping_sessions'";
    shop.until_count(told, i64::from(BUYERS)).await;
    assert_reads_few(&shop, &before, "visit").await;
    shop.close().await;
}

async fn open_after_another_sale() -> (Shop, Vec<Buyer>) {
    let options = Options {
        seats: 2 * BUYERS,
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    shop.db().await.batch_execute(SOLD_BEFORE).await.unwrap();
    let buyers = join_all((0..BUYERS).map(|_| shop.buyer("ana"))).await;
    (shop, buyers)
}

async fn assert_reads_few(shop: &Shop, before: &BTreeMap<String, i64>, each_what: &str) {
    for (table, fetched) in fetched(shop).await {
        let each = (fetched - before.get(&table).unwrap_or(&0)) / i64::from(BUYERS);
        println!("{table}: {each} rows fetched for each {each_what}");
        assert!(
            each < READ_EACH_MAX,
            "{table}: {each} rows for each {each_what}"
        );
    }
}

/// Rows fetched by an index, by table.
async fn fetched(shop: &Shop) -> BTreeMap<String, i64> {
    let sql = "SELECT relname::text, coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables
               WHERE relname IN ('shopping_sessions', 'buyers', 'holds', 'orders', 'seats')";
    let rows = shop.db().await.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn hold(shop: &Shop, buyer: &Buyer) -> String {
    let wish = json!({"event": super::support::SLUG, "section": "A", "quantity": 1});
    let hold = shop.post(buyer, "/api/v1/holds", "hold", &wish).await;
    assert_eq!(hold.status, 201, "{}", hold.body);
    hold.body["hold"].as_str().unwrap().to_owned()
}

/// Looks at a hold, gives it back and leaves.
async fn visit(shop: &Shop, buyer: &Buyer, hold: &str) {
    let path = format!("/api/v1/holds/{hold}");
    assert_eq!(shop.get(buyer, &path).await.status, 200);
    assert_eq!(shop.delete(buyer, &path).await.status, 204);
    assert_eq!(shop.delete(buyer, "/api/v1/session").await.status, 204);
}

async fn buy(shop: &Shop, buyer: &Buyer) {
    let order = json!({"hold": hold(shop, buyer).await, "provider": "card"});
    let order = shop.post(buyer, "/api/v1/orders", "order", &order).await;
    assert_eq!(order.body["status"], "paid", "{}", order.body);
}
