-- Visits that IT ended while they went on, by their codes. The proxy is told of those of the last hour.
CREATE TABLE ended_visit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    code TEXT NOT NULL,
    host TEXT NOT NULL,
    ended_by TEXT NOT NULL,
    ended_at INTEGER NOT NULL
) STRICT;
CREATE INDEX ended_visit_lately ON ended_visit (ended_at);
CREATE TRIGGER ended_visit_made AFTER INSERT ON ended_visit
BEGIN UPDATE publication SET change = change + 1; END;
