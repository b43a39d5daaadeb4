-- The visits that were taken in within one month (UTC). Times are milliseconds since 1970 UTC.
-- What repeats from visit to visit is kept once, in tables of their own; `key` is the JSON of what a row says.

CREATE TABLE client (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    person TEXT,
    device TEXT,
    department TEXT
) STRICT;
CREATE INDEX client_by_person ON client (person) WHERE person IS NOT NULL;

-- `key` is the host with its labels reversed, each followed by a dot ("example.cardroom.www."), so that a
-- host and its subdomains are one range of the index. `domain` is its registrable domain. `first_at` is when the
-- first of its visits here began.
CREATE TABLE site (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    domain TEXT NOT NULL,
    first_at INTEGER NOT NULL
) STRICT;

CREATE TABLE decision (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    scheme TEXT NOT NULL,
    port INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    lane TEXT NOT NULL,
    cause TEXT NOT NULL,
    rule TEXT,
    exemption TEXT,
    category TEXT,
    entry TEXT,
    source TEXT
) STRICT;

CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    policy_sequence INTEGER NOT NULL,
    policy_version TEXT NOT NULL,
    category_version TEXT NOT NULL
) STRICT;

CREATE TABLE refusal (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE
) STRICT;

-- `id` grows as visits arrive. `lasted` is in milliseconds; `is_blocked` and `is_exempted` repeat what
-- the decision says, for the indexes.
CREATE TABLE visit_row (
    id INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,
    lasted INTEGER NOT NULL,
    code TEXT NOT NULL,
    client INTEGER NOT NULL REFERENCES client (id),
    site INTEGER NOT NULL REFERENCES site (id),
    decision INTEGER NOT NULL REFERENCES decision (id),
    versions INTEGER NOT NULL REFERENCES versions (id),
    refusal INTEGER REFERENCES refusal (id),
    bytes_up INTEGER NOT NULL,
    bytes_down INTEGER NOT NULL,
    is_blocked INTEGER NOT NULL,
    is_exempted INTEGER NOT NULL
) STRICT;
CREATE INDEX visit_by_time ON visit_row (started_at);
CREATE INDEX visit_by_site ON visit_row (site, started_at);
CREATE INDEX visit_by_client ON visit_row (client, started_at);
CREATE INDEX visit_blocked ON visit_row (started_at) WHERE is_blocked = 1;
CREATE INDEX visit_exempted ON visit_row (started_at) WHERE is_exempted = 1;
CREATE INDEX visit_by_refusal ON visit_row (refusal, started_at) WHERE refusal IS NOT NULL;

CREATE VIEW visit AS
SELECT
    v.id, v.started_at, v.started_at + v.lasted AS ended_at, v.code, c.address, c.person, c.device, c.department,
    d.scheme, s.key AS site, d.port, d.verdict, d.lane, d.cause, d.rule, d.exemption, d.category, d.entry, d.source,
    r.key AS refusal, v.bytes_up, v.bytes_down, n.policy_sequence, n.policy_version, n.category_version
FROM visit_row AS v
CROSS JOIN client AS c ON c.id = v.client
CROSS JOIN site AS s ON s.id = v.site
CROSS JOIN decision AS d ON d.id = v.decision
CROSS JOIN versions AS n ON n.id = v.versions
LEFT JOIN refusal AS r ON r.id = v.refusal;

-- Visits that go on, as last heard of at `heard_at`; `visit` is the JSON of what a row of theirs would say.
CREATE TABLE running_visit (
    started_at INTEGER NOT NULL,
    code TEXT NOT NULL,
    heard_at INTEGER NOT NULL,
    visit TEXT NOT NULL,
    PRIMARY KEY (started_at, code)
) STRICT, WITHOUT ROWID;

-- Visits by the quarter of an hour in which they began (`at`, its start); '' where there is no department or category.
CREATE TABLE quarter_count (
    at INTEGER NOT NULL,
    department TEXT NOT NULL,
    verdict TEXT NOT NULL,
    lane TEXT NOT NULL,
    category TEXT NOT NULL,
    visits INTEGER NOT NULL,
    bytes_up INTEGER NOT NULL,
    bytes_down INTEGER NOT NULL,
    PRIMARY KEY (at, department, verdict, lane, category)
) STRICT, WITHOUT ROWID;

-- Visits by the day (UTC) in which they began (`at`, its start).
CREATE TABLE site_count (
    at INTEGER NOT NULL,
    department TEXT NOT NULL,
    site INTEGER NOT NULL REFERENCES site (id),
    is_blocked INTEGER NOT NULL,
    visits INTEGER NOT NULL,
    bytes_up INTEGER NOT NULL,
    bytes_down INTEGER NOT NULL,
    PRIMARY KEY (at, department, site, is_blocked)
) STRICT, WITHOUT ROWID;

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

-- The last visit that was moved here from the table of before there were files of months.
CREATE TABLE moved_in (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_visit INTEGER NOT NULL
) STRICT;
INSERT INTO moved_in (id, last_visit) VALUES (1, 0);
