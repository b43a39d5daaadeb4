-- Devices of people's own: known as theirs while granted_at <= now < expires_at, beside those of the policy document.
CREATE TABLE own_device (
    access_request INTEGER PRIMARY KEY REFERENCES access_request (id),
    person TEXT NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    approved_by TEXT NOT NULL,
    stopped_at INTEGER,
    stopped_by TEXT,
    CHECK (granted_at < expires_at),
    CHECK ((stopped_at IS NULL) = (stopped_by IS NULL))
) STRICT;
CREATE INDEX own_device_live ON own_device (expires_at) WHERE stopped_at IS NULL;
CREATE TRIGGER own_device_granted AFTER INSERT ON own_device
BEGIN UPDATE publication SET change = change + 1; END;
CREATE TRIGGER own_device_stopped AFTER UPDATE ON own_device
BEGIN UPDATE publication SET change = change + 1; END;
