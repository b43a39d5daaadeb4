-- Up to which visit of the log it was looked at who was stopped too often, and since when (one row; none while
-- the policy says nothing of it).
CREATE TABLE attempts_place (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_visit INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;
-- Whom others were told of last, and when the visit began that was the reason. `who` is a person, else a device
-- or an address; `about` is '' for visits that were counted, else the category of the security risk.
CREATE TABLE attempts_told (
    who TEXT NOT NULL,
    about TEXT NOT NULL,
    visit_at INTEGER NOT NULL,
    PRIMARY KEY (who, about)
) STRICT, WITHOUT ROWID;
