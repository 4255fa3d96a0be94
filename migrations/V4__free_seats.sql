-- Holding a place rewrote an entry in each of five indexes. Now it is four, and three without numbers.

-- Nothing but free seats, so that the end of a sale finds them as quickly as its beginning.
CREATE INDEX seats_free ON seats (event_id, section, ordinal) WHERE state = 'free';

-- The primary key has the same columns, and serves whoever still asks for what is not sold.
DROP INDEX seats_for_sale;

-- The same rule as before, without entries for places that have no label to repeat.
CREATE UNIQUE INDEX seats_labelled_once ON seats (event_id, section, row_label, seat_label)
    WHERE row_label IS NOT NULL OR seat_label IS NOT NULL;
ALTER TABLE seats DROP CONSTRAINT seats_label_once;

-- An order, its sale and its settling rewrite these rows: room for the new version on the same page.
ALTER TABLE holds SET (fillfactor = 80);
ALTER TABLE orders SET (fillfactor = 80);
ALTER TABLE shopping_sessions SET (fillfactor = 80);
