-- Somebody asks a second person to agree that names are shown in their session, or that they search for the visits of
-- `person`. Nobody can answer it once `ends_at` has come; agreed to, it holds until `holds_until`.
CREATE TABLE names_request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL,
    asked_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    case_number TEXT NOT NULL,
    person TEXT,
    asked_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    answered_at INTEGER,
    answered_by TEXT,
    holds_until INTEGER,
    CHECK ((answered_at IS NULL) = (answered_by IS NULL)),
    CHECK (holds_until IS NULL OR answered_at IS NOT NULL),
    CHECK (answered_by IS NULL OR answered_by <> asked_by)
) STRICT;
CREATE INDEX names_request_by_session ON names_request (session, person);
CREATE INDEX names_request_waiting ON names_request (ends_at) WHERE answered_at IS NULL;
