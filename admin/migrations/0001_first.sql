-- Times are milliseconds since 1970 UTC; names of people and departments are ids of the policy document.

-- What people decided and did. Append-only; each row carries the digest of the one before.
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE
) STRICT;
CREATE INDEX event_by_subject ON event (subject, id);
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- kind: 'admin' signs in to the admin site, 'proxy' to the proxy.
CREATE TABLE account (
    person TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('admin', 'proxy')),
    password_hash TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (person, kind)
) STRICT, WITHOUT ROWID;

-- Sign-ins tried and not (yet) successful; `name` is a digest, people type passwords into the wrong field.
CREATE TABLE sign_in_try (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_try_by_name ON sign_in_try (name, at);
CREATE INDEX sign_in_try_by_time ON sign_in_try (at);

-- `token_digest`: only the browser has the token itself. `browser` outlives a sign-in.
CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    token_digest BLOB NOT NULL UNIQUE,
    level TEXT NOT NULL CHECK (level IN ('signed_in', 'device')),
    person TEXT CHECK (person IS NOT NULL OR level = 'device'),
    device TEXT,
    browser TEXT NOT NULL,
    csrf_token TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    names_until INTEGER
) STRICT;
CREATE INDEX session_by_person ON session (person);

-- Ask links followed by a session: what its form may send.
CREATE TABLE followed_ask (
    session INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    code TEXT NOT NULL,
    ask TEXT NOT NULL,
    followed_at INTEGER NOT NULL,
    PRIMARY KEY (session, code)
) STRICT, WITHOUT ROWID;

-- `step` counts the approvers in `chain` (JSON) who agreed; `due_at` is when the present one should have answered.
CREATE TABLE access_request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL CHECK (state IN ('submitted', 'approved', 'denied', 'withdrawn', 'stopped')),
    host TEXT NOT NULL,
    person TEXT NOT NULL,
    department TEXT,
    for_whom TEXT NOT NULL CHECK (for_whom IN ('person', 'department')),
    reason TEXT NOT NULL,
    duration TEXT NOT NULL,
    rule TEXT,
    category TEXT,
    entry TEXT,
    source TEXT,
    code TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    browser TEXT,
    chain TEXT NOT NULL,
    step INTEGER NOT NULL DEFAULT 0,
    submitted_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    decided_at INTEGER,
    decided_by TEXT,
    note TEXT,
    CHECK (for_whom = 'person' OR department IS NOT NULL)
) STRICT;
CREATE INDEX access_request_open ON access_request (due_at) WHERE state = 'submitted';
CREATE INDEX access_request_by_person ON access_request (person, id);
CREATE INDEX access_request_by_host ON access_request (host, department, id);
CREATE INDEX access_request_by_browser ON access_request (browser, id) WHERE browser IS NOT NULL;

-- `accepted_risks`: category ids (JSON).
CREATE TABLE exemption (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    access_request INTEGER NOT NULL UNIQUE REFERENCES access_request (id),
    host TEXT NOT NULL,
    person TEXT,
    department TEXT,
    accepted_risks TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    approved_by TEXT NOT NULL,
    stopped_at INTEGER,
    stopped_by TEXT,
    CHECK ((person IS NULL) <> (department IS NULL)),
    CHECK (granted_at < expires_at)
) STRICT;
CREATE INDEX exemption_live ON exemption (expires_at) WHERE stopped_at IS NULL;

-- One row. `change` moves with everything that a published policy snapshot contains, whoever changed it.
CREATE TABLE publication (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    change INTEGER NOT NULL
) STRICT;
INSERT INTO publication (id, sequence, change) VALUES (1, 0, 0);
CREATE TRIGGER exemption_made AFTER INSERT ON exemption
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER exemption_changed AFTER UPDATE ON exemption
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER proxy_password_made AFTER INSERT ON account WHEN NEW.kind = 'proxy'
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER proxy_password_changed AFTER UPDATE ON account WHEN NEW.kind = 'proxy'
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER proxy_password_removed AFTER DELETE ON account WHEN OLD.kind = 'proxy'
BEGIN UPDATE publication SET change = change + 1; END;

-- `site` is the host with its labels reversed, each followed by a dot ("example.cardroom.www."), so that a
-- host and its subdomains are one range of the index.
CREATE TABLE visit (
    id INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    code TEXT NOT NULL,
    address TEXT NOT NULL,
    person TEXT,
    device TEXT,
    department TEXT,
    scheme TEXT NOT NULL,
    site TEXT NOT NULL,
    port INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    lane TEXT NOT NULL,
    cause TEXT NOT NULL,
    rule TEXT,
    exemption TEXT,
    category TEXT,
    entry TEXT,
    source TEXT,
    refusal TEXT,
    bytes_up INTEGER NOT NULL,
    bytes_down INTEGER NOT NULL,
    policy_sequence INTEGER NOT NULL,
    policy_version TEXT NOT NULL,
    category_version TEXT NOT NULL
) STRICT;
CREATE INDEX visit_by_time ON visit (started_at, id);
CREATE INDEX visit_by_site ON visit (site, started_at);
CREATE INDEX visit_by_person ON visit (person, started_at) WHERE person IS NOT NULL;

-- How far each spool file has been read. `skips_line`: the position is inside a line that is too long.
CREATE TABLE segment (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL DEFAULT 0,
    skips_line INTEGER NOT NULL DEFAULT 0,
    bad_lines INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE bad_line (
    segment TEXT NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    begins BLOB NOT NULL,
    found_at INTEGER NOT NULL,
    PRIMARY KEY (segment, position)
) STRICT, WITHOUT ROWID;
