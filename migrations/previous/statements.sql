-- The statements of b7fe19d. Made by collect.py; do not edit.

-- core-api/src/admin/event.rs
INSERT INTO events (slug, title, venue, starts_at, currency, max_seats_per_buyer, hold_seconds) VALUES ($1, $2, $3, $4, $5::text, $6::bigint::integer, $7::bigint::integer) RETURNING slug, title, venue, starts_at, currency::text, max_seats_per_buyer, hold_seconds, coalesce((SELECT sum(capacity) FROM sections s WHERE s.event_id = events.event_id), 0)::bigint, event_id;

-- core-api/src/admin/event.rs
SELECT slug, title, venue, starts_at, currency::text, max_seats_per_buyer, hold_seconds, coalesce((SELECT sum(capacity) FROM sections s WHERE s.event_id = events.event_id), 0)::bigint FROM events ORDER BY starts_at DESC, slug LIMIT 500;

-- core-api/src/admin/event.rs
SELECT slug, title, venue, starts_at, currency::text, max_seats_per_buyer, hold_seconds, coalesce((SELECT sum(capacity) FROM sections s WHERE s.event_id = events.event_id), 0)::bigint FROM events WHERE slug = $1;

-- core-api/src/admin/event.rs
UPDATE events SET title = coalesce($2, title), venue = coalesce($3, venue), starts_at = coalesce($4, starts_at), max_seats_per_buyer = coalesce($5::bigint::integer, max_seats_per_buyer), hold_seconds = coalesce($6::bigint::integer, hold_seconds), version = version + 1 WHERE slug = $1 RETURNING slug, title, venue, starts_at, currency::text, max_seats_per_buyer, hold_seconds, coalesce((SELECT sum(capacity) FROM sections s WHERE s.event_id = events.event_id), 0)::bigint, event_id;

-- core-api/src/admin/import.rs
UPDATE events SET version = version + 1 WHERE event_id = $1;

-- core-api/src/admin/import.rs
SELECT 1 FROM events WHERE event_id = $1 FOR UPDATE;

-- core-api/src/admin/import.rs
SELECT EXISTS (SELECT 1 FROM tickets WHERE event_id = $1) OR EXISTS (SELECT 1 FROM orders WHERE event_id = $1 AND status IN ('queued', 'awaiting_payment', 'paid'));

-- core-api/src/admin/import.rs
DELETE FROM seats WHERE event_id = $1 AND (state = 'free' OR (state = 'held' AND held_until < now()));

-- core-api/src/admin/import.rs
SELECT EXISTS (SELECT 1 FROM seats WHERE event_id = $1);

-- core-api/src/admin/import.rs
DELETE FROM sections WHERE event_id = $1;

-- core-api/src/admin/import.rs
INSERT INTO sections (event_id, section, kind, capacity, price_minor, position) VALUES ($1, $2, $3, $4, $5, $6);

-- core-api/src/admin/import.rs
INSERT INTO seats (event_id, section, ordinal, price_minor) SELECT $1, $2, ordinal, $3 FROM generate_series(0, $4::integer - 1) AS ordinal;

-- core-api/src/admin/import.rs
INSERT INTO seats (event_id, section, ordinal, row_label, seat_label, x, y, price_minor) SELECT $1, $2, $3 + (position - 1)::integer, row_label, seat_label, x, y, price FROM unnest($4::text[], $5::text[], $6::float8[], $7::float8[], $8::bigint[]) WITH ORDINALITY AS s (row_label, seat_label, x, y, price, position);

-- core-api/src/admission/routes.rs
SELECT max_seats_per_buyer FROM events WHERE event_id = $1;

-- core-api/src/admission/routes.rs
UPDATE shopping_sessions SET ended_at = now(), end_reason = 'left' WHERE event_id = $1 AND jti = $2 AND ended_at IS NULL AND expires_at > now();

-- core-api/src/admission/routes.rs
SELECT hold_id FROM holds WHERE event_id = $1 AND account_id = $2 AND jti = $3 AND state = 'active' ORDER BY hold_id FOR UPDATE;

