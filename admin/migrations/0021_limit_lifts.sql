-- Who was told of a limit that warns, after a tunnel was closed for it, and went on: no limit holds for them at
-- this host until then.
CREATE TABLE limit_lift (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    person TEXT NOT NULL,
    host TEXT NOT NULL,
    policy_limit TEXT NOT NULL,
    lifted_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL CHECK (ends_at > lifted_at)
) STRICT;
CREATE INDEX limit_lift_in_force ON limit_lift (ends_at);
CREATE TRIGGER limit_lift_made AFTER INSERT ON limit_lift
BEGIN UPDATE publication SET change = change + 1; END;
