ALTER TABLE authflow.events DROP COLUMN event_id;
