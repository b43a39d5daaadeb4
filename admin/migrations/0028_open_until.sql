-- Until when a request can be answered, signed or opened by IT, as AccessRequest.over_at says; NULL: as long as it takes.
ALTER TABLE access_request ADD COLUMN open_until INTEGER GENERATED ALWAYS AS (CASE
    WHEN state IN ('submitted', 'awaits_signature', 'awaits_opening') THEN min(
        coalesce(json_extract(asked, '$.until'), json_extract(asked, '$.ends_at')),
        coalesce(approved_until, json_extract(asked, '$.until'), json_extract(asked, '$.ends_at'))
    )
END) VIRTUAL;
