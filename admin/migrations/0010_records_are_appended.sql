-- INSERT OR REPLACE takes a row's place without asking the trigger that refuses to delete it. NEW.id is -1
-- before an INSERT that leaves it to SQLite.
CREATE TRIGGER event_is_never_replaced BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM event WHERE digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER event_goes_to_the_end AFTER INSERT ON event
WHEN NEW.id < (SELECT max(id) FROM event) OR NEW.id < 1
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
