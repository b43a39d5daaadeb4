-- Visits that carried much (`spans.HEAVY_BYTES`), of which there are few.
CREATE INDEX visit_heavy ON visit_row (started_at) WHERE bytes_up + bytes_down >= 100000000;
