-- How often who went to a site, and what of it was blocked, is told by the index alone; each visit had to be
-- looked up.
DROP INDEX visit_by_site;
CREATE INDEX visit_by_site ON visit_row (site, started_at, client, is_blocked);
