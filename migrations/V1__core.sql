-- The core's schema. What must never happen can't be stored:
-- every seat is one row whose state, hold and order agree by constraint.
-- Tables that grow carry event_id first in their key, so that they can be distributed by event.

CREATE TABLE accounts (
    account_id uuid PRIMARY KEY,
    issuer     text NOT NULL,
    subject    text NOT NULL,
    email      text NOT NULL,
    name       text,
    roles      text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT accounts_one_per_subject UNIQUE (issuer, subject)
);

-- The cookie's value is never stored, only its SHA-256.
CREATE TABLE login_sessions (
    token_sha256 bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    account_id   uuid NOT NULL REFERENCES accounts,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX login_sessions_expiry ON login_sessions (expires_at);

-- A login on its way to the provider and back: state, nonce and PKCE verifier.
CREATE TABLE login_attempts (
    state_sha256  bytea PRIMARY KEY CHECK (length(state_sha256) = 32),
    provider      text NOT NULL,
    nonce         text NOT NULL,
    pkce_verifier text NOT NULL,
    return_to     text NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX login_attempts_expiry ON login_attempts (expires_at);

CREATE TABLE events (
    event_id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug                text NOT NULL,
    title               text NOT NULL,
    venue               text NOT NULL,
    starts_at           timestamptz NOT NULL,
    currency            char(3) NOT NULL,
    max_seats_per_buyer integer NOT NULL CHECK (max_seats_per_buyer > 0),
    hold_seconds        integer NOT NULL CHECK (hold_seconds > 0),
    version             bigint NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT events_slug_taken UNIQUE (slug)
);

-- The room's settings as the edge should have them. pushed_version trails version until the
-- edge has acknowledged; the worker pushes until they are equal.
CREATE TABLE rooms (
    event_id       integer PRIMARY KEY REFERENCES events,
    config         jsonb NOT NULL,
    version        bigint NOT NULL DEFAULT 1,
    pushed_version bigint NOT NULL DEFAULT 0
);
CREATE INDEX rooms_to_push ON rooms (event_id) WHERE pushed_version < version;

CREATE TABLE sections (
    event_id    integer NOT NULL REFERENCES events,
    section     text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('seated', 'general')),
    capacity    integer NOT NULL CHECK (capacity > 0),
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    position    integer NOT NULL,
    PRIMARY KEY (event_id, section)
);

-- One row a place, numbered and general admission alike. ordinal counts from 0 in import order.
-- For sale is: state = 'free', or state = 'held' with held_until in the past, by now() here.
CREATE TABLE seats (
    event_id   integer NOT NULL,
    section    text NOT NULL,
    ordinal    integer NOT NULL CHECK (ordinal >= 0),
    row_label  text,
    seat_label text,
    x          double precision,
    y          double precision,
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    state      text NOT NULL DEFAULT 'free',
    hold_id    uuid,
    held_until timestamptz,
    order_id   uuid,
    PRIMARY KEY (event_id, section, ordinal),
    FOREIGN KEY (event_id, section) REFERENCES sections,
    CONSTRAINT seats_label_once UNIQUE (event_id, section, row_label, seat_label),
    CONSTRAINT seats_state_agrees CHECK (
        (state = 'free' AND hold_id IS NULL AND held_until IS NULL AND order_id IS NULL)
        OR (state = 'held' AND hold_id IS NOT NULL AND held_until IS NOT NULL AND order_id IS NULL)
        OR (state = 'sold' AND hold_id IS NOT NULL AND held_until IS NULL AND order_id IS NOT NULL)
    )
) WITH (fillfactor = 70);
CREATE INDEX seats_for_sale ON seats (event_id, section, ordinal) WHERE state <> 'sold';
CREATE INDEX seats_of_hold ON seats (event_id, hold_id) WHERE hold_id IS NOT NULL;
CREATE INDEX seats_to_sweep ON seats (held_until) WHERE state = 'held';

-- What an admission opened. One row a jti: the same admission can't open a second session.
CREATE TABLE shopping_sessions (
    event_id    integer NOT NULL REFERENCES events,
    jti         uuid NOT NULL,
    account_id  uuid NOT NULL REFERENCES accounts,
    visitor     uuid NOT NULL,
    epoch       integer NOT NULL,
    number      bigint NOT NULL,
    lane        text NOT NULL,
    admitted_at timestamptz NOT NULL,
    opened_at   timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    end_reason  text CHECK (end_reason IN ('left', 'purchased', 'expired')),
    -- When the edge acknowledged that the slot is free again.
    departure_acknowledged_at timestamptz,
    PRIMARY KEY (event_id, jti),
    CONSTRAINT shopping_sessions_number_once UNIQUE (event_id, epoch, number),
    CONSTRAINT shopping_sessions_end CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX shopping_sessions_open ON shopping_sessions (expires_at) WHERE ended_at IS NULL;
CREATE INDEX shopping_sessions_to_report ON shopping_sessions (event_id, ended_at)
    WHERE ended_at IS NOT NULL AND departure_acknowledged_at IS NULL;

-- One row a buyer and event: locked while the per-buyer limit is counted.
CREATE TABLE buyers (
    event_id   integer NOT NULL REFERENCES events,
    account_id uuid NOT NULL REFERENCES accounts,
    PRIMARY KEY (event_id, account_id)
);

CREATE TABLE holds (
    event_id     integer NOT NULL REFERENCES events,
    hold_id      uuid NOT NULL,
    jti          uuid NOT NULL,
    account_id   uuid NOT NULL REFERENCES accounts,
    state        text NOT NULL DEFAULT 'active'
        CHECK (state IN ('active', 'sold', 'released', 'expired')),
    quantity     integer NOT NULL CHECK (quantity > 0),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    -- The seats as they were granted: [{section, row, seat, ordinal, price_minor}].
    seats        jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (event_id, hold_id),
    FOREIGN KEY (event_id, jti) REFERENCES shopping_sessions
);
CREATE INDEX holds_of_buyer ON holds (event_id, account_id);
CREATE INDEX holds_to_sweep ON holds (expires_at) WHERE state = 'active';

CREATE TABLE orders (
    event_id     integer NOT NULL,
    order_id     uuid NOT NULL,
    hold_id      uuid NOT NULL,
    jti          uuid NOT NULL,
    account_id   uuid NOT NULL REFERENCES accounts,
    provider     text NOT NULL,
    status       text NOT NULL DEFAULT 'queued' CHECK (status IN
        ('queued', 'awaiting_payment', 'paid', 'failed', 'expired', 'refunded')),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency     char(3) NOT NULL,
    failure      text,
    -- Set when a person has to look: wrong amount, currency or order.
    quarantined  text,
    refund_requested_at timestamptz,
    -- Set once when the hold was over and a seat of it was found to be somebody else's.
    seats_gone_at timestamptz,
    -- When the worker looks at it again unasked; null once nothing can change any more.
    next_look_at timestamptz,
    -- Looks in a row that found nothing to do: how far the worker has backed off.
    looks        integer NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, order_id),
    FOREIGN KEY (event_id, hold_id) REFERENCES holds,
    CONSTRAINT orders_one_per_hold UNIQUE (event_id, hold_id)
);
CREATE INDEX orders_of_account ON orders (event_id, account_id);
CREATE INDEX orders_to_look_at ON orders (next_look_at) WHERE next_look_at IS NOT NULL;

-- The payment of an order, as far as we know it.
CREATE TABLE payments (
    event_id       integer NOT NULL,
    order_id       uuid NOT NULL,
    provider       text NOT NULL,
    provider_ref   text,
    redirect_url   text,
    state          text NOT NULL DEFAULT 'not_started' CHECK (state IN
        ('not_started', 'open', 'pending', 'approved', 'authorised', 'captured', 'refunded',
         'dead', 'mismatched')),
    captured_minor bigint NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
    refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    detail         text,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, order_id),
    FOREIGN KEY (event_id, order_id) REFERENCES orders,
    CONSTRAINT payments_provider_ref_once UNIQUE (provider, provider_ref),
    CONSTRAINT payments_refund_within_capture CHECK (refunded_minor <= captured_minor)
);

