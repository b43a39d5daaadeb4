-- Who may reach the web at all, where the policy says that they need an account for it, until when and by which
-- request. `review_at` and `review_since` are as of an exemption.
CREATE TABLE internet_account (
    access_request INTEGER PRIMARY KEY REFERENCES access_request (id),
    person TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    approved_by TEXT NOT NULL,
    stopped_at INTEGER,
    stopped_by TEXT,
    review_at INTEGER,
    review_since INTEGER,
    CHECK (granted_at <= expires_at)
) STRICT;
CREATE INDEX internet_account_live ON internet_account (expires_at) WHERE stopped_at IS NULL;
CREATE TRIGGER internet_account_made AFTER INSERT ON internet_account
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER internet_account_changed AFTER UPDATE OF stopped_at, expires_at ON internet_account
BEGIN UPDATE publication SET change = change + 1; END;
