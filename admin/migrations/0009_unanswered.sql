-- What becomes of a request that nobody answers. `remind_at`: when those who are asked are reminded, NULL once
-- they were; `due_at` is when it goes up. `passed_on` counts for each step (JSON) how often it went up.
ALTER TABLE access_request ADD COLUMN remind_at INTEGER;
ALTER TABLE access_request ADD COLUMN passed_on TEXT NOT NULL DEFAULT '[]';

-- Who stands in for a department's head while begins_at <= now < ends_at, unless that was ended before.
CREATE TABLE delegation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    department TEXT NOT NULL,
    head TEXT NOT NULL,
    delegate TEXT NOT NULL,
    begins_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    named_at INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK (begins_at < ends_at),
    CHECK (head <> delegate)
) STRICT;
CREATE INDEX delegation_by_end ON delegation (ends_at) WHERE ended_at IS NULL;

-- Others of a department who need the same: each gets access of their own when the request is allowed.
CREATE TABLE access_request_joiner (
    access_request INTEGER NOT NULL REFERENCES access_request (id),
    person TEXT NOT NULL,
    browser TEXT NOT NULL,
    joined_at INTEGER NOT NULL,
    PRIMARY KEY (access_request, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_request_joiner_by_person ON access_request_joiner (person);

-- An exemption a person or department, and host. `review_at`: when its use is looked at next, NULL where it ends
-- soon anyway; `review_since`: since when that is asked for, NULL where it is not. SQLite cannot change a
-- UNIQUE: the table is made anew.
CREATE TABLE new_exemption (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    access_request INTEGER NOT NULL REFERENCES access_request (id),
    host TEXT NOT NULL,
    person TEXT,
    department TEXT,
    accepted_risks TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    approved_by TEXT NOT NULL,
    stopped_at INTEGER,
    stopped_by TEXT,
    reviewed_at INTEGER,
    reviewed_by TEXT,
    paused_for TEXT,
    review_at INTEGER,
    review_since INTEGER,
    CHECK ((person IS NULL) <> (department IS NULL)),
    CHECK (granted_at < expires_at)
) STRICT;
INSERT INTO new_exemption (
    id, access_request, host, person, department, accepted_risks, granted_at, expires_at, approved_by,
    stopped_at, stopped_by, reviewed_at, reviewed_by, paused_for
)
SELECT
    id, access_request, host, person, department, accepted_risks, granted_at, expires_at, approved_by,
    stopped_at, stopped_by, reviewed_at, reviewed_by, paused_for
FROM exemption ORDER BY id;
DROP TABLE exemption;
ALTER TABLE new_exemption RENAME TO exemption;
CREATE INDEX exemption_live ON exemption (expires_at) WHERE stopped_at IS NULL;
CREATE UNIQUE INDEX exemption_once ON exemption (access_request, host, coalesce(person, ''));
CREATE TRIGGER exemption_made AFTER INSERT ON exemption
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER exemption_changed AFTER UPDATE OF stopped_at, expires_at, accepted_risks ON exemption
BEGIN UPDATE publication SET change = change + 1; END;
CREATE INDEX visit_by_exemption ON visit (exemption, started_at) WHERE exemption IS NOT NULL;

-- The request whose access this one is to go on with.
ALTER TABLE access_request ADD COLUMN renews INTEGER REFERENCES access_request (id);
