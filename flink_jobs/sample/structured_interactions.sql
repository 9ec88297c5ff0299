-- An interaction with its dimensions at the time of its start: the newest version of each from before, or the
-- first version if it started before that. A change of any input, including a dimension's past, changes the
-- row. Of versions of one transaction, which have the same time, the last one counts.

CREATE TEMPORARY VIEW agent_versions AS
SELECT a.agent_id, a.display_name, a.team_id, a.valid_from, a.committed_ms, a.version, a.gone FROM (
    SELECT COALESCE(`after`.`agent_id`, `before`.`agent_id`) AS agent_id, `after`.`display_name` AS display_name, `after`.`team_id` AS team_id,
        CAST(TO_TIMESTAMP_LTZ(`source`.`ts_ms`, 3) AS TIMESTAMP(3)) AS valid_from, `source`.`ts_ms` AS committed_ms, version, op = 'd' AS gone
    FROM agents_log WHERE op <> 't'
) AS a;

CREATE TEMPORARY VIEW segment_times AS
SELECT db, interaction_id,
    SUM(CASE kind WHEN 'wait' THEN duration_ms ELSE 0 END) AS wait_ms, SUM(CASE kind WHEN 'talk' THEN duration_ms ELSE 0 END) AS talk_ms,
    SUM(CASE kind WHEN 'hold' THEN duration_ms ELSE 0 END) AS hold_ms, SUM(CASE kind WHEN 'wrap' THEN duration_ms ELSE 0 END) AS wrap_ms,
    MAX(committed_ms) AS committed_ms
FROM interaction_segments GROUP BY db, interaction_id;

CREATE TEMPORARY VIEW newest_surveys AS
SELECT db, interaction_id, score, committed_ms FROM (
    SELECT db, interaction_id, score, committed_ms,
        ROW_NUMBER() OVER (PARTITION BY db, interaction_id ORDER BY answered_at DESC, survey_id DESC) AS place
    FROM surveys
) WHERE place = 1;

CREATE TEMPORARY VIEW with_agent AS
SELECT * FROM (
    SELECT i.*, a.display_name AS agent_name, a.team_id, COALESCE(a.committed_ms, 0) AS agent_committed_ms,
        ROW_NUMBER() OVER (PARTITION BY i.db, i.interaction_id
            ORDER BY CASE WHEN a.valid_from <= i.started_at THEN 0 ELSE 1 END,
                CASE WHEN a.valid_from <= i.started_at THEN a.valid_from END DESC, a.valid_from,
                CASE WHEN a.valid_from <= i.started_at THEN -a.version ELSE a.version END) AS agent_place
    FROM interactions AS i
    LEFT JOIN agent_versions AS a ON a.agent_id = i.agent_id AND NOT a.gone
) WHERE agent_place = 1;

CREATE TEMPORARY VIEW team_versions AS
SELECT `after`.`team_id` AS team_id, `after`.`name` AS name, CAST(TO_TIMESTAMP_LTZ(`source`.`ts_ms`, 3) AS TIMESTAMP(3)) AS valid_from,
    `source`.`ts_ms` AS committed_ms, version
FROM teams_log WHERE op IN ('c', 'u', 'r');

CREATE TEMPORARY VIEW with_team AS
SELECT * FROM (
    SELECT i.*, t.name AS team_name, COALESCE(t.committed_ms, 0) AS team_committed_ms,
        ROW_NUMBER() OVER (PARTITION BY i.db, i.interaction_id
            ORDER BY CASE WHEN t.valid_from <= i.started_at THEN 0 ELSE 1 END,
                CASE WHEN t.valid_from <= i.started_at THEN t.valid_from END DESC, t.valid_from,
                CASE WHEN t.valid_from <= i.started_at THEN -t.version ELSE t.version END) AS team_place
    FROM with_agent AS i
    LEFT JOIN team_versions AS t ON t.team_id = i.team_id
) WHERE team_place = 1;

CREATE TEMPORARY VIEW queue_versions AS
SELECT `after`.`queue_id` AS queue_id, `after`.`name` AS name, CAST(TO_TIMESTAMP_LTZ(`source`.`ts_ms`, 3) AS TIMESTAMP(3)) AS valid_from,
    `source`.`ts_ms` AS committed_ms, version
FROM queues_log WHERE op IN ('c', 'u', 'r');

CREATE TEMPORARY VIEW with_queue AS
SELECT * FROM (
    SELECT i.*, q.name AS queue_name, COALESCE(q.committed_ms, 0) AS queue_committed_ms,
        ROW_NUMBER() OVER (PARTITION BY i.db, i.interaction_id
            ORDER BY CASE WHEN q.valid_from <= i.started_at THEN 0 ELSE 1 END,
                CASE WHEN q.valid_from <= i.started_at THEN q.valid_from END DESC, q.valid_from,
                CASE WHEN q.valid_from <= i.started_at THEN -q.version ELSE q.version END) AS queue_place
    FROM with_team AS i
    LEFT JOIN queue_versions AS q ON q.queue_id = i.queue_id
) WHERE queue_place = 1;

CREATE TEMPORARY VIEW account_versions AS
SELECT `after`.`account_id` AS account_id, `after`.`name` AS name, `after`.`time_zone` AS time_zone, `after`.`tier` AS tier,
    CAST(TO_TIMESTAMP_LTZ(`source`.`ts_ms`, 3) AS TIMESTAMP(3)) AS valid_from, `source`.`ts_ms` AS committed_ms, version
FROM accounts_log WHERE op IN ('c', 'u', 'r');

CREATE TEMPORARY VIEW with_account AS
SELECT * FROM (
    SELECT i.*, c.name AS account_name, c.time_zone, c.tier, COALESCE(c.committed_ms, 0) AS account_committed_ms,
        ROW_NUMBER() OVER (PARTITION BY i.db, i.interaction_id
            ORDER BY CASE WHEN c.valid_from <= i.started_at THEN 0 ELSE 1 END,
                CASE WHEN c.valid_from <= i.started_at THEN c.valid_from END DESC, c.valid_from,
                CASE WHEN c.valid_from <= i.started_at THEN -c.version ELSE c.version END) AS account_place
    FROM with_queue AS i
    LEFT JOIN account_versions AS c ON c.account_id = i.account_id
) WHERE account_place = 1;

SELECT i.account_id, i.started_at, i.db AS shard, i.interaction_id, i.channel, i.direction, i.state, i.account_name, i.time_zone, i.tier,
    i.queue_id, i.queue_name, i.agent_id, i.agent_name, i.team_id, i.team_name, i.answered_at, i.ended_at, i.is_abandoned, i.cost,
    COALESCE(s.wait_ms, 0) AS wait_ms, COALESCE(s.talk_ms, 0) AS talk_ms, COALESCE(s.hold_ms, 0) AS hold_ms,
    COALESCE(s.wrap_ms, 0) AS wrap_ms, v.score AS survey_score,
    GREATEST(i.committed_ms, i.agent_committed_ms, i.team_committed_ms, i.queue_committed_ms, i.account_committed_ms,
        COALESCE(s.committed_ms, 0), COALESCE(v.committed_ms, 0)) AS committed_ms
FROM with_account AS i
LEFT JOIN segment_times AS s ON s.db = i.db AND s.interaction_id = i.interaction_id
LEFT JOIN newest_surveys AS v ON v.db = i.db AND v.interaction_id = i.interaction_id