-- core-api/src/admission/routes.rs
UPDATE holds SET state = CASE WHEN expires_at < now() THEN 'expired' ELSE 'released' END WHERE event_id = $1 AND hold_id = $2 AND state = 'active';

-- core-api/src/admission/session.rs
SELECT account_id, ended_at IS NULL AND expires_at > now() FROM shopping_sessions WHERE event_id = $1 AND jti = $2;

-- core-api/src/admission/session.rs
INSERT INTO shopping_sessions (event_id, jti, account_id, visitor, epoch, number, lane, admitted_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (event_id, jti) DO NOTHING;

-- core-api/src/admission/session.rs
SELECT 1 FROM shopping_sessions WHERE event_id = $1 AND jti = $2 AND account_id = $3 AND ended_at IS NULL AND expires_at > now() FOR SHARE;

-- core-api/src/catalogue/load.rs
SELECT version FROM events WHERE event_id = $1;

-- core-api/src/catalogue/load.rs
SELECT section, string_agg( CASE WHEN state = 'sold' THEN 's' WHEN state = 'held' AND held_until >= now() THEN 'h' ELSE 'f' END, '' ORDER BY ordinal) FROM seats WHERE event_id = $1 GROUP BY section;

-- core-api/src/catalogue/load.rs
SELECT version, slug, title, venue, starts_at, currency::text, max_seats_per_buyer, hold_seconds FROM events WHERE event_id = $1;

-- core-api/src/catalogue/load.rs
SELECT section, kind, capacity, price_minor FROM sections WHERE event_id = $1 ORDER BY position, section;

-- core-api/src/catalogue/load.rs
SELECT s.section, s.row_label, s.seat_label, s.x, s.y, s.price_minor FROM seats s JOIN sections c USING (event_id, section) WHERE s.event_id = $1 AND c.kind = 'seated' ORDER BY s.section, s.ordinal;

-- core-api/src/catalogue/mod.rs
SELECT event_id FROM events WHERE slug = $1;

-- core-api/src/catalogue/routes.rs
SELECT slug, title, venue, starts_at, currency::text FROM events WHERE starts_at > now() - interval '1 day' ORDER BY starts_at, slug LIMIT $1;

-- core-api/src/holds/claim.rs
WITH picked AS MATERIALIZED ( SELECT s.section, s.ordinal, s.hold_id FROM seats s WHERE s.event_id = $1 AND s.section = $4 AND s.ordinal >= $5 AND s.ordinal < $6 AND s.state <> 'sold' AND (s.state = 'free' OR (s.state = 'held' AND s.held_until < now())) ORDER BY s.section, s.ordinal LIMIT $7 FOR UPDATE OF s SKIP LOCKED) UPDATE seats s SET state = 'held', hold_id = $2, held_until = now() + make_interval(secs => $3) FROM picked p WHERE s.event_id = $1 AND s.section = p.section AND s.ordinal = p.ordinal RETURNING s.section, s.ordinal, s.row_label, s.seat_label, s.price_minor, p.hold_id;

-- core-api/src/holds/claim.rs
WITH picked AS MATERIALIZED ( SELECT s.section, s.ordinal, s.hold_id FROM seats s WHERE s.event_id = $1 AND s.section = $4 AND s.ordinal >= $5 AND s.ordinal < $6 AND s.state <> 'sold' AND (s.state = 'free' OR (s.state = 'held' AND s.held_until < now())) ORDER BY s.section, s.ordinal LIMIT $7 FOR UPDATE OF s) UPDATE seats s SET state = 'held', hold_id = $2, held_until = now() + make_interval(secs => $3) FROM picked p WHERE s.event_id = $1 AND s.section = p.section AND s.ordinal = p.ordinal RETURNING s.section, s.ordinal, s.row_label, s.seat_label, s.price_minor, p.hold_id;

-- core-api/src/holds/claim.rs
WITH picked AS MATERIALIZED ( SELECT s.section, s.ordinal, s.hold_id FROM unnest($4::text[], $5::int[]) AS w (section, ordinal) JOIN seats s ON s.event_id = $1 AND s.section = w.section AND s.ordinal = w.ordinal WHERE s.state <> 'sold' AND (s.state = 'free' OR (s.state = 'held' AND s.held_until < now())) ORDER BY s.section, s.ordinal FOR UPDATE OF s SKIP LOCKED) UPDATE seats s SET state = 'held', hold_id = $2, held_until = now() + make_interval(secs => $3) FROM picked p WHERE s.event_id = $1 AND s.section = p.section AND s.ordinal = p.ordinal RETURNING s.section, s.ordinal, s.row_label, s.seat_label, s.price_minor, p.hold_id;

-- core-api/src/holds/claim.rs
WITH picked AS MATERIALIZED ( SELECT s.section, s.ordinal, s.hold_id FROM unnest($4::text[], $5::int[]) AS w (section, ordinal) JOIN seats s ON s.event_id = $1 AND s.section = w.section AND s.ordinal = w.ordinal WHERE s.state <> 'sold' AND (s.state = 'free' OR (s.state = 'held' AND s.held_until < now())) ORDER BY s.section, s.ordinal FOR UPDATE OF s) UPDATE seats s SET state = 'held', hold_id = $2, held_until = now() + make_interval(secs => $3) FROM picked p WHERE s.event_id = $1 AND s.section = p.section AND s.ordinal = p.ordinal RETURNING s.section, s.ordinal, s.row_label, s.seat_label, s.price_minor, p.hold_id;

-- core-api/src/holds/claim.rs
SELECT s.ordinal, coalesce(s.row_label, '') FROM seats s WHERE s.event_id = $1 AND s.section = $2 AND s.state <> 'sold' AND (s.state = 'free' OR (s.state = 'held' AND s.held_until < now())) AND s.ordinal >= coalesce(( SELECT min(first.ordinal) FROM seats first JOIN seats here ON here.event_id = $1 AND here.section = $2 AND here.ordinal = $3 WHERE first.event_id = $1 AND first.section = $2 AND first.row_label = here.row_label), 0) ORDER BY s.ordinal LIMIT $4;

-- core-api/src/holds/claim.rs
SELECT count(*) FROM seats s WHERE s.event_id = $1 AND s.section = $2 AND s.state <> 'sold' AND (s.state = 'free' OR (s.state = 'held' AND s.held_until < now()));

-- core-api/src/holds/limit.rs
SELECT currency::text, max_seats_per_buyer, hold_seconds FROM events WHERE event_id = $1;

-- core-api/src/holds/limit.rs
SELECT 1 FROM buyers WHERE event_id = $1 AND account_id = $2 FOR UPDATE;

-- core-api/src/holds/limit.rs
INSERT INTO buyers (event_id, account_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- core-api/src/holds/limit.rs
SELECT count(*) FROM holds h JOIN seats s ON s.event_id = h.event_id AND s.hold_id = h.hold_id WHERE h.event_id = $1 AND h.account_id = $2 AND (s.state = 'sold' OR (s.state = 'held' AND s.held_until > now()));

-- core-api/src/holds/sale.rs
SELECT state, quantity FROM holds WHERE event_id = $1 AND hold_id = $2 FOR UPDATE;

-- core-api/src/holds/sale.rs
UPDATE holds SET state = $4 WHERE event_id = $1 AND hold_id = $2 AND state = $3;

-- core-api/src/holds/sale.rs
SELECT state = 'held' FROM seats WHERE event_id = $1 AND hold_id = $2 ORDER BY section, ordinal FOR UPDATE;

-- core-api/src/holds/sale.rs
UPDATE seats SET state = 'sold', held_until = NULL, order_id = $3 WHERE event_id = $1 AND hold_id = $2 AND state = 'held';

-- core-api/src/holds/sale.rs
SELECT state = 'free' OR (state = 'held' AND (held_until < now() OR hold_id = $4)) FROM seats WHERE event_id = $1 AND (section, ordinal) IN (SELECT * FROM unnest($2::text[], $3::integer[])) ORDER BY section, ordinal FOR UPDATE;

-- core-api/src/holds/sale.rs
UPDATE seats SET state = 'sold', hold_id = $4, held_until = NULL, order_id = $5 WHERE event_id = $1 AND state <> 'sold' AND (section, ordinal) IN (SELECT * FROM unnest($2::text[], $3::integer[]));

-- core-api/src/holds/sale.rs
SELECT state = 'sold' FROM seats WHERE event_id = $1 AND hold_id = $2 AND (state = 'held' OR order_id = $3) ORDER BY section, ordinal FOR UPDATE;

-- core-api/src/holds/sale.rs
UPDATE seats SET state = 'free', hold_id = NULL, held_until = NULL, order_id = NULL WHERE event_id = $1 AND hold_id = $2 AND (state = 'held' OR order_id = $3);

-- core-api/src/holds/sweeper.rs
WITH due AS MATERIALIZED ( SELECT event_id, section, ordinal, held_until FROM seats WHERE state = 'held' AND held_until < now() ORDER BY held_until LIMIT $1 FOR UPDATE SKIP LOCKED) UPDATE seats s SET state = 'free', hold_id = NULL, held_until = NULL FROM due WHERE s.event_id = due.event_id AND s.section = due.section AND s.ordinal = due.ordinal RETURNING s.event_id, extract(epoch FROM now() - due.held_until)::float8;

-- core-api/src/holds/sweeper.rs
UPDATE holds SET state = 'expired' WHERE (event_id, hold_id) IN ( SELECT event_id, hold_id FROM holds WHERE state = 'active' AND expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED);

-- core-api/src/holds/sweeper.rs
UPDATE shopping_sessions SET ended_at = now(), end_reason = 'expired' WHERE (event_id, jti) IN ( SELECT event_id, jti FROM shopping_sessions WHERE ended_at IS NULL AND expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED);

-- core-api/src/holds/sweeper.rs
DELETE FROM login_sessions WHERE token_sha256 IN ( SELECT token_sha256 FROM login_sessions WHERE expires_at < now() LIMIT $1);

-- core-api/src/holds/sweeper.rs
DELETE FROM login_attempts WHERE state_sha256 IN ( SELECT state_sha256 FROM login_attempts WHERE expires_at < now() LIMIT $1);

-- core-api/src/holds/sweeper.rs
DELETE FROM idempotency_keys WHERE (account_id, route, key) IN ( SELECT account_id, route, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours' LIMIT $1);

-- core-api/src/holds/take.rs
SELECT kind = 'seated', capacity FROM sections WHERE event_id = $1 AND section = $2;

-- core-api/src/holds/take.rs
SELECT w.section, s.ordinal, c.kind FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS w (section, row_label, seat_label, position) LEFT JOIN sections c ON c.event_id = $1 AND c.section = w.section LEFT JOIN seats s ON s.event_id = $1 AND s.section = w.section AND s.row_label = w.row_label AND s.seat_label = w.seat_label ORDER BY w.position;

-- core-api/src/holds/take.rs
INSERT INTO holds (event_id, hold_id, jti, account_id, quantity, amount_minor, seats, expires_at) SELECT $1, $2, $3, $4, $5, $6, $7, max(held_until) FROM seats WHERE event_id = $1 AND hold_id = $2 HAVING count(*) = $5::integer RETURNING expires_at;

-- core-api/src/holds/take.rs
UPDATE holds SET state = 'expired' WHERE event_id = $1 AND hold_id IN ( SELECT hold_id FROM holds WHERE event_id = $1 AND hold_id = ANY ($2) AND state = 'active' AND expires_at < now() FOR UPDATE SKIP LOCKED);

-- core-api/src/holds/view.rs
SELECT h.seats, h.amount_minor, e.currency::text, h.expires_at, CASE WHEN h.state = 'active' AND h.expires_at < now() THEN 'expired' ELSE h.state END FROM holds h JOIN events e USING (event_id) WHERE h.event_id = $1 AND h.hold_id = $2 AND h.account_id = $3;

-- core-api/src/holds/view.rs
SELECT state, quantity, expires_at < now() FROM holds WHERE event_id = $1 AND hold_id = $2 AND account_id = $3 FOR UPDATE;

-- core-api/src/holds/view.rs
SELECT EXISTS (SELECT 1 FROM orders WHERE event_id = $1 AND hold_id = $2 AND status IN ('queued', 'awaiting_payment'));

-- core-api/src/holds/view.rs
UPDATE holds SET state = 'released' WHERE event_id = $1 AND hold_id = $2 AND state = 'active';

-- core-api/src/holds/view.rs
WITH ours AS MATERIALIZED ( SELECT section, ordinal FROM seats WHERE event_id = $1 AND hold_id = $2 AND state = 'held' ORDER BY section, ordinal FOR UPDATE) UPDATE seats s SET state = 'free', hold_id = NULL, held_until = NULL FROM ours WHERE s.event_id = $1 AND s.section = ours.section AND s.ordinal = ours.ordinal;

-- core-api/src/http/idempotency.rs
SELECT pg_advisory_xact_lock(hashtextextended($1, 0));

-- core-api/src/http/idempotency.rs
SELECT request_sha256, status, body FROM idempotency_keys WHERE account_id = $1 AND route = $2 AND key = $3;

-- core-api/src/http/idempotency.rs
INSERT INTO idempotency_keys (account_id, route, key, request_sha256, status, body) VALUES ($1, $2, $3, $4, $5, $6);

-- core-api/src/login/account.rs
SELECT a.account_id, a.email, a.name, a.roles FROM login_sessions s JOIN accounts a USING (account_id) WHERE s.token_sha256 = $1 AND s.expires_at > now();

-- core-api/src/login/attempt.rs
INSERT INTO login_attempts (state_sha256, provider, nonce, pkce_verifier, return_to, expires_at) VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6));

-- core-api/src/login/attempt.rs
DELETE FROM login_attempts WHERE state_sha256 = $1 RETURNING provider, nonce, pkce_verifier, return_to, expires_at > now();

-- core-api/src/login/flow.rs
INSERT INTO accounts (account_id, issuer, subject, email, name, roles) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT ON CONSTRAINT accounts_one_per_subject DO UPDATE SET email = excluded.email, name = excluded.name, roles = excluded.roles RETURNING account_id;

-- core-api/src/login/flow.rs
INSERT INTO login_sessions (token_sha256, account_id, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3));

