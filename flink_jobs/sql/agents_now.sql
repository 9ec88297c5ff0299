-- Every agent as of now, for the jobs that need it. Everything that says something of an agent is a claim with a rank; the lowest rank wins, and of
-- equals the oldest. The ranks are the state precedence: error, missed, rejected, on contact, after-contact work,
-- incoming, a state of the tenant's own, available. One aggregation over all claims: an outer join would take a row away
-- and bring it back whenever the first contact comes or the last one goes.

-- When a contact came into its state with its agent. Notes that are corrected meanwhile do not set the clock back.
CREATE TEMPORARY VIEW contact_states AS
SELECT `source`.`db` AS db, `after`.`interaction_id` AS interaction_id, `after`.`agent_id` AS agent_id, `after`.`state` AS state,
    MIN(CAST(REPLACE(REPLACE(`after`.`updated_at`, 'T', ' '), 'Z', '') AS TIMESTAMP(3))) AS since
FROM interactions_log
WHERE op <> 'd' AND `after`.`agent_id` IS NOT NULL AND `after`.`state` IN ('ringing', 'talking', 'wrap')
GROUP BY `source`.`db`, `after`.`interaction_id`, `after`.`agent_id`, `after`.`state`;

-- An agent's newest activity by its own time. One that claims to come from the future counts as of its commit. Read from the
-- log, not from the table as it stands: activities are only ever added, and so nothing but the newest has to be kept.
CREATE TEMPORARY VIEW activities AS
SELECT account_id, agent_id, SPLIT_INDEX(newest, '|', 2) AS state,
    NULLIF(SUBSTRING(newest FROM 46 + CHAR_LENGTH(SPLIT_INDEX(newest, '|', 2)) + 1), '') AS reason,
    CAST(SPLIT_INDEX(newest, '|', 0) AS TIMESTAMP(3)) AS since
FROM (
    SELECT account_id, agent_id,
        MAX(DATE_FORMAT(since, 'yyyy-MM-dd HH:mm:ss.SSS') || '|' || LPAD(CAST(activity_id AS STRING), 20, '0') || '|' || state || '|' || reason) AS newest
    FROM (
        SELECT `after`.`account_id` AS account_id, `after`.`agent_id` AS agent_id, `after`.`activity_id` AS activity_id,
            `after`.`state` AS state, COALESCE(`after`.`reason`, '') AS reason,
            CAST(TO_TIMESTAMP_LTZ(LEAST(`after`.`occurred_at` / 1000, `source`.`ts_ms`), 3) AS TIMESTAMP(3)) AS since
        FROM agent_activity_log WHERE op IN ('c', 'r')
    ) GROUP BY account_id, agent_id
);

-- Whoever is deleted goes, although there are activities; whoever was never told of stays.
CREATE TEMPORARY VIEW deleted_agents AS
SELECT account_id, agent_id FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY agent_id ORDER BY version DESC) AS place
    FROM (
        SELECT op, version, COALESCE(`after`.`account_id`, `before`.`account_id`) AS account_id,
            COALESCE(`after`.`agent_id`, `before`.`agent_id`) AS agent_id
        FROM agents_log WHERE op <> 't'
    )
) WHERE place = 1 AND op = 'd';

CREATE TEMPORARY VIEW claims AS
SELECT account_id, agent_id,
    CASE state WHEN 'on contact' THEN 4 WHEN 'after-contact work' THEN 5 WHEN 'available' THEN 8 WHEN 'offline' THEN 9 ELSE 7 END AS claim_rank,
    state, reason, since, CAST(NULL AS STRING) AS channel, CAST(NULL AS BIGINT) AS queue_id,
    CAST(NULL AS BIGINT) AS team_id, CAST(NULL AS STRING) AS team, CAST(NULL AS STRING) AS agent_name, 0 AS gone
FROM activities
UNION ALL
SELECT i.account_id, i.agent_id,
    CASE i.state WHEN 'talking' THEN 4 WHEN 'wrap' THEN 5 ELSE 6 END,
    CASE i.state WHEN 'talking' THEN 'on contact' WHEN 'wrap' THEN 'after-contact work' ELSE 'incoming' END,
    CAST(NULL AS STRING), s.since, i.channel, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS STRING), CAST(NULL AS STRING), 0
FROM interactions AS i
JOIN contact_states AS s ON s.db = i.db AND s.interaction_id = i.interaction_id AND s.agent_id = i.agent_id AND s.state = i.state
UNION ALL
SELECT account_id, agent_id, 11, CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS TIMESTAMP(3)), CAST(NULL AS STRING), queue_id,
    CAST(NULL AS BIGINT), CAST(NULL AS STRING), CAST(NULL AS STRING), 0
FROM queue_members
UNION ALL
SELECT a.account_id, a.agent_id, 10, 'offline', CAST(NULL AS STRING), CAST(NULL AS TIMESTAMP(3)), CAST(NULL AS STRING), CAST(NULL AS BIGINT),
    a.team_id, t.name, a.display_name, CASE WHEN a.is_active = 0 THEN 1 ELSE 0 END
FROM agents AS a
LEFT JOIN teams AS t ON t.team_id = a.team_id
UNION ALL
SELECT account_id, agent_id, 10, 'offline', CAST(NULL AS STRING), CAST(NULL AS TIMESTAMP(3)), CAST(NULL AS STRING), CAST(NULL AS BIGINT),
    CAST(NULL AS BIGINT), CAST(NULL AS STRING), CAST(NULL AS STRING), 1
FROM deleted_agents;

CREATE TEMPORARY VIEW agents_now AS
SELECT account_id, agent_id, MAX(team_id) AS team_id, MAX(team) AS team, MAX(agent_name) AS name,
    MIN(LPAD(CAST(claim_rank AS STRING), 2, '0') || '|' || COALESCE(DATE_FORMAT(since, 'yyyy-MM-dd HH:mm:ss.SSS'), '') || '|' || state
        || '|' || COALESCE(reason, '')) AS winner,
    SUM(CASE channel WHEN 'voice' THEN 1 ELSE 0 END) AS voice,
    SUM(CASE channel WHEN 'chat' THEN 1 ELSE 0 END) AS chat,
    SUM(CASE channel WHEN 'email' THEN 1 ELSE 0 END) AS email,
    LISTAGG(CAST(queue_id AS STRING), ',') AS queues
FROM claims
GROUP BY account_id, agent_id
HAVING SUM(gone) = 0 AND MIN(claim_rank) < 11
