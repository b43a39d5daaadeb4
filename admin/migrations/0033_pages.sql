-- Access may be to a page of a host and what is below it: its path in its one spelling; '' is all of the host.
ALTER TABLE access_request ADD COLUMN path TEXT NOT NULL DEFAULT '';
ALTER TABLE exemption ADD COLUMN path TEXT NOT NULL DEFAULT '';
