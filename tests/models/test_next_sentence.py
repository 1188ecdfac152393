"""The batches of BERT's two tasks: halves that belong together or not, with tokens hidden in them."""

from types import SimpleNamespace

import torch

from course_utils.models import bert, next_sentence


class Tokenizer(SimpleNamespace):
    def __len__(self):
        return 100


TOKENIZER = Tokenizer(
    cls_token_id=2, sep_token_id=3, pad_token_id=0, mask_token_id=4, all_special_ids=[0, 2, 3, 4]
)
TEXTS = [[2, *range(10 * i, 10 * i + 8), 3] for i in range(1, 5)]


def test_pairs_hold_both_halves_and_say_which_second_half_is_anothers():
    generator, seen = torch.Generator().manual_seed(0), set()
    for _ in range(20):
        batch = next_sentence.pair_batch(TEXTS, TOKENIZER, generator)
        for place, (row, keep, segment, other) in enumerate(zip(*batch, strict=True)):
            row, segment = row[keep.bool()].tolist(), segment[keep.bool()].tolist()
            first = [i for i, s in zip(row, segment, strict=True) if s == 0]
            second = [i for i, s in zip(row, segment, strict=True) if s == 1]
            assert first == [2, *TEXTS[place][1:5], 3] and second[-1] == 3
            assert second[:-1] == TEXTS[place - 1 if other else place][5:-1]
            seen.add(bool(other))
    assert seen == {True, False}


def test_questions_hide_tokens_of_such_pairs_and_no_special_ones():
    ours, theirs = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    shown, labels, *others = next_sentence.questions(TEXTS, TOKENIZER, ours, bert.mask_tokens)
    ids, *pairs = next_sentence.pair_batch(TEXTS, TOKENIZER, theirs)
    assert all(torch.equal(a, b) for a, b in zip(others, pairs, strict=True))
    asked = labels != -100
    assert asked.any() and torch.equal(labels[asked], ids[asked])
    assert torch.equal(shown[~asked], ids[~asked]) and (ids[asked] > 4).all()
