"""Letters: from what the outbox holds to mail and webhook, in the town's words, until they have arrived."""
