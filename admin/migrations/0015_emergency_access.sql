-- Emergency access: who opened a site for themselves at once, another looks at it from `due_at` on, once.
CREATE TABLE emergency_review (
    access_request INTEGER PRIMARY KEY REFERENCES access_request (id),
    due_at INTEGER NOT NULL,
    reviewed_at INTEGER,
    reviewed_by TEXT,
    was_right INTEGER CHECK (was_right IN (0, 1)),
    note TEXT,
    CHECK ((reviewed_at IS NULL) = (reviewed_by IS NULL) AND (reviewed_at IS NULL) = (was_right IS NULL))
) STRICT;
CREATE INDEX emergency_review_open ON emergency_review (due_at) WHERE reviewed_at IS NULL;
