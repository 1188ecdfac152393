"""Exercise `block_forward`: what a transformer's block does to the stream of its tokens."""

import torch
from torch import Tensor, nn

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_gradient, expect_like
from course_utils.models.attention import Block


def _block_in_sums(block: nn.Module, x: Tensor) -> Tensor:
    """Both additions, each to what the stream holds by then."""
    told = block.attention(block.norm1(x))  # type: ignore[operator]
    thought = block.mlp(block.norm2(told + x))  # type: ignore[operator]
    return torch.stack([x, told, thought]).sum(0)


def _parts(b: nn.Module) -> tuple[nn.Module, ...]:
    return b.norm1, b.attention, b.norm2, b.mlp  # type: ignore[return-value]


def _of(how: Answer) -> Answer:
    return lambda block, x: how(x, *_parts(block))


_MISTAKES: list[Wrong] = [
    (
        _of(lambda x, n1, a, n2, m: x + m(n2(x + a(n1(x))))),
        "What attention found reaches the last network and is then lost: it has to stay in the stream too.",
    ),
    (
        _of(lambda x, n1, a, n2, m: m(n2(a(n1(x))))),
        "Nothing is added: each part's answer took the stream's place. Both are additions to what is there.",
    ),
    (
        _of(lambda x, n1, a, n2, m: m(n2(x + a(n1(x))))),
        "The second addition is missing: the last network's answer took the stream's place.",
    ),
    (
        _of(lambda x, n1, a, n2, m: a(n1(x)) + m(n2(a(n1(x))))),
        "The first addition is missing: attention's answer took the stream's place.",
    ),
    (
        _of(lambda x, n1, a, n2, m: x + a(n1(x)) + m(n2(x))),
        "Both parts read the old stream. The second reads what the first has left there.",
    ),
    (
        _of(lambda x, n1, a, n2, m: n2(n1(x + a(x)) + m(n1(x + a(x))))),
        "Normalised after each addition, as in the first transformer. Here each part reads a normalised copy.",
    ),
    (
        _of(lambda x, n1, a, n2, m: x + a(x) + m(x + a(x))),
        "No part reads a normalised copy: norm1 and norm2 are not used.",
    ),
    (
        _of(lambda x, n1, a, n2, m: x + a(x) + m(n2(x + a(x)))),
        "Attention reads the stream itself: norm1 is not used.",
    ),
    (
        _of(lambda x, n1, a, n2, m: x + a(n1(x)) + m(x + a(n1(x)))),
        "The last network reads the stream itself: norm2 is not used.",
    ),
    (
        _of(lambda x, n1, a, n2, m: x + a(n1(x)) + m(n1(x + a(n1(x))))),
        "norm1 is used twice; each part has a norm of its own.",
    ),
    (
        _of(lambda x, n1, a, n2, m: x + a(n2(x)) + m(n1(x + a(n2(x))))),
        "The two norms changed places.",
    ),
    (
        _of(lambda x, n1, a, n2, m: x + m(n2(x)) + a(n1(x + m(n2(x))))),
        "The order: first tokens talk to each other (attention), then each one thinks for itself.",
    ),
    (
        _of(lambda x, n1, a, n2, m: n1(x) + a(n1(x)) + m(n2(n1(x) + a(n1(x))))),
        "The normalised copy went on as the stream. It is only read; what is added to is x.",
    ),
    (
        _of(lambda x, n1, a, n2, m: n2(n1(x) + a(n1(x))) + m(n2(n1(x) + a(n1(x))))),
        "The normalised copies went on as the stream, twice. They are only read; what is added to is the stream "
        "itself.",
    ),
    (
        _of(lambda x, n1, a, n2, m: n2(x + a(n1(x))) + m(n2(x + a(n1(x))))),
        "The second sum is made with the normalised copy: what the mlp's answer is added to is the stream itself.",
    ),
    (
        _of(lambda x, n1, a, n2, m: x + a(n1(x))),
        "The second half is missing: the network for each token.",
    ),
]


_WORKED = (
    "In numbers: x = 3, attention answers 2 to norm1(3), so the stream is 3 + 2 = 5; the mlp answers 1 to norm2(5), "
    "so it leaves as 5 + 1 = 6."
)
_SAYS = {"leaf Variable": "`+=` writes into the caller's x. `x = x + ...` makes a new stream."}


@exercise(_block_in_sums)
def block_forward(fn: Answer) -> None:
    """Check ``block_forward(block, x)``: a block with norm1, attention, norm2 and mlp; (B, T, D) -> (B, T, D)."""
    for batch, length, dim, heads in ((2, 5, 12, 3), (1, 3, 8, 2)):
        block, x = _random_block(dim, heads), torch.randn(batch, length, dim, requires_grad=True)
        got, expected = call(fn, block, x, says=_SAYS), _block_in_sums(block, x)
        expect_like(
            got,
            expected,
            f"the stream after the block, for x of shape {tuple(x.shape)}",
            inputs=(block, x),
            wrong=_MISTAKES,
            shape="The stream keeps its shape: both parts return (B, T, D), and both are added to it.",
            hint=_WORKED,
        )
        expect_gradient(got, expected, {"x": x})


def _random_block(dim: int, heads: int) -> Block:
    """With norms that differ and weights large enough for every mistake to show."""
    block = Block(dim, heads)
    for name, weight in block.named_parameters():
        nn.init.normal_(weight, 1.0 if "norm" in name and "weight" in name else 0.0, 0.5)
    return block
