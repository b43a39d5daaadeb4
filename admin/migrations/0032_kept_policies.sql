-- Everything that was ever in force beside the lists: what each published snapshot decided by, as lines of text
-- (policy.snapshot_lines). A line is kept once for all of them. `lines` are ids of kept_line, in the order of the
-- snapshot's lines: zlib of a JSON array, each number the distance from the one before; NULL: they are those of
-- the newest before that has some.
CREATE TABLE kept_line (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE kept_policy (
    sequence INTEGER PRIMARY KEY,
    published_at INTEGER NOT NULL,
    lines BLOB
) STRICT;
CREATE TRIGGER kept_line_is_never_changed BEFORE UPDATE ON kept_line
BEGIN SELECT RAISE(ABORT, 'what was in force is never changed'); END;
CREATE TRIGGER kept_policy_is_never_changed BEFORE UPDATE ON kept_policy
BEGIN SELECT RAISE(ABORT, 'what was in force is never changed'); END;
