-- What IT did in an emergency, and when it ended; `ended_by` is NULL for what ended by itself.
-- `subject`: the department of a lockdown, '' for everyone; the IP address of a device; '' for the filter.
CREATE TABLE emergency_measure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('lockdown', 'device_off', 'filter_off')),
    subject TEXT NOT NULL,
    because TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    began_by TEXT NOT NULL,
    next_news_at INTEGER,
    ends_at INTEGER,
    ended_at INTEGER,
    ended_by TEXT,
    CHECK ((kind = 'filter_off') = (ends_at IS NOT NULL)),
    CHECK (ended_at IS NOT NULL OR ended_by IS NULL)
) STRICT;
CREATE UNIQUE INDEX emergency_measure_in_force ON emergency_measure (kind, subject) WHERE ended_at IS NULL;
CREATE TRIGGER emergency_measure_begun AFTER INSERT ON emergency_measure
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER emergency_measure_changed AFTER UPDATE ON emergency_measure
BEGIN UPDATE publication SET change = change + 1; END;
