-- Who sent a request for somebody else, and decides nothing of it; NULL: the person themselves did.
ALTER TABLE access_request ADD COLUMN sent_by TEXT;
UPDATE access_request SET sent_by = (
    SELECT actor FROM event WHERE subject = 'REQ-' || access_request.id AND kind = 'request.submitted'
        AND actor <> json_extract(details, '$.person') ORDER BY id LIMIT 1
);
