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
