-- Sessions of an agent's activities in the order of their own times: flink_jobs/sample/plugin/AgentSessions.java. No
-- watermark bounds lateness: sessions follow late, corrected and deleted activities as long as the job keeps
-- their days. Of two activities in one millisecond, the one with the smaller id is first.
CREATE FUNCTION sessions_of AS 'switchboard.flink.AgentSessions';

CREATE TEMPORARY VIEW steps AS
SELECT account_id, agent_id, activity_id, happened_ms, state, committed_ms FROM activities;

SELECT account_id, CAST(TO_TIMESTAMP_LTZ(logged_in_ms, 3) AS TIMESTAMP(3)) AS logged_in_at, agent_id,
    CAST(TO_TIMESTAMP_LTZ(logged_out_ms, 3) AS TIMESTAMP(3)) AS logged_out_at, CAST(TO_TIMESTAMP_LTZ(newest_ms, 3) AS TIMESTAMP(3)) AS newest_at,
    available_ms, on_contact_ms, after_contact_work_ms,
    newest_ms - logged_in_ms - available_ms - on_contact_ms - after_contact_work_ms AS break_ms, state_ms, state_changes, committed_ms
FROM (
    SELECT *, COALESCE(spent['available'], 0) AS available_ms, COALESCE(spent['on contact'], 0) AS on_contact_ms,
        COALESCE(spent['after-contact work'], 0) AS after_contact_work_ms
    FROM sessions_of(activities => TABLE steps PARTITION BY (account_id, agent_id))
)
