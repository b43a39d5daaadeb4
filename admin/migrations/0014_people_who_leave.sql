-- People whom IT closed: whatever the policy document says, they are not of the town while a row is not undone.
CREATE TABLE closed_person (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    person TEXT NOT NULL,
    why TEXT NOT NULL,
    closed_by TEXT NOT NULL,
    closed_at INTEGER NOT NULL,
    reopened_by TEXT,
    reopened_at INTEGER,
    CHECK ((reopened_by IS NULL) = (reopened_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX closed_person_in_force ON closed_person (person) WHERE reopened_at IS NULL;
CREATE TRIGGER person_closed AFTER INSERT ON closed_person
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER person_reopened AFTER UPDATE ON closed_person
BEGIN UPDATE publication SET change = change + 1; END;

-- What the person could do here when they signed in (JSON); who has less now is signed out.
ALTER TABLE session ADD COLUMN duties TEXT NOT NULL DEFAULT '[]';

-- Links to set a new password, sent by mail. The link itself is made when the mail is sent, and kept nowhere.
CREATE TABLE password_reset (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    person TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX password_reset_by_person ON password_reset (person, asked_at);
