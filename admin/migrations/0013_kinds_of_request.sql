-- What is asked for. A site ('site', 'emergency', 'social_media', 'standing', 'download'): `host` says which.
-- Else `host` is empty, and `asked` (JSON) says what: the use of categories of sites in a window of time
-- ('personal_use'), a device ('device'), a person's access to the web at all ('internet_account').
ALTER TABLE access_request ADD COLUMN kind TEXT NOT NULL DEFAULT 'site' CHECK (kind IN (
    'site', 'personal_use', 'download', 'social_media', 'internet_account', 'device', 'emergency', 'standing'
));
ALTER TABLE access_request ADD COLUMN asked TEXT NOT NULL DEFAULT '{}';
-- Ids (JSON) of the categories that are open, whatever the site; its `host` is empty then.
ALTER TABLE exemption ADD COLUMN categories TEXT NOT NULL DEFAULT '[]';
