-- Visits are moved to a file for each month (`admin.visit_log`), and these tables dropped when that is done.
DROP INDEX visit_by_time;
DROP INDEX visit_by_site;
DROP INDEX visit_by_person;
DROP INDEX visit_failed_inside;
DROP INDEX visit_by_exemption;
ALTER TABLE visit RENAME TO visit_before;
ALTER TABLE segment RENAME TO segment_before;
ALTER TABLE bad_line RENAME TO bad_line_before;
