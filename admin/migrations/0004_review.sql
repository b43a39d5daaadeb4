-- What the town lists a site as, in place of every list; what is not undone is in force. `categories`: ids
-- (JSON); none: listed as nothing. A newer correction of the site undoes the one before. Nothing is deleted.
CREATE TABLE correction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    site TEXT NOT NULL,
    categories TEXT NOT NULL,
    why TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    undone_by TEXT,
    undone_at INTEGER,
    CHECK ((undone_by IS NULL) = (undone_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX correction_in_force ON correction (site) WHERE undone_at IS NULL;
CREATE INDEX correction_by_site ON correction (site, id);
CREATE TRIGGER correction_made AFTER INSERT ON correction
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER correction_undone AFTER UPDATE ON correction
BEGIN UPDATE publication SET change = change + 1; END;

-- `risks`: every security risk (ids, JSON) that the site was listed as when it was asked for.
ALTER TABLE access_request ADD COLUMN risks TEXT NOT NULL DEFAULT '[]';
