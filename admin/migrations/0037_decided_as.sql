-- In what role a request was decided last, as `acting_roles.acting` says; '{}' where that was not kept yet.
ALTER TABLE access_request ADD COLUMN decided_as TEXT NOT NULL DEFAULT '{}';
