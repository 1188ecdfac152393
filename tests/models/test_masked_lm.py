"""What guesses hidden tokens: only for the encoder that the shipped weights belong to."""

import copy

import torch

from course_utils.models import masked_lm
from course_utils.models.pretrained import load_encoder


def test_another_encoder_has_no_guesser_and_a_line_says_so(capsys):
    encoder = load_encoder("standin", tier="smoke", texts=["a film", "a good film"])
    assert masked_lm.load_guesser(encoder) is None
    assert "not in use here" in capsys.readouterr().out


def test_a_guesser_gives_the_logits_of_the_hidden_places(monkeypatch):
    encoder = load_encoder("standin", tier="smoke", texts=["a film", "a good film"])
    model = masked_lm.MaskedLM(encoder.model.bert).eval()
    monkeypatch.setattr(masked_lm, "load_shipped", lambda bert: (copy.deepcopy(model), {}))
    ids = torch.tensor([encoder.tokenizer("a [MASK] film [MASK]")["input_ids"]])
    logits = masked_lm.load_guesser(encoder)(ids)
    assert logits.shape == (2, len(encoder.tokenizer)) and not logits.requires_grad
    asked = ids == encoder.tokenizer.mask_token_id
    assert torch.equal(logits, model(ids, torch.ones_like(ids), asked))
