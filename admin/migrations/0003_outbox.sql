-- Letters: put here in the transaction of what they tell of, sent later, never deleted by sending.
-- `key` makes one letter of what is put twice. `message_id` is the letter's name in the world, the same at
-- every try. A letter waits, is sent, failed for good, or was dropped as nobody's or no longer so.
CREATE TABLE letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL CHECK (channel IN ('mail', 'webhook')),
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    about TEXT NOT NULL,
    details TEXT NOT NULL,
    message_id TEXT NOT NULL UNIQUE,
    put_at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed', 'dropped')),
    tries INTEGER NOT NULL DEFAULT 0,
    next_try_at INTEGER NOT NULL,
    done_at INTEGER,
    problem TEXT
) STRICT;
CREATE INDEX letter_waiting ON letter (channel, next_try_at) WHERE state = 'waiting';
CREATE INDEX letter_done ON letter (channel, state, done_at) WHERE state <> 'waiting';
CREATE INDEX letter_about ON letter (about, recipient, id);
