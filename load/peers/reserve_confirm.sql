-- `reserve.sql`, and then the sale in a second transaction: order, payment, sold seat, ticket.
\set start random(0, :capacity / 2)
\set buyer random(0, :buyers - 1)
BEGIN;
WITH picked AS MATERIALIZED (
    SELECT section, ordinal FROM seats
    WHERE event_id = :event AND section = 'A' AND ordinal >= :start AND state <> 'sold'
      AND (state = 'free' OR (state = 'held' AND held_until < now()))
    ORDER BY section, ordinal LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE seats s
SET state = 'held', held_until = now() + interval '1 hour',
    hold_id = (lpad(to_hex(:event::integer), 8, '0') || substr(gen_random_uuid()::text, 9))::uuid
FROM picked p
WHERE s.event_id = :event AND s.section = p.section AND s.ordinal = p.ordinal
RETURNING s.hold_id AS hold, s.ordinal AS ordinal \gset
INSERT INTO holds (event_id, hold_id, jti, account_id, quantity, amount_minor, seats, expires_at)
VALUES (:event, :hold,
    (lpad(to_hex(:event::integer), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(:buyer::integer), 12, '0'))::uuid,
    ('00000000-0000-4000-8000-' || lpad(to_hex(:buyer::integer), 12, '0'))::uuid,
    1, 0, jsonb_build_array(jsonb_build_object('section', 'A', 'ordinal', :ordinal::integer,
        'row', NULL, 'seat', NULL, 'price_minor', 0)), now() + interval '1 hour');
COMMIT;
BEGIN;
INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider, status, amount_minor, currency)
SELECT event_id, (lpad(to_hex(event_id), 8, '0') || substr(gen_random_uuid()::text, 9))::uuid,
    hold_id, jti, account_id, 'card', 'paid', amount_minor, 'BRL'
FROM holds WHERE event_id = :event AND hold_id = :hold AND state = 'active' AND expires_at > now()
FOR UPDATE
RETURNING order_id AS order \gset
INSERT INTO payments (event_id, order_id, provider, state) VALUES (:event, :order, 'card', 'captured');
UPDATE seats SET state = 'sold', held_until = NULL, order_id = :order
WHERE event_id = :event AND hold_id = :hold AND state = 'held';
UPDATE holds SET state = 'sold' WHERE event_id = :event AND hold_id = :hold AND state = 'active';
INSERT INTO tickets (event_id, ticket_id, order_id, section, ordinal)
VALUES (:event, (lpad(to_hex(:event::integer), 8, '0') || substr(gen_random_uuid()::text, 9))::uuid,
    :order, 'A', :ordinal);
COMMIT;
