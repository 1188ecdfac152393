"""The small GPT of lesson 05 as the library has it: `transformers`' own network, and its pipeline for text."""

from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from course_utils.datasets.texts import END
from course_utils.models.attention import GPT


def to_transformers(model: GPT) -> Any:
    """The same network as a `transformers.GPT2LMHeadModel`, in evaluation mode: it is GPT-2's, layer for layer."""
    from transformers import (  # seconds to import, and only this needs it
        GPT2Config,
        GPT2LMHeadModel,
    )

    s = model.sizes
    config = GPT2Config(
        vocab_size=s["vocab"], n_positions=s["context"], n_embd=s["dim"], n_layer=s["layers"], n_head=s["heads"],
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config)
    ours = model.state_dict()
    renamed = {_their_name(key): value for key, value in ours.items()}
    turned = (
        "c_attn.weight",
        "c_proj.weight",
        "c_fc.weight",
    )  # its linear layers keep their weights transposed
    state = {
        key: value.T.contiguous() if key.endswith(turned) else value
        for key, value in renamed.items()
    }
    theirs.load_state_dict({**state, "lm_head.weight": ours["tokens.weight"]})
    return theirs.to(model.tokens.weight.device).eval()


def random_gpt2(vocab: int, context: int) -> Any:
    """The library's GPT-2, small and with random weights, in evaluation mode.

    Its weights come from torch's own random numbers, large enough that a fault would show in its logits.

    Args:
        vocab: tokens in the vocabulary.
        context: the most tokens that it reads.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocab, n_embd=64, n_layer=2, n_head=4, n_positions=context,
        bos_token_id=0, eos_token_id=0, initializer_range=0.2,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def from_transformers(theirs: Any) -> dict[str, Tensor]:
    """The weights of a `transformers.GPT2LMHeadModel` under our names, as `attention.GPT` loads them."""
    state = {}
    for key, weight in theirs.transformer.named_parameters(prefix="transformer"):
        name = our_name(key)
        linear = weight.dim() == 2 and name.startswith("blocks.")  # they are kept transposed
        state[name] = weight.detach().T if linear else weight.detach()
    return state


def our_name(key: str) -> str:
    """What a weight of the library's GPT-2 is called in ours: ``transformer.wte.weight`` -> ``tokens.weight``."""
    for ours, theirs in _NAMES.items():
        if theirs.startswith(".") or key.startswith(theirs):
            key = key.replace(theirs, ours, 1)
    return key


def text_pipeline(model: GPT, tokenizer: Tokenizer) -> Any:
    """``transformers.pipeline("text-generation")`` around a small GPT: the same call, the same answer's form."""
    from transformers import PreTrainedTokenizerFast, pipeline

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=END
    )
    device = model.tokens.weight.device
    return pipeline(
        "text-generation", model=to_transformers(model), tokenizer=wrapped, device=device
    )


_NAMES = {
    "tokens.": "transformer.wte.",
    "positions.": "transformer.wpe.",
    "norm.": "transformer.ln_f.",
    "blocks.": "transformer.h.",
    ".norm1.": ".ln_1.",
    ".norm2.": ".ln_2.",
    ".attention.qkv.": ".attn.c_attn.",
    ".attention.out.": ".attn.c_proj.",
    ".mlp.0.": ".mlp.c_fc.",
    ".mlp.2.": ".mlp.c_proj.",
}


def _their_name(key: str) -> str:
    for ours, theirs in _NAMES.items():
        if ours.startswith(".") or key.startswith(ours):
            key = key.replace(ours, theirs, 1)
    return key
