"""What heads look at: on maps whose answer is known, and by chance."""

import pytest
import torch

from course_utils.evaluation import attention_heads


def map_of(place):
    """One head's map (6, 6) that puts all of every row's weight at ``place(row)``."""
    weights = torch.zeros(6, 6)
    for row in range(6):
        weights[row, place(row)] = 1
    return weights


MAPS = torch.stack(
    [
        torch.stack([map_of(lambda row: max(row - 1, 0)), map_of(lambda row: 0)]),
        torch.stack([map_of(lambda row: min(row, 3)), map_of(lambda row: row)]),
    ]
)


def test_each_habit_is_found_where_it_was_put():
    found = attention_heads.habits(MAPS, 3)
    assert attention_heads.strongest(found["previous"]) == (0, 0)
    assert attention_heads.strongest(found["first"]) == (0, 1)
    assert attention_heads.strongest(found["target"]) == (1, 0)
    assert all(table.max() == 1 and table[1, 1] == 0 for table in found.values())


def test_even_weights_give_one_part_in_the_number_of_tokens():
    chance = attention_heads.by_chance(5, 3)
    assert chance["previous"] == pytest.approx((1 / 3 + 1 / 4 + 1 / 5) / 3)
    assert chance["first"] == pytest.approx(chance["previous"])
    assert chance["target"] == pytest.approx(1 / 5)


def test_only_texts_with_the_target_before_their_end_count():
    texts = [[0, 4, 9, 2, 3, 1], [0, 1, 2, 3, 4, 9], [0, 1, 2, 3, 4, 5], [9, 1, 2, 3, 4, 5]]
    found, even = attention_heads.over_texts(lambda ids: MAPS, texts, target=9)
    assert all(table.shape == (1, 2, 2) for table in found.values())
    assert all(row.shape == (1,) for row in even.values())
    assert torch.equal(found["target"][0], attention_heads.habits(MAPS, 2)["target"])


def test_the_lessons_three_heads_are_the_measured_ones():
    """Chosen on one half of the sentences by the measuring program, and named in the lesson's prose."""
    from course_utils import results

    stored = results.read("gpt_heads.json")
    for habit in attention_heads.HABITS:
        row = stored[habit]
        assert row["low"] <= row["value"] <= row["high"] and row["value"] > 2 * row["all_heads"]
        assert row["chance"] < row["low"]
