-- Ask links that were followed, and in which browser; they open in no other.
CREATE TABLE followed_link (
    code TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    browser TEXT NOT NULL,
    PRIMARY KEY (code, issued_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX followed_link_by_time ON followed_link (issued_at);

-- When the session last followed a link for the first time: proof that someone sits at the device.
ALTER TABLE session ADD COLUMN followed_at INTEGER;
-- They were opened for 30 days, by links that opened anywhere.
DELETE FROM session WHERE level = 'device';
