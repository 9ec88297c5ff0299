SELECT account_id, agent_id, team_id, team, name, SPLIT_INDEX(winner, '|', 2) AS state,
    NULLIF(REGEXP_EXTRACT(winner, '^(?s)(?:[^|]*\|){3}(.*)$', 1), '') AS reason,
    CAST(NULLIF(SPLIT_INDEX(winner, '|', 1), '') AS TIMESTAMP(3)) AS since,
    '{"voice":' || CAST(voice AS STRING) || ',"chat":' || CAST(chat AS STRING) || ',"email":' || CAST(email AS STRING) || '}' AS contacts,
    COALESCE(JSON_STRING(queues), '[]') AS queues, committed_ms
FROM agents_now
