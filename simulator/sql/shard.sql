CREATE TABLE IF NOT EXISTS interactions (
    interaction_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    account_id INT UNSIGNED NOT NULL,
    channel ENUM('voice', 'chat', 'email') NOT NULL,
    direction ENUM('in', 'out') NOT NULL DEFAULT 'in',
    state ENUM('queued', 'ringing', 'talking', 'wrap', 'closed', 'abandoned') NOT NULL,
    queue_id INT UNSIGNED,
    agent_id INT UNSIGNED,
    customer_name VARCHAR(100),
    customer_phone VARCHAR(32),
    started_at DATETIME(3) NOT NULL,
    answered_at DATETIME(3),
    ended_at DATETIME(3),
    is_abandoned TINYINT(1) NOT NULL DEFAULT 0,
    cost DECIMAL(18, 4) NOT NULL DEFAULT 0,
    tags JSON,
    notes TEXT,
    updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
);
CREATE TABLE IF NOT EXISTS interaction_segments (
    interaction_id BIGINT UNSIGNED NOT NULL,
    segment_no SMALLINT UNSIGNED NOT NULL,
    account_id INT UNSIGNED NOT NULL,
    kind ENUM('wait', 'talk', 'hold', 'wrap') NOT NULL,
    agent_id INT UNSIGNED,
    started_at DATETIME(3) NOT NULL,
    duration_ms INT UNSIGNED NOT NULL,
    PRIMARY KEY (interaction_id, segment_no)
);
CREATE TABLE IF NOT EXISTS agent_activity (
    activity_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    account_id INT UNSIGNED NOT NULL,
    agent_id INT UNSIGNED NOT NULL,
    state ENUM('available', 'on contact', 'after-contact work', 'break', 'offline', 'error', 'missed', 'rejected') NOT NULL,
    reason VARCHAR(200),
    occurred_at DATETIME(6) NOT NULL
);
CREATE TABLE IF NOT EXISTS surveys (
    survey_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    interaction_id BIGINT UNSIGNED NOT NULL,
    account_id INT UNSIGNED NOT NULL,
    score TINYINT NOT NULL,
    sentiment DOUBLE,
    comment TEXT,
    answered_at DATETIME NOT NULL
);
