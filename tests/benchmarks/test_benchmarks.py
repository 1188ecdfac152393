"""The textbook loops are honest baselines: they train, and they train what the course trains."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from test_threads import SPIN

from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
from course_utils.models import attention, bert, dcgan, flow, gan_steady, vae
from course_utils.models.pretrained import load_encoder
from measuring.benchmarks import (
    bench,
    busy,
    quality,
    textbook_bert,
    textbook_dcgan,
    textbook_flow,
    textbook_gpt,
    textbook_vae,
)
from measuring.benchmarks.sides import Side, geometric_interval

pytestmark = pytest.mark.slow

SMALL = {
    "dcgan": {
        "batch_size": 16,
        "latent_dim": 8,
        "width": 4,
        "images": 64,
        "workers": 0,
        "data": "standin",
    },
    "vae": {
        "batch_size": 16,
        "latent_dim": 8,
        "width": 4,
        "images": 64,
        "workers": 0,
        "data": "standin",
    },
    "gpt": {
        "batch_size": 4,
        "vocab": 300,
        "dim": 16,
        "layers": 1,
        "heads": 2,
        "context": 32,
        "documents": 30,
    }
    | {"data": "manual"},
    "flow": {
        "batch_size": 16,
        "width": 4,
        "images": 64,
        "average": 0.9,
        "workers": 0,
        "data": "standin",
    },
    "bert": {"batch_size": 4, "max_tokens": 16, "reviews": 32, "data": "standin", "keep": "head"},
}


def same_numbers(theirs: torch.nn.Module, ours: torch.nn.Module) -> None:
    """Give ``ours`` the numbers of ``theirs``, which stand in the same order under other names."""
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))


def drawn_at_random(network: torch.nn.Module) -> None:
    """Give also those layers numbers that begin at zero."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.2)


def same_layers(theirs: torch.nn.Module, ours: torch.nn.Module) -> None:
    """As `same_numbers`, where a convolution over places in a row stands for one over a square."""
    pairs = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict({name: value.reshape(own.shape) for (name, own), value in pairs})


@pytest.mark.parametrize("lesson", sorted(SMALL))
@pytest.mark.parametrize("side", ["textbook", "course"])
def test_both_sides_train_in_turns(lesson: str, side: str, tmp_path) -> None:
    process = Side(lesson, side, {**SMALL[lesson], "steps": 400})
    first = process.steps(4)
    assert (first["steps"], first["examples"]) == (4, 4 * SMALL[lesson]["batch_size"])
    timed = process.run(0.2)
    assert timed["seconds"] >= 0.2 and timed["all_steps"] == 4 + timed["steps"]
    assert process.flops() > 0
    process.save(tmp_path / "network.pt")
    process.close()
    tensors = torch.load(tmp_path / "network.pt", weights_only=True)
    assert all(torch.isfinite(value.float()).all() for value in tensors.values())


@pytest.mark.parametrize(("lesson", "steps"), [("vae", 60), ("gpt", 60), ("flow", 300)])
def test_a_textbook_loss_falls(lesson: str, steps: int) -> None:
    wider = {"width": 8} if lesson == "flow" else {}  # narrower ones end at the bound itself
    process = Side(lesson, "textbook", {**SMALL[lesson], **wider, "steps": 400})
    first = process.steps(3)["loss"]
    process.steps(steps)
    assert process.steps(20)["loss"] < 0.8 * first
    process.close()


