-- What is asked for: a site ('site': `host` says which), or the use of categories of sites in a window of time
-- ('personal_use': `host` is empty, `asked` (JSON) says which and when).
ALTER TABLE access_request ADD COLUMN kind TEXT NOT NULL DEFAULT 'site' CHECK (kind IN ('site', 'personal_use'));
ALTER TABLE access_request ADD COLUMN asked TEXT NOT NULL DEFAULT '{}';
-- Ids (JSON) of the categories that are open, whatever the site; its `host` is empty then.
ALTER TABLE exemption ADD COLUMN categories TEXT NOT NULL DEFAULT '[]';
