-- What is asked for after a sign-in is the person's, whoever uses the browser next.
UPDATE access_request SET browser = NULL WHERE kind IN ('personal_use', 'standing', 'device');
-- Who joined is found by browser, too, each time that somebody looks at their requests.
CREATE INDEX access_request_joiner_by_browser ON access_request_joiner (browser);
