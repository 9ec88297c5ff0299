from __future__ import annotations

import pytest

from connectors.alter_actions import Effect, effects


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("ADD COLUMN a INT", {Effect.COLUMNS}),
        ("ADD a INT, DROP b, MODIFY COLUMN c INT", {Effect.COLUMNS}),
        ("ADD COLUMN (a INT, b DECIMAL(9,2))", {Effect.COLUMNS}),
        ("MODIFY g INT AS (x*100) STORED", {Effect.COMPUTES}),
        ("CHANGE g h INT GENERATED ALWAYS AS (x+1) VIRTUAL", {Effect.COMPUTES}),
        ("ADD INDEX by_a (a), ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES o (id)", {Effect.NONE}),
        ("ADD UNIQUE KEY u (a, b), DROP PRIMARY KEY, RENAME INDEX u TO v", {Effect.NONE}),
        ("TRUNCATE PARTITION p0", {Effect.DELETES}),
        ("DROP PARTITION p0, p1", {Effect.DELETES}),
        ("ADD PARTITION (PARTITION p3 VALUES LESS THAN (10))", {Effect.NONE}),
        ("REORGANIZE PARTITION p0 INTO (PARTITION a VALUES LESS THAN (5))", {Effect.NONE}),
        ("EXCHANGE PARTITION p0 WITH TABLE other", {Effect.UNKNOWN}),
        ("DISCARD TABLESPACE", {Effect.UNKNOWN}),
        ("IMPORT TABLESPACE", {Effect.UNKNOWN}),
        ("COMMENT = 'TRUNCATE PARTITION p0, it''s', ENGINE=InnoDB, AUTO_INCREMENT=7", {Effect.NONE}),
        ("DEFAULT CHARACTER SET utf8mb4, ALGORITHM=INPLACE, LOCK=NONE", {Effect.NONE}),
        ("CONVERT TO CHARACTER SET utf8mb4", {Effect.COLUMNS}),
        ("/* DROP PARTITION p0 */ FORCE", set()),
        ("ANALYZE PARTITION p0, p1", {Effect.NONE}),
        ("/*!50100 TRUNCATE PARTITION p0 */", {Effect.DELETES}),
        ("COMMENT 'a', EXCHANGE PARTITION p0 WITH TABLE other;", {Effect.NONE, Effect.UNKNOWN}),
        ("ALTER COLUMN a SET DEFAULT (1), RENAME COLUMN b TO c", {Effect.COLUMNS, Effect.COMPUTES}),
        ("RENAME COLUMN a TO b, RENAME COLUMN b TO a", {Effect.COMPUTES}),
        ("CHANGE a b INT, CHANGE COLUMN `b` `a` INT", {Effect.COMPUTES}),
        ("CHANGE a a BIGINT, CHANGE COLUMN `b` `b` INT", {Effect.COLUMNS}),
        ("DROP COLUMN a, ADD COLUMN b INT", {Effect.COLUMNS}),
        ("DROP INDEX i, ADD INDEX i (a)", {Effect.NONE}),
        ("DROP PRIMARY KEY, ADD PRIMARY KEY (a, b)", {Effect.NONE}),
        ("DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (a > 0)", {Effect.NONE}),
        (
            "DROP PARTITION p0, ADD PARTITION (PARTITION p1 VALUES LESS THAN (5))",
            {Effect.DELETES, Effect.NONE},
        ),
        ("DROP COLUMN a, ADD COLUMN `A` INT", {Effect.COLUMNS, Effect.COMPUTES}),
        ("ADD (b INT, a DECIMAL(9,2)), DROP a", {Effect.COLUMNS, Effect.COMPUTES}),
    ],
)
def test_the_effects_of_actions(actions: str, expected: set[Effect]) -> None:
    for table in ("calls", "`acc_1` . `calls`", "acc_1.calls", "`a,b (c)`"):
        assert effects(f"ALTER  TABLE\n {table} {actions}") == expected


@pytest.mark.parametrize("statement", ["CREATE INDEX by_a ON calls (a)", "TRUNCATE TABLE calls", ""])
def test_other_statements_have_no_actions(statement: str) -> None:
    assert effects(statement) == set()
