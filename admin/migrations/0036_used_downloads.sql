-- When access to one download was used up; NULL: not yet, or it is other access.
ALTER TABLE exemption ADD COLUMN used_at INTEGER;
