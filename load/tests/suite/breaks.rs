//! Each invariant, broken in the clean sale in every way that the auditor should notice.

/// What breaks, how, and a part of what the auditor says. Constraints that forbid it go first.
pub(crate) const BREAKS: &[(u64, &str, &str)] = &[
    (
        1,
        "DELETE FROM seats WHERE section = 'P' AND ordinal = 5",
        "show/P: capacity 6",
    ),
    (
        1,
        "UPDATE sections SET capacity = 7 WHERE section = 'P'",
        "show/P: capacity 7",
    ),
    (
        1,
        "ALTER TABLE seats DROP CONSTRAINT seats_state_agrees;
         UPDATE seats SET state = 'lost' WHERE section = 'P' AND ordinal = 5",
        "is lost",
    ),
    (
        1,
        "ALTER TABLE seats DROP CONSTRAINT seats_state_agrees;
         UPDATE seats SET order_id = '@e1' WHERE section = 'P' AND ordinal = 5",
        "is free with",
    ),
    (
        2,
        "INSERT INTO holds SELECT event_id, '@d9', '@b1', '@a1', state, quantity, amount_minor,
         seats, created_at, expires_at FROM holds WHERE hold_id = '@d2'",
        "seat P/0 is in 2 holds",
    ),
    (
        2,
        "UPDATE seats SET state = 'free', hold_id = NULL, held_until = NULL
         WHERE hold_id = '@d2'",
        "live hold @d2 was granted P/0, which is free",
    ),
    (
        2,
        "UPDATE holds SET state = 'released' WHERE hold_id = '@d2'",
        "which is released",
    ),
    (
        2,
        "DROP INDEX tickets_one_live_per_seat; INSERT INTO tickets
         VALUES (1, '@99', '@e1', 'A', 0)",
        "seat A/0 has 2 live tickets",
    ),
    (
        2,
        "UPDATE seats SET order_id = '@e4' WHERE section = 'A' AND ordinal = 0",
        "which is sold by order @e4",
    ),
    (
        2,
        "UPDATE tickets SET voided_at = now() WHERE ticket_id = '@92'",
        "but has no ticket",
    ),
    (
        2,
        "UPDATE holds SET quantity = 3 WHERE hold_id = '@d1'",
        "of 3 seats lists 2",
    ),
    (
        3,
        "DELETE FROM refunds",
        "5000 captured, 5000 refunded, in 0 completed refunds",
    ),
    (
        3,
        "DELETE FROM refunds; UPDATE payments SET refunded_minor = 0",
        "5000 captured, 0 refunded",
    ),
    (
        3,
        "UPDATE refunds SET amount_minor = 4000",
        "in 1 completed refunds of 4000",
    ),
    (
        3,
        "UPDATE refunds SET state = 'failed', completed_at = NULL",
        "is still failed",
    ),
    (
        3,
        "UPDATE payments SET captured_minor = 9999 WHERE order_id = '@e1'",
        "9999 captured",
    ),
    (
        3,
        "UPDATE payments SET captured_minor = 0, state = 'open' WHERE order_id = '@e1'",
        "order @e1 is paid, but 0 of 10000",
    ),
    (
        3,
        "INSERT INTO refunds VALUES (1, '@f1', '@e1', 10000, 'x', 'completed')",
        "order @e1 is paid with 2 of 2",
    ),
    (
        3,
        "DELETE FROM tickets WHERE ticket_id = '@92'",
        "order @e1 is paid with 1 of 2",
    ),
    (
        3,
        "UPDATE orders SET status = 'failed' WHERE order_id = '@e1'",
        "2 live tickets, but is failed",
    ),
    (
        3,
        "ALTER TABLE orders DROP CONSTRAINT orders_one_per_hold; INSERT INTO orders
         (event_id, order_id, hold_id, jti, account_id, provider, amount_minor, currency, status)
         VALUES (1, '@e9', '@d2', '@b2', '@a2', 'card', 1, 'BRL', 'failed'),
                (1, '@ea', '@d2', '@b2', '@a2', 'card', 1, 'BRL', 'failed')",
        "hold @d2 has 2",
    ),
    (
        3,
        "UPDATE holds SET expires_at = now() - interval '1 s' WHERE hold_id = '@d4'",
        "unsettled: order @e4 (awaiting_payment)",
    ),
    (
        3,
        "ALTER TABLE ledger DISABLE TRIGGER USER; DELETE FROM ledger WHERE kind = 'issued'",
        "order @e1 (paid) has 10000 at the provider, -10000 owed, 0 sold",
    ),
    (
        3,
        "ALTER TABLE ledger DISABLE TRIGGER USER; DELETE FROM ledger WHERE kind = 'refunded'",
        "order @e3 (expired) has 5000 at the provider, -5000 owed",
    ),
    (
        3,
        "INSERT INTO ledger (event_id, order_id, kind, total_minor, amount_minor, debit, credit,
         provider, currency) VALUES (1, '@e1', 'issued', 20000, 9000, 'owed', 'sales', 'card', 'BRL')",
        "issued of order @e1 goes from 10000 by 9000 to 20000",
    ),
    (
        3,
        "ALTER TABLE ledger DISABLE TRIGGER USER; UPDATE ledger SET provider = 'pix'
         WHERE order_id = '@e1'",
        "is entered with pix",
    ),
    (
        3,
        "ALTER TABLE ledger DISABLE TRIGGER USER; ALTER TABLE ledger DROP CONSTRAINT ledger_accounts;
         UPDATE ledger SET credit = 'pocket' WHERE kind = 'captured' AND order_id = '@e1'",
        "order @e1 (paid) has 10000 at the provider, 10000 owed",
    ),
    (
        3,
        "INSERT INTO partial_refunds (event_id, refund_id, order_id, amount_minor, reason)
         VALUES (1, '@f1', '@e1', 700, 'x')",
        "part @f1 of order @e1, 700, is still requested",
    ),
    (
        3,
        "INSERT INTO partial_refunds (event_id, refund_id, order_id, amount_minor, reason, state)
         VALUES (1, '@f1', '@e1', 700, 'x', 'completed')",
        "10000 captured, 0 refunded, in 0 completed refunds of 0 and parts of 700",
    ),
    (
        4,
        "UPDATE rooms SET config = config || '{\"max_active\": 3}'",
        "4 live admissions",
    ),
    (
        4,
        "UPDATE rooms SET config = config || '{\"rate_per_minute\": 6}'",
        "3 claims in the 10 s",
    ),
    (
        5,
        "ALTER TABLE shopping_sessions DROP CONSTRAINT shopping_sessions_number_once;
         UPDATE shopping_sessions SET number = 1 WHERE number = 2",
        "number 1 has 2 sessions",
    ),
    (
        7,
        "UPDATE holds SET account_id = '@a5' WHERE hold_id = '@d2'",
        "holds @d2 of account @a5",
    ),
    (
        7,
        "UPDATE orders SET account_id = '@a5' WHERE order_id = '@e4'",
        "orders @e4 of account @a5",
    ),
    (
        7,
        "ALTER TABLE holds DROP CONSTRAINT holds_event_id_jti_fkey;
         UPDATE holds SET jti = '@bf' WHERE hold_id = '@d2'",
        "session missing",
    ),
    (
        7,
        "UPDATE holds SET created_at = now() - interval '2 h' WHERE hold_id = '@d2'",
        "holds @d2",
    ),
    (
        7,
        "UPDATE shopping_sessions SET end_reason = 'left', ended_at = now() - interval '2 min'
         WHERE number = 2",
        "holds @d2",
    ),
    (
        7,
        "UPDATE orders SET created_at = now() WHERE order_id = '@e1'",
        "orders @e1",
    ),
];