-- core-api/src/login/flow.rs
DELETE FROM login_sessions WHERE token_sha256 = $1;

-- core-api/src/metrics.rs
SELECT 1;

-- core-api/src/orders/create.rs
SELECT state = 'active' AND expires_at > now() FROM holds WHERE event_id = $1 AND hold_id = $2 AND account_id = $3 FOR UPDATE;

-- core-api/src/orders/create.rs
SELECT order_id FROM orders WHERE event_id = $1 AND hold_id = $2;

-- core-api/src/orders/create.rs
INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider, amount_minor, currency, next_look_at) SELECT h.event_id, $3, h.hold_id, h.jti, h.account_id, $4, h.amount_minor, e.currency, now() + interval '5 seconds' FROM holds h JOIN events e USING (event_id) WHERE h.event_id = $1 AND h.hold_id = $2;

-- core-api/src/orders/create.rs
INSERT INTO payments (event_id, order_id, provider) VALUES ($1, $2, $3);

-- core-api/src/orders/refund.rs
SELECT status, refund_requested_at IS NOT NULL FROM orders WHERE event_id = $1 AND order_id = $2 FOR UPDATE;

-- core-api/src/orders/refund.rs
UPDATE orders SET refund_requested_at = now(), updated_at = now(), next_look_at = now() + interval '2 seconds' WHERE event_id = $1 AND order_id = $2 AND refund_requested_at IS NULL;

