-- An agent's activities, in the order of their own times, make sessions: one begins with the first state after offline and
-- ends with the next offline, and what lasts until the next activity is time in the state before it. The watermark is five
-- seconds behind: an activity that is later is left out. One that claims to come from the future counts as of its commit.
-- Two of one agent in one millisecond have no order: which of them came first is not known. A record that is read twice changes nothing: no time lies between it and itself.

CREATE TABLE agent_activity_times (
    happened_ms AS CASE WHEN `after`.`occurred_at` / 1000 < `source`.`ts_ms` THEN `after`.`occurred_at` / 1000 ELSE `source`.`ts_ms` END,
    happened AS TO_TIMESTAMP_LTZ(
        CASE WHEN `after`.`occurred_at` / 1000 < `source`.`ts_ms` THEN `after`.`occurred_at` / 1000 ELSE `source`.`ts_ms` END, 3),
    WATERMARK FOR happened AS happened - INTERVAL '5' SECOND
) LIKE agent_activity_log (EXCLUDING WATERMARKS INCLUDING ALL);

CREATE TEMPORARY VIEW steps AS
SELECT `after`.`account_id` AS account_id, `after`.`agent_id` AS agent_id, happened, happened_ms, `source`.`ts_ms` AS committed_ms,
    `after`.`state` AS state,
    LAG(`after`.`state`) OVER (PARTITION BY `after`.`account_id`, `after`.`agent_id` ORDER BY happened) AS state_before,
    LAG(happened_ms) OVER (PARTITION BY `after`.`account_id`, `after`.`agent_id` ORDER BY happened) AS ms_before
FROM agent_activity_times
WHERE op IN ('c', 'r');

CREATE TEMPORARY VIEW in_sessions AS
SELECT account_id, agent_id, happened_ms, ms_before, state, state_before, committed_ms,
    MAX(CASE WHEN COALESCE(state_before, 'offline') = 'offline' AND state <> 'offline' THEN happened_ms END)
        OVER (PARTITION BY account_id, agent_id ORDER BY happened) AS known_login_ms,
    MIN(happened_ms) OVER (PARTITION BY account_id, agent_id ORDER BY happened) AS first_ms
FROM steps
WHERE NOT (state = 'offline' AND COALESCE(state_before, 'offline') = 'offline');

CREATE TEMPORARY VIEW spans AS
SELECT account_id, agent_id, login_ms, happened_ms, state, committed_ms,
    CASE WHEN happened_ms > login_ms THEN happened_ms - ms_before ELSE 0 END AS ms,
    CASE WHEN happened_ms > login_ms THEN state_before END AS spent_in,
    CASE WHEN state <> COALESCE(state_before, '') THEN 1 ELSE 0 END AS changed
FROM (SELECT *, COALESCE(known_login_ms, first_ms) AS login_ms FROM in_sessions);

SELECT account_id, CAST(TO_TIMESTAMP_LTZ(login_ms, 3) AS TIMESTAMP(3)) AS logged_in_at, agent_id,
    CAST(TO_TIMESTAMP_LTZ(MAX(CASE WHEN state = 'offline' THEN happened_ms END), 3) AS TIMESTAMP(3)) AS logged_out_at,
    CAST(TO_TIMESTAMP_LTZ(MAX(happened_ms), 3) AS TIMESTAMP(3)) AS newest_at,
    SUM(CASE WHEN spent_in = 'available' THEN ms ELSE 0 END) AS available_ms,
    SUM(CASE WHEN spent_in = 'on contact' THEN ms ELSE 0 END) AS on_contact_ms,
    SUM(CASE WHEN spent_in = 'after-contact work' THEN ms ELSE 0 END) AS after_contact_work_ms,
    SUM(CASE WHEN spent_in NOT IN ('available', 'on contact', 'after-contact work') THEN ms ELSE 0 END) AS break_ms,
    SUM(changed) AS state_changes,
    MAX(committed_ms) AS committed_ms
FROM spans
GROUP BY account_id, agent_id, login_ms
