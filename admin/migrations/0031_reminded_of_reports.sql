-- When IT is reminded of what is said of a site: of the first report of a kind that is open, NULL once it was.
-- What is open already has 0: the first look says when, by the town's office hours since it was sent.
ALTER TABLE site_report ADD COLUMN remind_at INTEGER;
CREATE INDEX site_report_to_remind ON site_report (remind_at) WHERE answer IS NULL;
UPDATE site_report SET remind_at = 0
WHERE id IN (SELECT min(id) FROM site_report WHERE answer IS NULL GROUP BY kind, site);
