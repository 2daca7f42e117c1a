DROP TABLE authflow.events;
