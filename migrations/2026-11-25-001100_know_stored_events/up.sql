ALTER TABLE authflow.events ADD COLUMN event_id uuid UNIQUE;

COMMENT ON COLUMN authflow.events.event_id IS 'Drawn before the event is stored, so that one whose storing was not answered is not stored twice. Null for events of earlier versions.';