-- core-api/src/orders/refund.rs
INSERT INTO outbox (event_id, order_id) VALUES ($1, $2);

-- core-api/src/orders/view.rs
SELECT e.slug, o.status, o.hold_id, h.seats, o.amount_minor, o.currency, o.provider, p.state AS payment, p.redirect_url, o.failure FROM orders o JOIN holds h ON h.event_id = o.event_id AND h.hold_id = o.hold_id JOIN payments p ON p.event_id = o.event_id AND p.order_id = o.order_id JOIN events e ON e.event_id = o.event_id WHERE o.event_id = $1 AND o.order_id = $2 AND o.account_id = $3;

-- core-api/src/orders/view.rs
SELECT t.ticket_id, s.section, s.row_label, s.seat_label FROM tickets t JOIN seats s USING (event_id, section, ordinal) WHERE t.event_id = $1 AND t.order_id = $2 AND t.voided_at IS NULL ORDER BY t.section, t.ordinal;

-- core-api/src/purchase/lease.rs
SELECT pg_try_advisory_lock(hashtextextended($1, $2));

-- core-api/src/purchase/lease.rs
SELECT pg_advisory_unlock(hashtextextended($1, $2));

-- core-api/src/purchase/outbox.rs
INSERT INTO outbox (event_id, order_id) SELECT $1, $2 WHERE NOT EXISTS ( SELECT FROM outbox WHERE event_id = $1 AND order_id = $2 AND relayed_at IS NULL AND done_at IS NULL);

