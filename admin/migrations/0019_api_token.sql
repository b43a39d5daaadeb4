-- What programs prove with whose they are: a person's tokens for the API, as SHA-256.
-- `session` is what the token holds of its person, as a sign-in does: a token without one opens nothing.
CREATE TABLE api_token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    person TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    session INTEGER REFERENCES session (id) ON DELETE SET NULL,
    made_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    used_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX api_token_by_person ON api_token (person);
CREATE INDEX api_token_by_session ON api_token (session);
