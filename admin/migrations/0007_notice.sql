-- Every text of the notice that was ever in force, as people read it. Never changed: receipts rest on it.
CREATE TABLE notice_version (
    version TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    law TEXT NOT NULL,
    first_in_force_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER notice_version_is_never_changed BEFORE UPDATE ON notice_version
BEGIN SELECT RAISE(ABORT, 'a notice that was in force is never changed'); END;

-- Who accepted which version; `known_by`: how it was known who that is.
CREATE TABLE notice_receipt (
    id INTEGER PRIMARY KEY,
    person TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES notice_version (version),
    accepted_at INTEGER NOT NULL,
    known_by TEXT NOT NULL CHECK (known_by IN ('signed_in', 'own_device', 'proxy_sign_in')),
    UNIQUE (person, version)
) STRICT;
CREATE TRIGGER notice_receipt_is_never_changed BEFORE UPDATE ON notice_receipt
BEGIN SELECT RAISE(ABORT, 'a receipt is never changed'); END;
CREATE TRIGGER notice_accepted AFTER INSERT ON notice_receipt
BEGIN UPDATE publication SET change = change + 1; END;

-- Who put which version off until when.
CREATE TABLE notice_put_off (
    person TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES notice_version (version),
    put_off_until INTEGER NOT NULL,
    PRIMARY KEY (person, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER notice_put_off_first AFTER INSERT ON notice_put_off
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER notice_put_off_again AFTER UPDATE ON notice_put_off
BEGIN UPDATE publication SET change = change + 1; END;