-- core-api/src/purchase/outbox.rs
UPDATE outbox SET done_at = now(), relayed_at = coalesce(relayed_at, now()) WHERE event_id = $1 AND outbox_id = $2 AND done_at IS NULL RETURNING extract(epoch FROM now() - created_at)::float8;

-- core-api/src/purchase/outbox.rs
WITH due AS ( SELECT event_id, order_id FROM orders WHERE next_look_at <= now() ORDER BY next_look_at LIMIT $1 FOR UPDATE SKIP LOCKED ), moved AS ( UPDATE orders o SET next_look_at = now() + interval '30 seconds' FROM due d WHERE o.event_id = d.event_id AND o.order_id = d.order_id RETURNING o.event_id, o.order_id ) INSERT INTO outbox (event_id, order_id) SELECT event_id, order_id FROM moved m WHERE NOT EXISTS ( SELECT FROM outbox x WHERE x.event_id = m.event_id AND x.order_id = m.order_id AND x.relayed_at IS NULL AND x.done_at IS NULL);

-- core-api/src/purchase/outbox.rs
SELECT done_at IS NOT NULL FROM outbox WHERE event_id = $1 AND outbox_id = $2;

-- core-api/src/purchase/outbox.rs
SELECT pg_try_advisory_xact_lock($1);

