"""What a schema id means is remembered for each making of a topic: a topic made anew knows another registry's
ids."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("known_schemas")}
    if "topic" not in columns:
        op.execute(
            "CREATE TABLE IF NOT EXISTS known_schemas_of_topics (topic VARCHAR(249) NOT NULL, generation "
            "INTEGER NOT NULL, "
            "schema_id BIGINT NOT NULL, fingerprint VARCHAR(64) NOT NULL, `schema` MEDIUMTEXT NOT NULL, "
            "seen_at DATETIME NOT NULL, "
            "PRIMARY KEY (topic, generation, schema_id))"
        )
        op.execute(
            "INSERT IGNORE INTO known_schemas_of_topics SELECT made.topic, made.generation, known.schema_id, "
            "known.fingerprint, "
            "known.`schema`, known.seen_at FROM known_schemas known CROSS JOIN topic_generations made"
        )
        op.execute(
            "RENAME TABLE known_schemas TO known_schemas_before, known_schemas_of_topics TO known_schemas"
        )
    op.execute("DROP TABLE IF EXISTS known_schemas_before")