CREATE TABLE refunds (
    event_id     integer NOT NULL,
    refund_id    uuid NOT NULL,
    order_id     uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    reason       text NOT NULL,
    state        text NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'completed', 'failed')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    PRIMARY KEY (event_id, refund_id),
    FOREIGN KEY (event_id, order_id) REFERENCES orders,
    CONSTRAINT refunds_one_full_per_order UNIQUE (event_id, order_id)
);

CREATE TABLE tickets (
    event_id  integer NOT NULL,
    ticket_id uuid NOT NULL,
    order_id  uuid NOT NULL,
    section   text NOT NULL,
    ordinal   integer NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    voided_at timestamptz,
    PRIMARY KEY (event_id, ticket_id),
    FOREIGN KEY (event_id, order_id) REFERENCES orders,
    FOREIGN KEY (event_id, section, ordinal) REFERENCES seats
);
CREATE UNIQUE INDEX tickets_one_live_per_seat ON tickets (event_id, section, ordinal)
    WHERE voided_at IS NULL;
CREATE INDEX tickets_of_order ON tickets (event_id, order_id);

-- What the purchase stream has to carry. Written with the order, relayed to Redis afterwards.
CREATE TABLE outbox (
    event_id   integer NOT NULL,
    outbox_id  bigint GENERATED ALWAYS AS IDENTITY,
    order_id   uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    relayed_at timestamptz,
    -- Its entry in the stream; null when a worker took it without Redis.
    stream_id  text,
    done_at    timestamptz,
    PRIMARY KEY (event_id, outbox_id)
);
CREATE INDEX outbox_of_order ON outbox (event_id, order_id) WHERE done_at IS NULL;
CREATE INDEX outbox_to_relay ON outbox (outbox_id) WHERE relayed_at IS NULL;
CREATE INDEX outbox_undone ON outbox (relayed_at) WHERE done_at IS NULL;

-- Every webhook, recorded before it is answered.
CREATE TABLE webhook_events (
    provider          text NOT NULL,
    provider_event_id text NOT NULL,
    kind              text NOT NULL,
    provider_ref      text,
    order_id          uuid,
    body              jsonb NOT NULL,
    received_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, provider_event_id)
);

-- Key and reply commit with the change itself, so a repeated POST repeats only the reply.
CREATE TABLE idempotency_keys (
    account_id     uuid NOT NULL REFERENCES accounts,
    route          text NOT NULL,
    key            text NOT NULL,
    request_sha256 bytea NOT NULL CHECK (length(request_sha256) = 32),
    status         smallint NOT NULL,
    body           jsonb NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, route, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
