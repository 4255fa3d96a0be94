-- What a buyer is shown and sent: the code to pay by, and mail. Only additions: the program of V1
-- runs on this.

-- What the shop shows to pay by, where the provider gives it: {kind: 'qr_code', data, expires_at}.
ALTER TABLE payments ADD COLUMN display jsonb;

-- Mail to be sent, written in the transaction that gives the reason for it. One row for each reason,
-- so that each is told once; the worker sends, and tries again until it can.
CREATE TABLE mails (
    event_id    integer NOT NULL,
    order_id    uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('tickets', 'refund')),
    -- The order for its tickets, the refund for a refund.
    about       uuid NOT NULL,
    recipient   text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- Not before then is it tried (again); null once sent or given up. While somebody is at it,
    -- when somebody else may.
    next_try_at timestamptz DEFAULT now(),
    tries       integer NOT NULL DEFAULT 0,
    sent_at     timestamptz,
    -- Why nobody will try again.
    given_up    text,
    PRIMARY KEY (event_id, order_id, kind, about),
    FOREIGN KEY (event_id, order_id) REFERENCES orders,
    CONSTRAINT mails_end CHECK (
        (next_try_at IS NULL) = (sent_at IS NOT NULL OR given_up IS NOT NULL))
);
CREATE INDEX mails_to_send ON mails (next_try_at) WHERE next_try_at IS NOT NULL;
