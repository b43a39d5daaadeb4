-- A limit that is lifted for a person holds again once they are closed.
CREATE TRIGGER limit_lift_ended AFTER UPDATE ON limit_lift
BEGIN UPDATE publication SET change = change + 1; END;

-- Who reviews emergency access is reminded at `remind_at`, NULL once they were; at `pass_on_at` those above may as well.
-- How often it went up is the request's `passed_on`. Those that wait already: after four and eight hours.
ALTER TABLE emergency_review ADD COLUMN remind_at INTEGER;
ALTER TABLE emergency_review ADD COLUMN pass_on_at INTEGER;
UPDATE emergency_review SET remind_at = due_at + 14400000, pass_on_at = due_at + 28800000 WHERE reviewed_at IS NULL;

-- What others joined is not withdrawn from them any more; the letters of before told of that.
UPDATE letter SET kind = 'request_handed_on' WHERE kind = 'request_withdrawn';
