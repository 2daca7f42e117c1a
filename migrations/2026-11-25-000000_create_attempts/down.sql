DROP TABLE authflow.attempts;
