-- Who answered the steps before the present one (JSON, in turn): others are asked next, where there are any.
ALTER TABLE access_request ADD COLUMN answered_by TEXT NOT NULL DEFAULT '[]';
UPDATE access_request SET answered_by = (
    SELECT json_group_array(actor) FROM (
        SELECT actor FROM event WHERE subject = 'REQ-' || access_request.id AND kind = 'request.endorsed' ORDER BY id
    )
) WHERE state = 'submitted' AND step > 0;
