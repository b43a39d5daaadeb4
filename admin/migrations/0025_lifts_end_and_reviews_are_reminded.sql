-- A limit that is lifted for a person holds again once they are closed.
CREATE TRIGGER limit_lift_ended AFTER UPDATE ON limit_lift
BEGIN UPDATE publication SET change = change + 1; END;
