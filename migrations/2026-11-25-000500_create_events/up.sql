CREATE TABLE authflow.events (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurred_at timestamptz NOT NULL,
    event       text        NOT NULL CHECK (octet_length(event) BETWEEN 1 AND 64),
    reason      text        CHECK (octet_length(reason) BETWEEN 1 AND 64),
    actor       text        NOT NULL CHECK (actor IN ('client', 'application', 'service')),
    address     text        CHECK (octet_length(address) <= 45),
    user_id     uuid,
    session_id  uuid,
    details     jsonb
);

CREATE INDEX events_by_time ON authflow.events (occurred_at);
CREATE INDEX events_by_user ON authflow.events (user_id, occurred_at) WHERE user_id IS NOT NULL;

COMMENT ON TABLE authflow.events IS 'Security events, if AUTHFLOW_EVENTS_RETENTION says for how long. Append-only; housekeeping deletes what is older. Refers to no other table, so that what happened to a deleted user stays until then.';
COMMENT ON COLUMN authflow.events.id IS 'The order of writing. Of several nodes it is not that of happening.';
COMMENT ON COLUMN authflow.events.occurred_at IS 'When it happened.';
COMMENT ON COLUMN authflow.events.event IS 'What happened: `logged_in`, `login_failed`, `session_ended`, ...';
COMMENT ON COLUMN authflow.events.reason IS 'Why, from a list for each event. Null for those that have none.';
COMMENT ON COLUMN authflow.events.actor IS 'On whose behalf: a client by a request, the application, or the service by itself.';
COMMENT ON COLUMN authflow.events.address IS 'The address of the client.';
COMMENT ON COLUMN authflow.events.user_id IS 'The user it concerns, where that is known.';
COMMENT ON COLUMN authflow.events.session_id IS 'The session it concerns, where there is one.';
COMMENT ON COLUMN authflow.events.details IS 'What the event has besides: `kid`, `retry_after`, `refresh_session_id`.';
COMMENT ON INDEX authflow.events_by_time IS 'For housekeeping, and for what happened in a span of time.';
COMMENT ON INDEX authflow.events_by_user IS 'What happened to one user.';
