-- The full addresses of pages that were gone to in a visit, in the order in which they came; only of visits of which
-- the policy has them kept, 20 of each at most. Who may not see names sees none: an address may name somebody.
CREATE TABLE visit_address (
    visit INTEGER NOT NULL REFERENCES visit_row (id),
    place INTEGER NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (visit, place)
) STRICT, WITHOUT ROWID;
