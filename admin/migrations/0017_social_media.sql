-- A state more: approved, and the person has still to sign the terms. A CHECK is changed where the schema is
-- written, as SQLite's documentation of ALTER TABLE has it for constraints that only allow more; RESET has the
-- schema read again, and the tables made below tell every other connection to do so.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '(''submitted'', ''awaits_opening''', '(''submitted'', ''awaits_signature'', ''awaits_opening''')
WHERE type = 'table' AND name = 'access_request';
PRAGMA writable_schema = RESET;

CREATE INDEX access_request_by_proposer ON access_request (json_extract(asked, '$.proposed_by'))
WHERE json_extract(asked, '$.proposed_by') IS NOT NULL;
CREATE INDEX access_request_by_kind ON access_request (kind, id) WHERE kind <> 'site';

-- Whether a site is open to read alone.
ALTER TABLE exemption ADD COLUMN is_for_reading INTEGER NOT NULL DEFAULT 0;

-- Every text of terms that somebody signed, and who signed which when. Never changed.
CREATE TABLE terms_version (
    version TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    first_signed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER terms_version_is_never_changed BEFORE UPDATE ON terms_version
BEGIN SELECT RAISE(ABORT, 'terms that somebody signed are never changed'); END;
CREATE TABLE terms_signature (
    access_request INTEGER PRIMARY KEY REFERENCES access_request (id),
    person TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES terms_version (version),
    signed_at INTEGER NOT NULL
) STRICT;
CREATE TRIGGER terms_signature_is_never_changed BEFORE UPDATE ON terms_signature
BEGIN SELECT RAISE(ABORT, 'a signature is never changed'); END;
