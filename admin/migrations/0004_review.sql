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

-- What people said of a site that was stopped: that its category is wrong, or that they came by accident.
-- `code` is the visit's, which may come into the log later. IT answers all reports of a kind and site at once.
CREATE TABLE site_report (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('wrong_category', 'accident')),
    site TEXT NOT NULL,
    code TEXT NOT NULL,
    person TEXT,
    department TEXT,
    browser TEXT NOT NULL,
    category TEXT,
    source TEXT,
    proposed TEXT,
    remark TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    answer TEXT CHECK (answer IN ('corrected', 'kept', 'blocked', 'no_problem')),
    answered_category TEXT,
    answered_by TEXT,
    answered_at INTEGER,
    note TEXT,
    CHECK ((answer IS NULL) = (answered_by IS NULL) AND (answer IS NULL) = (answered_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX site_report_once ON site_report (kind, code, coalesce(person, ''));
CREATE INDEX site_report_open ON site_report (kind, site) WHERE answer IS NULL;
CREATE INDEX site_report_by_person ON site_report (person, id) WHERE person IS NOT NULL;
CREATE INDEX site_report_by_browser ON site_report (browser, id);

-- What a page needs beside its site: further hosts of a request, each with an exemption of its own.
CREATE TABLE access_request_host (
    access_request INTEGER NOT NULL REFERENCES access_request (id),
    host TEXT NOT NULL,
    added_by TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (access_request, host)
) STRICT, WITHOUT ROWID;

-- An exemption a host of its request. `reviewed_at`: when IT left it open. `paused_for`: the security risks
-- (ids, JSON) that it was not granted for, while its host is listed as them; the proxy looks at the lists
-- itself, so that this one is not published. SQLite cannot drop a UNIQUE: the table is made anew.
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
    UNIQUE (access_request, host),
    CHECK ((person IS NULL) <> (department IS NULL)),
    CHECK (granted_at < expires_at)
) STRICT;
INSERT INTO new_exemption (
    id, access_request, host, person, department, accepted_risks, granted_at, expires_at, approved_by,
    stopped_at, stopped_by
)
SELECT
    id, access_request, host, person, department, accepted_risks, granted_at, expires_at, approved_by,
    stopped_at, stopped_by
FROM exemption ORDER BY id;
DROP TABLE exemption;
ALTER TABLE new_exemption RENAME TO exemption;
CREATE INDEX exemption_live ON exemption (expires_at) WHERE stopped_at IS NULL;
CREATE TRIGGER exemption_made AFTER INSERT ON exemption
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER exemption_changed AFTER UPDATE OF stopped_at, expires_at, accepted_risks ON exemption
BEGIN UPDATE publication SET change = change + 1; END;
