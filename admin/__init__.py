"""People: requests, approvals, records, pages and the command. Sole owner of the database."""
