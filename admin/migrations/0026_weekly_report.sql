-- The week of which the report was put last, by its Monday ("2026-03-02"). One row; none while the policy has no
-- such report.
CREATE TABLE weekly_report_place (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    monday TEXT NOT NULL
) STRICT;
