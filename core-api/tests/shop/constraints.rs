//! What must never be stored can't be: each rule is tried by hand, in SQL.

use crate::common::Shop;
use serde_json::json;

const CSV: &str = "section,kind,row,seat,capacity,price_minor,x,y
A,seated,1,1,,1000,,\nA,seated,1,2,,1000,,\nB,general,,,2,1000,,\n";

/// Rules, and an attempt to break each. `A`, seat 0 is sold with its ticket; seat 1 is held.
const ATTEMPTS: [(&str, &str); 19] = [
    ("seats_state_agrees", "UPDATE seats SET state = 'free' WHERE section = 'A' AND ordinal = 1"),
    ("seats_state_agrees", "UPDATE seats SET state = 'sold' WHERE section = 'A' AND ordinal = 1"),
    ("seats_state_agrees", "UPDATE seats SET state = 'held' WHERE section = 'B' AND ordinal = 0"),
    ("seats_state_agrees", "UPDATE seats SET hold_id = NULL WHERE section = 'A' AND ordinal = 1"),
    ("seats_state_agrees", "UPDATE seats SET held_until = NULL WHERE section = 'A' AND ordinal = 1"),
    ("seats_state_agrees", "UPDATE seats SET order_id = NULL WHERE section = 'A' AND ordinal = 0"),
    ("seats_state_agrees", "UPDATE seats SET state = 'reserved' WHERE section = 'A' AND ordinal = 1"),
    // A second row for a place: the same key, the same label, or out of the section.
    ("seats_pkey", "INSERT INTO seats SELECT * FROM seats WHERE section = 'A' AND ordinal = 0"),
    ("seats_labelled_once", "INSERT INTO seats (event_id, section, ordinal, row_label, seat_label, price_minor)
        SELECT event_id, section, 7, row_label, seat_label, 0 FROM seats WHERE section = 'A' AND ordinal = 0"),
    ("seats_event_id_section_fkey", "INSERT INTO seats (event_id, section, ordinal, price_minor)
        SELECT event_id, 'C', 0, 0 FROM events"),
    // A second ticket for a seat, and one for a seat or an order that is not there.
    ("tickets_one_live_per_seat", "INSERT INTO tickets (event_id, ticket_id, order_id, section, ordinal)
        SELECT event_id, gen_random_uuid(), order_id, section, ordinal FROM tickets"),
    ("tickets_event_id_section_ordinal_fkey", "INSERT INTO tickets (event_id, ticket_id, order_id, section, ordinal)
        SELECT event_id, gen_random_uuid(), order_id, section, 99 FROM tickets"),
    ("tickets_event_id_order_id_fkey", "INSERT INTO tickets (event_id, ticket_id, order_id, section, ordinal)
        SELECT event_id, gen_random_uuid(), gen_random_uuid(), 'A', 1 FROM events"),
    // A sold seat can't be taken away from under its ticket.
    ("tickets_event_id_section_ordinal_fkey", "DELETE FROM seats WHERE section = 'A' AND ordinal = 0"),
    // A second order for a hold, and one for a hold that is not there.
    ("orders_one_per_hold", "INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider,
        amount_minor, currency) SELECT event_id, gen_random_uuid(), hold_id, jti, account_id, 'card', 0, 'BRL'
        FROM orders"),
    ("orders_event_id_hold_id_fkey", "INSERT INTO orders (event_id, order_id, hold_id, jti, account_id,
        provider, amount_minor, currency)
        SELECT event_id, gen_random_uuid(), gen_random_uuid(), jti, account_id, 'card', 0, 'BRL' FROM orders"),
    ("holds_quantity_check", "UPDATE holds SET quantity = 0"),
    // A hold without an admission, and a second session for one number of the line.
    ("holds_event_id_jti_fkey", "UPDATE holds SET jti = gen_random_uuid()"),
    ("shopping_sessions_number_once", "INSERT INTO shopping_sessions (event_id, jti, account_id, visitor,
        epoch, number, lane, admitted_at, expires_at)
        SELECT event_id, gen_random_uuid(), account_id, visitor, epoch, number, lane, now(), now()
        FROM shopping_sessions LIMIT 1"),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_oversell_cant_be_stored() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    for seat in ["1", "2"] {
        let body =
            json!({"event": "hamlet", "seats": [{"section": "A", "row": "1", "seat": seat}]});
        assert_eq!(shop.hold(&ana, seat, &body).await.status, 201);
    }
    let db = shop.db().await;
    db.batch_execute(
        "INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider, status,
                             amount_minor, currency)
         SELECT h.event_id, gen_random_uuid(), h.hold_id, h.jti, h.account_id, 'card', 'paid', 0, 'BRL'
         FROM holds h JOIN seats s USING (event_id, hold_id) WHERE s.ordinal = 0;
         UPDATE seats s SET state = 'sold', held_until = NULL, order_id = o.order_id
         FROM orders o WHERE o.hold_id = s.hold_id;
         UPDATE holds SET state = 'sold' WHERE hold_id IN (SELECT hold_id FROM orders);
         INSERT INTO tickets (event_id, ticket_id, order_id, section, ordinal)
         SELECT event_id, gen_random_uuid(), order_id, section, ordinal FROM seats WHERE state = 'sold'",
    )
    .await
    .unwrap();
    drop(db);
    let before = shop.fingerprint().await;
    for (rule, attempt) in ATTEMPTS {
        let db = shop.db().await;
        let stored = db.execute(attempt, &[]).await;
        let error = stored.expect_err(attempt);
        let constraint = error.as_db_error().and_then(|db| db.constraint());
        assert_eq!(constraint, Some(rule), "{attempt}: {error:?}");
    }
    assert_eq!(shop.fingerprint().await, before);
    shop.close().await;
}
