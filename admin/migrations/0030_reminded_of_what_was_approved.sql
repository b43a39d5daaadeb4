-- What was approved and waits for a signature, or for IT to open it, is reminded of, too; looked for three times a minute.
CREATE INDEX access_request_to_remind ON access_request (remind_at) WHERE remind_at IS NOT NULL;
-- What waits already has 0: the first look says when, by the town's office hours since it was decided.
UPDATE access_request SET remind_at = 0 WHERE state IN ('awaits_signature', 'awaits_opening');