-- core-api/src/purchase/outbox.rs
SELECT x.event_id, x.outbox_id, x.order_id, o.provider FROM outbox x JOIN orders o USING (event_id, order_id) WHERE x.relayed_at IS NULL AND x.done_at IS NULL ORDER BY x.outbox_id LIMIT $1 FOR UPDATE OF x SKIP LOCKED;

-- core-api/src/purchase/outbox.rs
UPDATE outbox x SET relayed_at = now(), stream_id = r.stream_id FROM unnest($1::integer[], $2::bigint[], $3::text[]) AS r(event_id, outbox_id, stream_id) WHERE x.event_id = r.event_id AND x.outbox_id = r.outbox_id;

-- core-api/src/purchase/outbox.rs
SELECT event_id, outbox_id, stream_id FROM outbox WHERE done_at IS NULL AND relayed_at < now() - interval '10 seconds' ORDER BY relayed_at LIMIT $1;

-- core-api/src/purchase/outbox.rs
UPDATE outbox SET relayed_at = CASE WHEN $3 THEN now() END, stream_id = CASE WHEN $3 THEN stream_id END WHERE event_id = $1 AND outbox_id = $2 AND done_at IS NULL;

-- core-api/src/purchase/outbox.rs
SELECT event_id, count(*), extract(epoch FROM now() - min(created_at))::float8 FROM outbox WHERE done_at IS NULL GROUP BY event_id;

