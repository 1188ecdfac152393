"""LoRA beside a linear layer: nothing at first, a change of low rank later, and little that is trained."""

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from course_utils.checks.bert import merged
from course_utils.models import bert, lora


def tiny():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=50, num_labels=2, intermediate_size=16, **sizes)
    return BertForSequenceClassification(config).eval()


def test_it_begins_as_the_layer_and_is_the_layer_with_the_product_added():
    linear, x = nn.Linear(6, 4), torch.randn(5, 6)
    layer = lora.LoRALinear(linear, rank=2, alpha=3.0)
    assert torch.equal(layer(x), linear(x))
    with torch.no_grad():
        layer.up.normal_()
    merged = linear.weight + 1.5 * layer.up @ layer.down
    assert torch.allclose(layer(x), nn.functional.linear(x, merged, linear.bias), atol=1e-5)
    assert torch.linalg.matrix_rank(merged - linear.weight) == 2


def test_only_the_small_matrices_pooler_and_head_are_trained():
    model, ids = tiny(), torch.tensor([[2, 7, 8, 3]])
    before = model(ids).logits
    everything = sum(p.numel() for p in model.parameters())
    share = lora.add(model, rank=2, alpha=4.0)
    assert torch.equal(model(ids).logits, before)
    added, head = 2 * 2 * 2 * 2 * 16, 16 * 16 + 16 + 2 * 16 + 2
    assert lora.trainable(model) == added + head
    assert share == (added + head) / (everything + added)
    names = {n.split(".")[-1] for n, p in model.named_parameters() if p.requires_grad}
    assert names == {"up", "down", "weight", "bias"}


def test_a_few_steps_change_what_is_trained_and_nothing_else():
    model = tiny()
    lora.add(model, rank=2, alpha=4.0)
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    texts, labels = [[2, 7, 8, 3], [2, 9, 3]], torch.tensor([1, 0])
    losses = bert.train_on(model, texts, labels, [torch.tensor([0, 1])] * 30, 1e-2, 0)
    assert losses[-1] < losses[0]
    now = dict(model.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in frozen.items())
    assert now["bert.encoder.layer.0.attention.self.query.up"].abs().max() > 0


def test_rank_zero_leaves_pooler_and_head():
    model = tiny()
    lora.add(model, rank=0, alpha=1.0)
    assert {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad} == {
        "bert",
        "classifier",
    }
    assert lora.trainable(model) == 16 * 16 + 16 + 2 * 16 + 2


def test_merged_layers_answer_as_before_with_the_weights_of_a_plain_network():
    model, ids = tiny(), torch.tensor([[2, 7, 8, 3]])
    plain_weights = sum(p.numel() for p in model.parameters())
    lora.add(model, rank=2, alpha=4.0)
    for block in model.bert.encoder.layer:
        nn.init.normal_(block.attention.self.query.up)
        nn.init.normal_(block.attention.self.value.up)
    before = model(ids).logits
    assert lora.merge(model, merged.reference) == plain_weights
    assert not any(isinstance(m, lora.LoRALinear) for m in model.modules())
    assert torch.allclose(model(ids).logits, before, atol=1e-5)
