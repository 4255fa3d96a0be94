-- A small sale in which everything happened once: bought (a1), a hold under way (a2), paid too
-- late and refunded (a3), an order still being paid (a4).
INSERT INTO accounts (account_id, issuer, subject, email)
SELECT ('@' || 'a' || n)::uuid, 'dev', 'fan ' || n, 'fan ' || n
FROM generate_series(1, 5) n;
INSERT INTO events (slug, title, venue, starts_at, currency, max_seats_per_buyer, hold_seconds)
VALUES ('show', 'Show', 'Hall', now() + interval '1 day', 'BRL', 4, 300);
INSERT INTO rooms (event_id, config)
VALUES (1, '{"method": "fifo", "max_active": 4, "rate_per_minute": 60}');
INSERT INTO sections VALUES (1, 'A', 'seated', 4, 5000, 0), (1, 'P', 'general', 6, 3000, 1);
INSERT INTO seats (event_id, section, ordinal, row_label, seat_label, price_minor)
SELECT 1, 'A', n, '1', (n + 1)::text, 5000 FROM generate_series(0, 3) n;
INSERT INTO seats (event_id, section, ordinal, price_minor)
SELECT 1, 'P', n, 3000 FROM generate_series(0, 5) n;

INSERT INTO shopping_sessions
    (event_id, jti, account_id, visitor, epoch, number, lane, admitted_at, opened_at, expires_at)
SELECT 1, ('@' || 'b' || n)::uuid, ('@' || 'a' || n)::uuid, ('@' || 'c' || n)::uuid, 1, n,
    'standard', date_trunc('second', now()) - interval '1 hour' + n * interval '4 s',
    date_trunc('second', now()) - interval '1 hour' + n * interval '4 s' + interval '1 s',
    now() + interval '1 hour'
FROM generate_series(1, 4) n;
UPDATE shopping_sessions SET ended_at = now() - interval '5 min', end_reason = 'purchased'
WHERE number = 1;

INSERT INTO holds
    (event_id, hold_id, jti, account_id, state, quantity, amount_minor, seats, created_at, expires_at)
VALUES
    (1, '@d1', '@b1', '@a1', 'sold', 2, 10000,
        '[{"section": "A", "row": "1", "seat": "1", "ordinal": 0, "price_minor": 5000},
          {"section": "A", "row": "1", "seat": "2", "ordinal": 1, "price_minor": 5000}]',
        now() - interval '50 min', now() - interval '45 min'),
    (1, '@d2', '@b2', '@a2', 'active', 1, 3000,
        '[{"section": "P", "row": null, "seat": null, "ordinal": 0, "price_minor": 3000}]',
        now() - interval '1 min', now() + interval '4 min'),
    (1, '@d3', '@b3', '@a3', 'expired', 1, 5000,
        '[{"section": "A", "row": "1", "seat": "3", "ordinal": 2, "price_minor": 5000}]',
        now() - interval '40 min', now() - interval '35 min'),
    (1, '@d4', '@b4', '@a4', 'active', 1, 5000,
        '[{"section": "A", "row": "1", "seat": "3", "ordinal": 2, "price_minor": 5000}]',
        now() - interval '1 min', now() + interval '4 min');
INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider, status, amount_minor,
    currency, created_at)
VALUES
    (1, '@e1', '@d1', '@b1', '@a1', 'card', 'paid', 10000, 'BRL', now() - interval '49 min'),
    (1, '@e3', '@d3', '@b3', '@a3', 'paypal', 'expired', 5000, 'BRL', now() - interval '39 min'),
    (1, '@e4', '@d4', '@b4', '@a4', 'card', 'awaiting_payment', 5000, 'BRL', now());
INSERT INTO payments
    (event_id, order_id, provider, provider_ref, state, captured_minor, refunded_minor)
VALUES
    (1, '@e1', 'card', 'cs_1', 'captured', 10000, 0),
    (1, '@e3', 'paypal', 'PP3', 'refunded', 5000, 5000),
    (1, '@e4', 'card', 'cs_4', 'open', 0, 0);
INSERT INTO refunds (event_id, refund_id, order_id, amount_minor, reason, state, completed_at)
VALUES (1, '@f3', '@e3', 5000, 'too late', 'completed', now());
UPDATE seats SET state = 'sold', hold_id = '@d1', order_id = '@e1'
WHERE section = 'A' AND ordinal < 2;
UPDATE seats SET state = 'held', hold_id = '@d2', held_until = now() + interval '4 min'
WHERE section = 'P' AND ordinal = 0;
UPDATE seats SET state = 'held', hold_id = '@d4', held_until = now() + interval '4 min'
WHERE section = 'A' AND ordinal = 2;
INSERT INTO tickets (event_id, ticket_id, order_id, section, ordinal)
VALUES (1, '@91', '@e1', 'A', 0), (1, '@92', '@e1', 'A', 1);
INSERT INTO ledger (event_id, order_id, kind, total_minor, amount_minor, debit, credit, provider, currency)
VALUES
    (1, '@e1', 'captured', 10000, 10000, 'provider', 'owed', 'card', 'BRL'),
    (1, '@e1', 'issued', 10000, 10000, 'owed', 'sales', 'card', 'BRL'),
    (1, '@e3', 'captured', 5000, 5000, 'provider', 'owed', 'paypal', 'BRL'),
    (1, '@e3', 'refunded', 5000, 5000, 'owed', 'provider', 'paypal', 'BRL');
