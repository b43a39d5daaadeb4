-- A visit is all that a client does at a host, as long as it goes on: how many connections that were, and
-- where requests could be seen how many, and how many pages the client went to by them.
ALTER TABLE visit_row ADD COLUMN connections INTEGER NOT NULL DEFAULT 1;
ALTER TABLE visit_row ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE visit_row ADD COLUMN pages INTEGER NOT NULL DEFAULT 0;

DROP VIEW visit;
CREATE VIEW visit AS
SELECT
    v.id, v.started_at, v.started_at + v.lasted AS ended_at, v.code, c.address, c.person, c.device, c.department,
    d.scheme, s.key AS site, d.port, d.verdict, d.lane, d.cause, d.rule, d.exemption, d.category, d.entry, d.source,
    r.key AS refusal, v.connections, v.requests, v.pages, v.bytes_up, v.bytes_down,
    n.policy_sequence, n.policy_version, n.category_version
FROM visit_row AS v
CROSS JOIN client AS c ON c.id = v.client
CROSS JOIN site AS s ON s.id = v.site
CROSS JOIN decision AS d ON d.id = v.decision
CROSS JOIN versions AS n ON n.id = v.versions
LEFT JOIN refusal AS r ON r.id = v.refusal;
