-- A sale begins with no rows of its event, and PostgreSQL counts rows a minute later at best. As
-- long as an event is not among the values that it has counted, it takes the event to have no rows,
-- and then any index that begins with event_id looks as good as the right one: a lookup by key
-- walked everything the event had sold. Not counted, an event has a two-hundredth of the table, and
-- only the index with the whole key is cheap.
ALTER TABLE seats             ALTER COLUMN event_id SET STATISTICS 0;
ALTER TABLE shopping_sessions ALTER COLUMN event_id SET STATISTICS 0;
ALTER TABLE buyers            ALTER COLUMN event_id SET STATISTICS 0;
ALTER TABLE holds             ALTER COLUMN event_id SET STATISTICS 0;
ALTER TABLE orders            ALTER COLUMN event_id SET STATISTICS 0;
ALTER TABLE payments          ALTER COLUMN event_id SET STATISTICS 0;
ALTER TABLE tickets           ALTER COLUMN event_id SET STATISTICS 0;

-- A partial index is walked for its predicate alone if that looks cheap, and at the last count few
-- seats may have been held. These are only of use to whoever asks for a deadline.
CREATE INDEX seats_overdue ON seats (held_until) WHERE held_until IS NOT NULL;
DROP INDEX seats_to_sweep;
CREATE INDEX holds_overdue ON holds (expires_at) WHERE state = 'active' AND expires_at IS NOT NULL;
DROP INDEX holds_to_sweep;
