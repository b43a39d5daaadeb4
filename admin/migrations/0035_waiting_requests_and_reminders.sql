-- What waits for an answer is looked for every 20 seconds, and found without reading all that is over by itself.
DROP INDEX access_request_open;
CREATE INDEX access_request_open ON access_request (ifnull(open_until, 9223372036854775807), due_at)
WHERE state = 'submitted';

-- How many reminders of downloads somebody has is asked with every page of one.
CREATE INDEX letter_download_reminder ON letter (recipient, put_at) WHERE kind = 'download_reminder';
