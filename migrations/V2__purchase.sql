-- Double entry, refunds in part, retries and dead letters, what operators did. Only additions: the
-- program of V1 runs on this.

-- The ledger. A row is a whole entry: it takes an amount from one account and gives it to another,
-- so that what does not balance can't be written down at all, by any program and without a trigger
-- that could be off. (Every change of money here has two sides; one of several is several rows.)
--
--   provider   what the provider holds for us
--   owed       what we owe the buyer: seats or money. Zero once the order has come to rest
--   sales      what was sold
--
-- kind and total_minor are the cause: the running total of that kind after this entry. So nothing
-- is entered twice, and an order's entries add up to what its payment says.
CREATE TABLE ledger (
    event_id     integer NOT NULL,
    order_id     uuid NOT NULL,
    kind         text NOT NULL,
    total_minor  bigint NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    debit        text NOT NULL,
    credit       text NOT NULL,
    provider     text NOT NULL,
    currency     char(3) NOT NULL,
    entry        bigint GENERATED ALWAYS AS IDENTITY,
    posted_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, order_id, kind, total_minor),
    FOREIGN KEY (event_id, order_id) REFERENCES orders,
    CONSTRAINT ledger_total CHECK (total_minor >= amount_minor),
    CONSTRAINT ledger_accounts CHECK ((kind, debit, credit) IN (
        ('captured', 'provider', 'owed'),
        ('issued', 'owed', 'sales'),
        ('revoked', 'sales', 'owed'),
        ('refunded', 'owed', 'provider')))
);
CREATE INDEX ledger_in_order ON ledger (event_id, entry);
CREATE INDEX ledger_recent ON ledger (posted_at);

CREATE FUNCTION ledger_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is only added to' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();

-- Its two legs, for whoever wants to add up an account.
CREATE VIEW ledger_legs AS
    SELECT event_id, order_id, entry, kind, provider, currency, posted_at, debit AS account,
           amount_minor FROM ledger
    UNION ALL
    SELECT event_id, order_id, entry, kind, provider, currency, posted_at, credit, -amount_minor
    FROM ledger;

-- What happened before there was a ledger.
INSERT INTO ledger (event_id, order_id, kind, total_minor, amount_minor, debit, credit, provider, currency)
SELECT event_id, order_id, kind, minor, minor, debit, credit, p.provider, o.currency
FROM payments p JOIN orders o USING (event_id, order_id)
CROSS JOIN LATERAL (VALUES
    (1, 'captured', 'provider', 'owed', p.captured_minor),
    (2, 'issued', 'owed', 'sales',
        CASE WHEN o.status IN ('paid', 'refunded') THEN p.captured_minor ELSE 0 END),
    (3, 'revoked', 'sales', 'owed', CASE WHEN o.status = 'refunded' THEN p.captured_minor ELSE 0 END),
    (4, 'refunded', 'owed', 'provider', p.refunded_minor)
) AS e (place, kind, debit, credit, minor)
WHERE e.minor > 0
ORDER BY o.created_at, o.order_id, e.place;

-- Given back while the order stays paid. The one refund that ends an order stays in refunds.
CREATE TABLE partial_refunds (
    event_id     integer NOT NULL,
    refund_id    uuid NOT NULL,
    order_id     uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    -- The seats that went back on sale with it: as in holds.seats. Those are taken out there.
    seats        jsonb NOT NULL DEFAULT '[]',
    reason       text NOT NULL,
    requested_by uuid REFERENCES accounts,
    state        text NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'completed', 'failed')),
    failure      text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    PRIMARY KEY (event_id, refund_id),
    FOREIGN KEY (event_id, order_id) REFERENCES orders
);
CREATE INDEX partial_refunds_of_order ON partial_refunds (event_id, order_id);

-- What of the payment is promised to partial refunds, carried out or not: however many are asked
-- for at once, they never add up to more than was captured.
ALTER TABLE payments
    ADD COLUMN promised_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT payments_promised_within_capture
        CHECK (promised_minor >= 0 AND promised_minor <= captured_minor);

ALTER TABLE tickets ADD COLUMN refund_id uuid;

-- begun_at: when a worker first took it up, in the lane's order. starts counts how often one did,
-- failures how often it could not be worked off; not before not_before is it tried again.
ALTER TABLE outbox
    ADD COLUMN begun_at   timestamptz,
    ADD COLUMN begun      bigint,
    ADD COLUMN starts     integer NOT NULL DEFAULT 0,
    ADD COLUMN failures   integer NOT NULL DEFAULT 0,
    ADD COLUMN not_before timestamptz;
CREATE SEQUENCE outbox_begun;

-- What could not be worked off in bounded tries. The stream of dead letters in Redis shows these.
CREATE TABLE dead_letters (
    event_id    integer NOT NULL,
    outbox_id   bigint NOT NULL,
    order_id    uuid NOT NULL,
    provider    text NOT NULL,
    starts      integer NOT NULL,
    failures    integer NOT NULL,
    error       text NOT NULL,
    stream_id   text,
    died_at     timestamptz NOT NULL DEFAULT now(),
    resolution  text CHECK (resolution IN ('retried', 'dropped')),
    resolved_at timestamptz,
    resolved_by uuid REFERENCES accounts,
    reason      text,
    PRIMARY KEY (event_id, outbox_id),
    FOREIGN KEY (event_id, order_id) REFERENCES orders,
    CONSTRAINT dead_letters_resolved CHECK (
        (resolution IS NULL) = (resolved_at IS NULL)
        AND (resolution IS NULL) = (reason IS NULL))
);
CREATE INDEX dead_letters_open ON dead_letters (event_id, died_at) WHERE resolution IS NULL;

-- accepted_minor: what an operator takes as the price instead. giving_back: an operator has
-- decided that the order ends and whatever was taken goes back.
ALTER TABLE orders
    ADD COLUMN quarantined_at    timestamptz,
    ADD COLUMN accepted_minor    bigint CHECK (accepted_minor >= 0),
    ADD COLUMN giving_back       boolean NOT NULL DEFAULT false;
CREATE INDEX orders_quarantined ON orders (event_id, quarantined_at) WHERE quarantined IS NOT NULL;

-- Who decided what about somebody's money, and why.
CREATE TABLE operator_actions (
    action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    operator  uuid NOT NULL REFERENCES accounts,
    action    text NOT NULL,
    event_id  integer NOT NULL,
    order_id  uuid NOT NULL,
    subject   text,
    reason    text NOT NULL
);
CREATE INDEX operator_actions_of_order ON operator_actions (event_id, order_id);
