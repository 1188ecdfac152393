"""The sampling widget: what it shows is what its static twin draws, and what the distribution is."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.datasets import texts
from course_utils.display import plots
from course_utils.display.widgets import sampling
from course_utils.models.attention import GPT, causal_mask, filter_logits


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    corpus = texts.load_texts("manual", 20)
    tokenizer = texts.train_tokenizer(corpus.train, 300)
    model = GPT(vocab=300, dim=16, layers=2, heads=2, context=24).eval()
    for weight in model.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    return model, tokenizer


@pytest.fixture
def widget(parts):
    return sampling.sampling(*parts, ["The module", "A <b>bold</b> one"], filter_logits)


def controls(widget):
    prompt, middle, text = widget.children
    left, right = middle.children
    *numbers, buttons = left.children
    temperature, top_k, top_p = (row.children[0] for row in numbers)
    return {
        "prompt": prompt.children[1], "temperature": temperature, "top_k": top_k, "top_p": top_p,
        "one": buttons.children[0], "ten": buttons.children[1], "again": buttons.children[2],
        "picture": right.children[0], "sentence": right.children[1], "text": text,
    }  # fmt: skip


def expected(parts, prompt, settings):
    model, tokenizer = parts
    logits = sampling.next_logits(model, [0, *tokenizer.encode(prompt).ids])
    return sampling.choices(logits, tokenizer, filter_logits, *settings)


@pytest.mark.parametrize(
    "settings", [(0.5, None, None), (1.0, 5, None), (1.3, None, 0.5), (0.8, 20, 0.9)]
)
def test_widget_and_twin_draw_the_same_choices(parts, widget, settings):
    parts_of = controls(widget)
    parts_of["temperature"].value = settings[0]
    parts_of["top_k"].value, parts_of["top_p"].value = settings[1] or 0, settings[2] or 1.0
    found = expected(parts, "The module", settings)
    assert parts_of["sentence"].value == sampling.describe(found)
    assert bytes(parts_of["picture"].value) == sampling.picture_of(found, sampling.sketch())
    figure, axes = plots.subplots(1, 1)
    model, tokenizer = parts
    logits = sampling.next_logits(model, [0, *tokenizer.encode("The module").ids])
    sampling.sampling_static(axes, logits, tokenizer, filter_logits, [settings])
    bars = [bar.get_width() for bar in axes[0].patches]
    assert bars[:15] == pytest.approx(found.drawn.tolist()) and bars[15:] == pytest.approx(
        found.model.tolist()
    )
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == list(found.labels)
    assert sum(text.get_text() == "×" for text in axes[0].texts) == (found.drawn == 0).sum()
    plots.show(figure, alt="a test")


def test_choices_are_the_distribution(parts):
    found = expected(parts, "The module", (0.7, 10, 0.8))
    model, tokenizer = parts
    logits = sampling.next_logits(model, [0, *tokenizer.encode("The module").ids])
    p = filter_logits(logits, 0.7, 10, 0.8).softmax(0)
    assert found.kept == (p > 0).sum() and found.vocab == 300
    assert found.entropy == pytest.approx(
        torch.distributions.Categorical(p).entropy().item(), abs=1e-4
    )
    assert torch.equal(found.drawn, p[logits.argsort(descending=True, stable=True)[:15]])
    assert found.model.sum() <= 1 and (found.model.diff() <= 0).all()


def test_drawing_appends_and_starting_again_repeats_the_same_text(widget):
    shown = controls(widget)
    begin = shown["text"].value
    shown["one"].click()
    first = shown["text"].value
    shown["ten"].click()
    longer = shown["text"].value
    assert begin != first != longer and len(longer) > len(begin)
    shown["again"].click()
    assert shown["text"].value == begin
    shown["one"].click()
    shown["ten"].click()
    assert shown["text"].value == longer
    for _ in range(3):
        shown["ten"].click()  # beyond the context of 24 tokens


def test_text_is_escaped(widget):
    shown = controls(widget)
    shown["prompt"].value = "A <b>bold</b> one"
    assert "&lt;b&gt;bold" in shown["text"].value and "<b>" not in shown["text"].value


def test_labels_are_visible(parts):
    _, tokenizer = parts
    labels = [sampling.token_label(tokenizer, token) for token in range(300)]
    assert (
        labels[0] == "(end)"
        and all(labels)
        and not any(" " in label or "\n" in label for label in labels)
    )


def test_a_slider_draws_once_a_move_and_asks_the_network_nothing(parts, widget, monkeypatch):
    shown, drawn, save = controls(widget), [], Figure.savefig
    monkeypatch.setattr(parts[0], "forward", lambda ids: pytest.fail("the network ran"))
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *a, **k: drawn.append(figure) or save(figure, *a, **k)
    )
    for value in (0.3, 0.6, 0.9):
        shown["temperature"].value = value
    assert len(drawn) == 3 and len(set(drawn)) == 1


def test_attention_weights_are_the_networks(parts):
    model, _ = parts
    ids = torch.randint(300, (9,)).tolist()
    weights = sampling.attention_weights(model, ids)
    assert weights.shape == (2, 2, 9, 9) and torch.allclose(weights.sum(-1), torch.ones(2, 2, 9))
    assert not weights[..., ~causal_mask(9)].any()
    block = model.blocks[0]
    with torch.no_grad():
        x = block.norm1(model.tokens(torch.tensor([ids])) + model.positions(torch.arange(9)))
        v = block.attention.qkv(x).chunk(3, -1)[2].view(1, 9, 2, 8).transpose(1, 2)
        mixed = (weights[0] @ v[0]).transpose(0, 1).flatten(1)
        assert torch.allclose(block.attention.out(mixed), block.attention(x)[0], atol=1e-5)


def test_a_short_axis_says_how_long_its_bars_are(parts):
    found = expected(parts, "The module", (1.0, 1, None))
    figure, (ax,) = plots.subplots()
    sampling.draw_choices(ax, found, bars=4, limit=0.4)
    assert len(ax.patches) == 8 and ax.get_xlim() == (0, 0.4)
    assert [text.get_text() for text in ax.texts] == ["1.00 ▸", "×", "×", "×"]
    plots.put_away(figure)


def test_a_small_map_shows_its_numbers_and_what_is_forbidden(parts):
    model, _ = parts
    figure, axes = plots.subplots(1, 2)
    for ax, length in zip(axes, (4, 9), strict=True):
        weights = sampling.attention_weights(model, list(range(length)))[0, 0]
        sampling.draw_attention(ax, weights, [str(n) for n in range(length)], causal=True)
        assert len(ax.patches) == length * (length - 1) // 2
    assert len(axes[0].texts) == 10 and not axes[1].texts
    assert axes[0].texts[0].get_text() == "1"
    plots.put_away(figure)