def test_the_textbook_discriminator_learns() -> None:
    torch.manual_seed(0)
    pictures = load_images("standin", limit=64).images
    state: dict = {}
    settings = {"batch_size": 32, "latent_dim": 8, "width": 8, "workers": 0}
    steps = textbook_dcgan.train(pictures, settings, state)
    losses = [next(steps)["loss"] for _ in range(100)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert state["generator"](torch.randn(2, 8, 1, 1)).shape == (2, 3, 32, 32)


def test_the_textbook_dcgan_is_the_lessons_network_and_loss() -> None:
    theirs, ours = textbook_dcgan.Generator(8, 4), dcgan.make_generator(8, 4)
    same_numbers(theirs, ours)
    noise = torch.randn(5, 8, 1, 1)
    assert torch.equal(theirs(noise), ours(noise))
    judge, logits = textbook_dcgan.Discriminator(4), dcgan.make_discriminator(4)
    same_numbers(judge, logits)
    images = torch.rand(5, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(judge(images), logits(images).sigmoid())
    pictures = torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8)
    read = textbook_dcgan.Images(pictures.permute(0, 2, 3, 1).contiguous().numpy())[3]
    torch.testing.assert_close(read, dcgan.to_tanh_range(pictures[3]))


def test_the_textbook_vae_is_the_lessons_network_and_loss() -> None:
    theirs, ours = textbook_vae.VAE(8, 4).eval(), vae.VAE(8, 4).eval()
    same_numbers(theirs.decoder, ours.decoder)
    heads = theirs.fc_mu, theirs.fc_logvar
    convolutions = list(theirs.encoder.state_dict().values())
    tensors = [
        *convolutions,
        *(torch.cat([getattr(h, name) for h in heads]) for name in ("weight", "bias")),
    ]
    ours.encoder.load_state_dict(dict(zip(ours.encoder.state_dict(), tensors, strict=True)))
    x = torch.rand(6, 3, 32, 32) * 2 - 1
    torch.manual_seed(1)
    nll, kl = textbook_vae.loss_function(
        *(lambda r, m, v: (r, x, m, v))(*theirs(x)), theirs.log_var
    )
    torch.manual_seed(1)
    parts = vae.losses(ours, x, torch.randn(6, 8))
    torch.testing.assert_close(parts.nll.mean(), nll)
    torch.testing.assert_close(parts.kl_per_dim.sum(1).mean(), kl)


def test_the_textbook_flow_takes_the_lessons_step() -> None:
    images = load_images("standin", limit=16)
    pictures = images.images.permute(0, 2, 3, 1).contiguous().numpy()
    picture, label = textbook_flow.Labelled(pictures, images.labels.tolist())[3]
    torch.testing.assert_close(picture, dcgan.to_tanh_range(images.images[3]))
    assert label == images.labels[3]
    x1, noise = dcgan.to_tanh_range(images.images), torch.randn(16, 3, 32, 32)
    torch.manual_seed(1)
    matcher = textbook_flow.ConditionalFlowMatcher()
    t, xt, ut = matcher.sample_location_and_conditional_flow(noise, x1)
    torch.manual_seed(1)
    assert torch.equal(t, flow.sample_times(torch.randn(16)))
    network, theirs = flow.Velocity(width=4), textbook_flow.UNet(4, 10)
    drawn_at_random(network)
    same_layers(network, theirs)
    vt = theirs(xt, t, images.labels)
    torch.testing.assert_close(vt, network(xt, t, images.labels), atol=1e-5, rtol=1e-4)
    assert vt.is_contiguous() and not vt.is_contiguous(memory_format=torch.channels_last)
    loss = torch.mean((vt - ut) ** 2)
    ours = flow.flow_step(
        network, flow.make_optimizer(network), x1, images.labels, noise, t, lr=0.0
    )
    assert ours["loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_the_textbook_average_is_the_lessons() -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 3)
    theirs, ours = textbook_flow.EMA(network, 0.9), gan_steady.make_average(network, 0.9)
    ours.update_parameters(network)  # its first update copies
    for _ in range(5):
        with torch.no_grad():
            network.weight += torch.randn(3, 3)
        theirs.update(network)
        ours.update_parameters(network)
    torch.testing.assert_close(theirs.shadow.weight, ours.module.weight)


def test_the_textbook_gpt_is_the_lessons_network_and_loss() -> None:
    sizes = {"vocab": 50, "dim": 16, "layers": 2, "heads": 2, "context": 12}
    theirs, ours = (
        textbook_gpt.GPTLanguageModel(*sizes.values()).eval(),
        attention.GPT(**sizes).eval(),
    )
    with torch.no_grad():
        ours.tokens.weight.copy_(theirs.token_embedding_table.weight)
        ours.positions.weight.copy_(theirs.position_embedding_table.weight)
        for a, b in zip(theirs.blocks, ours.blocks, strict=True):
            for part in ("weight", "bias"):
                rows = [
                    getattr(getattr(h, n), part)
                    for n in ("query", "key", "value")
                    for h in a.sa.heads
                ]
                getattr(b.attention.qkv, part).copy_(torch.cat(rows))
            for x, y in (
                (a.sa.proj, b.attention.out),
                (a.ffwd, b.mlp),
                (a.ln1, b.norm1),
                (a.ln2, b.norm2),
            ):
                y.load_state_dict(x.state_dict())
        ours.norm.load_state_dict(theirs.ln_f.state_dict())
    ids = torch.randint(50, (3, 12))
    logits, loss = theirs(ids[:, :-1], ids[:, 1:])
    torch.testing.assert_close(ours(ids)[:, :-1], logits)
    torch.testing.assert_close(attention.next_token_loss(ours(ids), ids), loss)


def test_the_textbook_bert_sees_the_same_texts_padded() -> None:
    reviews = load_reviews("standin", limit=8)
    encoder = load_encoder("standin", tier="smoke", texts=reviews.texts)
    sequences = encoder.encode(reviews.texts, 16)
    ids, mask = bert.pad_batch(sequences, encoder.tokenizer.pad_token_id)
    whole = encoder.tokenizer(
        list(reviews.texts), truncation=True, padding="max_length", max_length=20
    )
    data = textbook_bert.Reviews(
        {k: whole[k] for k in ("input_ids", "attention_mask")}, reviews.labels.tolist()
    )
    row = data[0]
    assert len(row["input_ids"]) == 20 and row["labels"] == reviews.labels[0]
    with torch.no_grad():
        padded = encoder.model(row["input_ids"][None], row["attention_mask"][None]).logits
        exact = encoder.model(ids[:1], mask[:1]).logits
    if len(sequences[0]) < 16:
        torch.testing.assert_close(padded, exact)


def test_a_row_has_what_the_record_promises(capsys) -> None:
    rows = bench.measure(
        "gpt", {**SMALL["gpt"], "steps": 4_000}, 0.2, 2, {"float32": 100.0, "bfloat16": 100.0}
    )
    wanted = {
        "lesson",
        "bf16",
        "textbook_per_s",
        "course_per_s",
        "ratio",
        "ratio_low",
        "ratio_high",
        "peak_share",
    }
    assert [row["bf16"] for row in rows][-1] is False
    for row in rows:
        assert wanted <= set(row)
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"] and row["peak_share"] > 0
    assert "of the matrix peak" in capsys.readouterr().out


def test_ways_to_wait_are_timed_alone_and_beside_a_busy_process(monkeypatch) -> None:
    small = {**SMALL["gpt"], "steps": 100_000}
    monkeypatch.setattr(busy, "WARM", 0.1)
    rows = busy.measure("gpt", small, 0.1, 2)
    assert [row["waiting"] for row in rows] == list(busy.WAITING)
    assert rows[0]["cost"]["value"] == pytest.approx(1.0)
    for row in rows:
        assert row["kept"]["low"] <= row["kept"]["value"] <= row["kept"]["high"]
        assert row["alone_per_s"] > 0 and row["busy_per_s"] > 0 and row["rounds"] == 2


def test_a_side_waits_as_it_is_told(monkeypatch) -> None:
    monkeypatch.setenv("OMP_DISPLAY_ENV", "verbose")
    spins = {}
    for name, waiting in busy.WAITING.items():
        side = Side("gpt", "textbook", {**SMALL["gpt"], "steps": 4}, waiting=waiting)
        side.process.stdin.close()
        spins[name] = {int(n) for n in SPIN.findall(side.process.stderr.read())}
        side.process.wait()
    assert min(spins["pytorch"]) > 10_000
    assert spins["course"] == spins["threads asleep"] == {10_000}
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    told = "import course_utils, os; print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'])"
    own = {name: value for name, value in os.environ.items() if name not in names}
    said = subprocess.run(
        [sys.executable, "-c", told], env=own, capture_output=True, text=True, check=True
    )
    assert dict(zip(names, said.stdout.split(), strict=True)) == busy.WAITING["course"]


def test_only_the_busy_rows_are_measured_when_they_are_asked_for(monkeypatch) -> None:
    kept = {}
    monkeypatch.setattr(
        bench.results, "earlier", lambda name: {"rows": [{"lesson": "gpt", "ratio": 2}]}
    )
    monkeypatch.setattr(bench.results, "write", lambda name, content, **_: kept.update(content))
    monkeypatch.setattr(busy, "measure", lambda *_: [{"lesson": "gpt", "waiting": "course"}])
    assert bench.main(["gpt", "--busy"]) == 0
    assert kept["rows"] == [{"lesson": "gpt", "ratio": 2}]
    assert [row["waiting"] for row in kept["busy"]] == ["course"]


def test_a_new_lessons_rows_come_last_and_others_keep_their_place(monkeypatch) -> None:
    kept = {}
    rows = [{"lesson": n, "bf16": b, "ratio": 2} for n in ("dcgan", "vae") for b in (True, False)]
    monkeypatch.setattr(bench, "matrix_peak", lambda dtype: 1e9)
    old = {"machine": {"cpu": "old"}, "matrix_peak_gflops": {"float32": 7}}
    monkeypatch.setattr(bench.results, "earlier", lambda name: {"rows": rows, **old, **kept})
    monkeypatch.setattr(bench.results, "write", lambda name, content, **_: kept.update(content))
    measured = [{"bf16": True, "ratio": 3}, {"bf16": False, "ratio": 3}]
    monkeypatch.setattr(bench, "measure", lambda n, *_: [{"lesson": n, **row} for row in measured])
    assert bench.main(["flow"]) == 0
    assert kept["rows"][:4] == [{**old, **row} for row in rows]  # not the new machine's
    assert [row["lesson"] for row in kept["rows"]] == ["dcgan"] * 2 + ["vae"] * 2 + ["flow"] * 2
    assert bench.main(["dcgan"]) == 0
    again = kept["rows"]
    assert [row["lesson"] for row in again] == ["dcgan"] * 2 + ["vae"] * 2 + ["flow"] * 2
    assert [row["ratio"] for row in again] == [3, 3, 2, 2, 3, 3]


def test_the_score_of_a_flow_takes_the_averages_of_both_sides(monkeypatch) -> None:
    sizes, asked = {"width": 4, "average": 0.9}, []
    monkeypatch.setitem(quality.LAPTOP, "flow", quality.LAPTOP["flow"] | sizes)
    monkeypatch.setattr(quality, "_reference", lambda data: SimpleNamespace(score=score_of(asked)))
    network = textbook_flow.UNet(4, 10)
    drawn_at_random(network)
    ours = flow.Velocity(width=4)
    same_layers(network, ours)
    averages = textbook_flow.EMA(network, 0.9).shadow, gan_steady.make_average(ours, 0.9)
    for side, average in zip(("textbook", "course"), averages, strict=True):
        assert quality._flow_fd(average.state_dict(), side, {"data": None}) == 1.5
    assert (asked[0].int() - asked[1].int()).abs().max() <= 1  # grey levels


def score_of(asked):
    """A reference's `score` that keeps four pictures of what it is asked about."""

    def score(sampler):
        asked.append(sampler(4))
        return {"FD": SimpleNamespace(value=1.5)}

    return score


def test_an_interval_of_ratios_is_geometric() -> None:
    value, low, high = geometric_interval([2.0, 8.0, 4.0])
    assert value == pytest.approx(4.0) and low * high == pytest.approx(16.0)


def test_quality_is_compared_for_every_lesson_that_is_timed() -> None:
    assert set(quality.STEPS) == set(quality.METRICS) == set(quality._SCORES) == set(bench.SWEEPS)
