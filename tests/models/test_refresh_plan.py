"""What the built models say to the refreshing worker: which landings move them, in which order."""

from __future__ import annotations

import itertools

import clickhouse_connect
import pytest

from api.workers.refreshing import PLAN, Step


@pytest.fixture(scope="module")
def plan(ranked_clickhouse_url: str) -> list[Step]:
    with clickhouse_connect.get_client(dsn=ranked_clickhouse_url) as client:
        return list(itertools.starmap(Step, client.query(PLAN).result_rows))


def due(plan: list[Step], table: str) -> list[str]:
    return [step.name for step in plan if step.is_due(frozenset({table}))]


def test_an_event_moves_signals_and_no_list_of_candidates_nor_any_post(plan: list[Step]) -> None:
    assert due(plan, "events") == ["video_signals_mv", "dict_video_signals"]


def test_a_post_and_its_reactions_move_no_video(plan: list[Step]) -> None:
    of_posts = [step.name for step in plan if "posts" in step.made_of]
    assert "post_cards_mv" in of_posts
    assert due(plan, "posts") == due(plan, "post_engagement") == of_posts
    assert not set(of_posts) & set(due(plan, "videos"))


def test_what_is_made_of_others_comes_after_them(plan: list[Step]) -> None:
    steps = {step.name: step.number for step in plan}
    assert steps["post_cards_mv"] < steps["cand_post__by_author_mv"]
    assert steps["video_signals_mv"] < steps["dict_video_signals"]
    assert steps["cand_list__videos_mv"] < steps["dict_candidate_lists"]
