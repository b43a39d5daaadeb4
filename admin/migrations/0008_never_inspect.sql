-- What IT answered about a host that programs which do not trust the town's certificate visit. 'never': it is not
-- opened, until that is undone; 'left': it was looked at and is opened as before. Nothing is deleted.
CREATE TABLE inspection_answer (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    answer TEXT NOT NULL CHECK (answer IN ('never', 'left')),
    why TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    undone_by TEXT,
    undone_at INTEGER,
    CHECK ((undone_by IS NULL) = (undone_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX inspection_answer_in_force ON inspection_answer (host) WHERE undone_at IS NULL;
CREATE TRIGGER inspection_answer_made AFTER INSERT ON inspection_answer WHEN new.answer = 'never'
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER inspection_answer_undone AFTER UPDATE ON inspection_answer WHEN new.answer = 'never'
BEGIN UPDATE publication SET change = change + 1; END;

CREATE INDEX visit_failed_inside ON visit (started_at) WHERE lane = 'inspect' AND refusal IS NOT NULL;
