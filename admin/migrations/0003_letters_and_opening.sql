-- Letters: put here in the transaction of what they tell of, sent later, never deleted by sending.
-- `key` makes one letter of what is put twice. `message_id` is the letter's name in the world, the same at
-- every try. A letter waits, is sent, failed for good, or was dropped as nobody's or no longer so.
CREATE TABLE letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL CHECK (channel IN ('mail', 'webhook')),
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    about TEXT NOT NULL,
    details TEXT NOT NULL,
    message_id TEXT NOT NULL UNIQUE,
    put_at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed', 'dropped')),
    tries INTEGER NOT NULL DEFAULT 0,
    next_try_at INTEGER NOT NULL,
    done_at INTEGER,
    problem TEXT
) STRICT;
CREATE INDEX letter_waiting ON letter (channel, next_try_at) WHERE state = 'waiting';
CREATE INDEX letter_done ON letter (channel, state, done_at) WHERE state <> 'waiting';
CREATE INDEX letter_about ON letter (about, recipient, id);

-- A state more: approved, and IT has still to open it (until `approved_until`). SQLite cannot change a
-- CHECK, so the table is made anew; foreign keys are off while migrations run, and checked at the end.
CREATE TABLE new_access_request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL
        CHECK (state IN ('submitted', 'awaits_opening', 'approved', 'denied', 'withdrawn', 'stopped')),
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
    approved_until INTEGER,
    CHECK (for_whom = 'person' OR department IS NOT NULL),
    CHECK (state <> 'awaits_opening' OR approved_until IS NOT NULL)
) STRICT;
INSERT INTO new_access_request (
    id, state, host, person, department, for_whom, reason, duration, rule, category, entry, source, code,
    policy_version, browser, chain, step, submitted_at, due_at, decided_at, decided_by, note
)
SELECT
    id, state, host, person, department, for_whom, reason, duration, rule, category, entry, source, code,
    policy_version, browser, chain, step, submitted_at, due_at, decided_at, decided_by, note
FROM access_request ORDER BY id;
DROP TABLE access_request;
ALTER TABLE new_access_request RENAME TO access_request;
CREATE INDEX access_request_open ON access_request (due_at) WHERE state = 'submitted';
CREATE INDEX access_request_to_open ON access_request (decided_at) WHERE state = 'awaits_opening';
CREATE INDEX access_request_by_person ON access_request (person, id);
CREATE INDEX access_request_by_host ON access_request (host, department, id);
CREATE INDEX access_request_by_browser ON access_request (browser, id) WHERE browser IS NOT NULL;
