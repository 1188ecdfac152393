"""The training of the GPT, its file, and the weights that ship."""

import math
from itertools import pairwise

import pytest
import torch

from course_utils import runtime
from course_utils.datasets import texts
from course_utils.evaluation import language_models
from course_utils.models import attention, gpt_pipeline, gpt_training, shipped
from course_utils.models.attention import GPT, generate
from course_utils.paths import checkpoints_dir
from course_utils.training.recipes import gpt as recipe
from course_utils.training.settings import SETTINGS


@pytest.fixture(scope="module")
def manual():
    return texts.load_texts("manual", 30)


def test_the_schedule_rises_then_falls_to_a_tenth():
    rates = [gpt_training.learning_rate(step, 200, 1.0) for step in range(200)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)]) and max(
        rates
    ) == pytest.approx(1.0)
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert gpt_training.learning_rate(200, 200, 1.0) == pytest.approx(0.1)
    assert gpt_training.learning_rate(0, 1) > 0


def test_only_matrices_decay_and_every_weight_is_trained_once():
    model = GPT(vocab=20, dim=8, layers=1, heads=2, context=8)
    groups = gpt_training.make_optimizer(model).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert all(p.dim() == 2 for p in groups[0]["params"]) and all(
        p.dim() == 1 for p in groups[1]["params"]
    )
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_a_cut_run_goes_on_to_the_same_weights(manual, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_TIER", "smoke")
    monkeypatch.setenv("COURSE_BF16", "0")
    settings = {**SETTINGS["gpt"]["smoke"], "steps": 12}

    def run_to(steps, folder):
        return recipe.train_gpt(
            runtime.setup(0, quiet=True), manual, folder, {**settings, "steps": steps}
        )[0]

    whole = run_to(12, tmp_path / "whole")
    assert whole.history["loss"][-1] < whole.history["loss"][0]
    folder = tmp_path / "cut"
    original = gpt_training.gpt_step

    def cut(model, optimizer, ids, lr, autocast):
        if cut.count == 7:
            raise KeyboardInterrupt
        cut.count += 1
        return original(model, optimizer, ids, lr, autocast)

    cut.count = 0
    monkeypatch.setattr(recipe, "gpt_step", cut)
    with pytest.raises(KeyboardInterrupt):
        run_to(12, folder)
    monkeypatch.setattr(recipe, "gpt_step", original)
    again = run_to(12, folder)
    assert again.resumed_at is not None and again.weights_sha256 == whole.weights_sha256


def test_training_beats_the_bigram_model_on_text_with_long_ties():
    """Each document repeats its own opening: pairs cannot know it, attention can."""
    random = torch.Generator().manual_seed(0)

    def documents(count):
        halves = [torch.randint(1, 12, (8,), generator=random).tolist() for _ in range(count)]
        return [[0, *half, *half] for half in halves]

    train, held_out = documents(400), documents(60)
    torch.manual_seed(0)
    model = GPT(vocab=12, dim=32, layers=2, heads=2, context=17)
    gpt_training.fine_tune(model, texts.windows(train, 17), steps=400, batch_size=32, peak=4e-3)
    table = language_models.bigram_log_probs(language_models.bigram_counts(train, 12), 5.0).float()
    pairs = language_models.document_nats(lambda ids: table[ids], held_out, 17).mean()
    ours = language_models.document_nats(model.eval(), held_out, 17).mean()
    assert ours < 0.75 * pairs and pairs > 0.9 * 16 * math.log(11)


def test_a_file_gives_back_network_tokens_and_facts(manual, own_data):
    torch.manual_seed(0)
    model = GPT(vocab=300, dim=16, layers=2, heads=2, context=32).eval()
    tokenizer = texts.train_tokenizer(manual.train, 300)
    contents = attention.contents(model, tokenizer, {"data": manual.name, "steps": 3})
    shipped.write(attention.SHIPPED, *contents)
    again, words, facts = attention.load_shipped()
    assert facts["data"] == manual.name and facts["steps"] == 3 and again.sizes == model.sizes
    text = manual.held_out[0][:100] + texts.END
    assert (
        words.encode(text).ids == tokenizer.encode(text).ids
        and words.decode(words.encode(text).ids) == text
    )
    ids = torch.tensor([words.encode(text).ids[:30]])
    with torch.no_grad():
        assert torch.allclose(again(ids), model(ids), atol=2e-3)


def test_the_shipped_network_is_small_and_knows_reviews():
    model, tokenizer, facts = attention.load_shipped()
    assert facts["data"].startswith("IMDB")
    assert (checkpoints_dir() / "gpt_reviews.safetensors").stat().st_size < 7_000_000
    review = "I really liked this movie. The acting is great and the story is very good. I recommend it to everyone."
    found = language_models.score(model, texts.encode(tokenizer, [review]), [review], model.context)
    shuffled = " ".join(sorted(review.split()))
    worse = language_models.score(
        model, texts.encode(tokenizer, [shuffled]), [shuffled], model.context
    )
    assert found.value < 1.6 and worse.value > 1.4 * found.value


def test_the_pipeline_answers_like_any_and_writes_what_we_write():
    model, tokenizer, _ = attention.load_shipped()
    pipe = gpt_pipeline.text_pipeline(model, tokenizer)
    answer = pipe("This film is", max_new_tokens=15, do_sample=False)
    ids = generate(model, tokenizer.encode("This film is").ids, 15, lambda logits: logits.argmax())
    assert isinstance(answer, list) and list(answer[0]) == ["generated_text"]
    assert answer[0]["generated_text"] == tokenizer.decode(ids)


def test_a_short_text_is_read_eight_times_at_most():
    assert gpt_training.most_steps(4_000, 75_000, 16) == 4_000
    assert gpt_training.most_steps(4_000, 100, 16) == 50