-- core-api/src/purchase/outbox.rs
DELETE FROM outbox WHERE (event_id, outbox_id) IN ( SELECT event_id, outbox_id FROM outbox WHERE done_at < now() - interval '1 day' LIMIT $1);

-- core-api/src/purchase/record.rs
SELECT status = $3 AND quarantined IS NULL FROM orders WHERE event_id = $1 AND order_id = $2 FOR UPDATE;

-- core-api/src/purchase/record.rs
UPDATE orders SET status = $4, failure = $5, looks = 0, updated_at = now() WHERE event_id = $1 AND order_id = $2 AND status = $3;

-- core-api/src/purchase/record.rs
UPDATE payments SET provider_ref = $3, redirect_url = $4, state = 'open', updated_at = now() WHERE event_id = $1 AND order_id = $2 AND state = 'not_started';

-- core-api/src/purchase/record.rs
UPDATE payments SET state = CASE WHEN captured_minor > 0 AND $3 NOT IN ('captured', 'refunded', 'mismatched') THEN state ELSE $3 END, captured_minor = GREATEST(captured_minor, $4), refunded_minor = GREATEST(refunded_minor, $5), detail = coalesce($6, detail), updated_at = now() WHERE event_id = $1 AND order_id = $2;

-- core-api/src/purchase/record.rs
INSERT INTO refunds (event_id, refund_id, order_id, amount_minor, reason, state, completed_at) VALUES ($1, $3, $2, $4, 'given back at the provider', 'completed', now()) ON CONFLICT (event_id, order_id) DO UPDATE SET state = 'completed', completed_at = coalesce(refunds.completed_at, now());

-- core-api/src/purchase/record.rs
UPDATE orders SET seats_gone_at = now(), updated_at = now() WHERE event_id = $1 AND order_id = $2 AND seats_gone_at IS NULL;

-- core-api/src/purchase/record.rs
INSERT INTO tickets (event_id, ticket_id, order_id, section, ordinal) SELECT s.event_id, i.id, s.order_id, s.section, s.ordinal FROM (SELECT *, row_number() OVER (ORDER BY section, ordinal) AS place FROM seats WHERE event_id = $1 AND hold_id = $2 AND order_id = $3 AND state = 'sold') s JOIN unnest($4::uuid[]) WITH ORDINALITY AS i(id, place) USING (place);

-- core-api/src/purchase/record.rs
UPDATE shopping_sessions SET ended_at = now(), end_reason = 'purchased' WHERE event_id = $1 AND jti = $2 AND ended_at IS NULL;

-- core-api/src/purchase/record.rs
UPDATE tickets SET voided_at = now() WHERE event_id = $1 AND order_id = $2 AND voided_at IS NULL;

-- core-api/src/purchase/record.rs
INSERT INTO refunds (event_id, refund_id, order_id, amount_minor, reason) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_id, order_id) DO NOTHING;

-- core-api/src/purchase/record.rs
SELECT refund_id, amount_minor, state = 'failed' FROM refunds WHERE event_id = $1 AND order_id = $2;

-- core-api/src/purchase/record.rs
UPDATE refunds SET state = 'failed' WHERE event_id = $1 AND refund_id = $2 AND state <> 'completed';

-- core-api/src/purchase/record.rs
UPDATE orders SET quarantined = coalesce(quarantined, $3), next_look_at = NULL, updated_at = now() WHERE event_id = $1 AND order_id = $2;

