"""The control database's revisions: one chain, each found by its number."""

from __future__ import annotations

from alembic.script import ScriptDirectory

from core.control.database import MIGRATIONS, NEWEST


def test_the_revisions_are_one_chain_in_the_order_of_their_files() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [NEWEST]
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    assert revisions == sorted(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
