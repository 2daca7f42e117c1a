DROP TABLE authflow.refresh_tokens;
DROP TABLE authflow.sessions;
DROP TABLE authflow.users;