-- core-api/src/purchase/record.rs
UPDATE orders SET looks = looks + 1, next_look_at = LEAST( now() + make_interval(secs => (0.9 + 0.2 * random()) * GREATEST($3, LEAST($4, 2 * power(2, LEAST(looks, 4))))), CASE WHEN $5 > now() THEN $5 + interval '50 milliseconds' END) WHERE event_id = $1 AND order_id = $2;

-- core-api/src/purchase/record.rs
UPDATE orders SET next_look_at = NULL WHERE event_id = $1 AND order_id = $2 AND (refund_requested_at IS NOT NULL) = $3 AND next_look_at IS NOT NULL;

-- core-api/src/purchase/record.rs
UPDATE orders SET next_look_at = now() + interval '30 seconds' WHERE event_id = $1 AND order_id = $2;

-- core-api/src/purchase/relay.rs
UPDATE outbox SET relayed_at = NULL, stream_id = NULL WHERE done_at IS NULL AND stream_id IS NOT NULL;

-- core-api/src/purchase/webhook.rs
INSERT INTO webhook_events (provider, provider_event_id, kind, provider_ref, order_id, body) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (provider, provider_event_id) DO NOTHING;

-- core-api/src/purchase/webhook.rs
SELECT order_id FROM orders WHERE event_id = $1 AND order_id = $2 AND provider = $3;

-- core-api/src/purchase/webhook.rs
SELECT order_id FROM payments WHERE provider = $1 AND provider_ref = $2;

-- core-api/src/rooms/store.rs
INSERT INTO rooms (event_id, config, version) VALUES ($1, $2, 1);

-- core-api/src/rooms/store.rs
SELECT config, pushed_version >= version FROM rooms WHERE event_id = $1;

-- core-api/src/rooms/store.rs
SELECT config, version FROM rooms WHERE event_id = $1 FOR UPDATE;

-- core-api/src/rooms/store.rs
UPDATE rooms SET config = $2, version = $3 WHERE event_id = $1;

-- core-api/src/rooms/store.rs
UPDATE rooms SET pushed_version = greatest(pushed_version, $2) WHERE event_id = $1;

-- core-api/src/rooms/store.rs
UPDATE rooms SET version = $2, config = jsonb_set(config, '{version}', to_jsonb($2::bigint)) WHERE event_id = $1 AND version < $2;

-- core-api/src/rooms/tasks.rs
SELECT event_id FROM rooms WHERE pushed_version < version ORDER BY event_id LIMIT $1;

-- core-api/src/rooms/tasks.rs
SELECT s.event_id, e.slug, array_agg(s.jti) FROM (SELECT event_id, jti FROM shopping_sessions WHERE ended_at IS NOT NULL AND departure_acknowledged_at IS NULL ORDER BY event_id, ended_at LIMIT $1) s JOIN events e USING (event_id) GROUP BY s.event_id, e.slug;

-- core-api/src/rooms/tasks.rs
UPDATE shopping_sessions SET departure_acknowledged_at = now() WHERE event_id = $1 AND jti = ANY ($2) AND departure_acknowledged_at IS NULL;

-- core-api/src/rooms/tasks.rs
SELECT event_id, sold_out FROM ( SELECT r.event_id, (r.config ->> 'sold_out')::boolean AS was, EXISTS (SELECT 1 FROM sections c WHERE c.event_id = r.event_id) AND NOT EXISTS (SELECT 1 FROM seats s WHERE s.event_id = r.event_id AND s.state <> 'sold') AS sold_out FROM rooms r JOIN events e USING (event_id) WHERE e.starts_at > now() - interval '1 day') stock WHERE was <> sold_out;

-- core-api/src/tickets/ticket.rs
SELECT e.slug, e.title, e.venue, e.starts_at, t.section, s.row_label, s.seat_label, t.order_id, t.issued_at, t.voided_at IS NULL AS valid FROM tickets t JOIN orders o USING (event_id, order_id) JOIN seats s USING (event_id, section, ordinal) JOIN events e USING (event_id) WHERE t.event_id = $1 AND t.ticket_id = $2 AND o.account_id = $3;
