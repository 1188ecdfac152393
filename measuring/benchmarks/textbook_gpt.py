"""A small GPT as tutorials write it; the baseline of ``python3 run.py bench``.

One module for each head with its own three matrices, float32, random windows of one long text. Sizes, batch, optimiser
and schedule are those of lesson 05.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn as nn
from torch.nn import functional as F


class Head(nn.Module):
    def __init__(self, n_embd: int, head_size: int, block_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(n_embd, head_size)
        self.query = nn.Linear(n_embd, head_size)
        self.value = nn.Linear(n_embd, head_size)
        self.register_buffer("tril", torch.tril(torch.ones(block_size, block_size)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        T = x.shape[1]
        k, q, v = self.key(x), self.query(x), self.value(x)
        wei = q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5
        wei = wei.masked_fill(self.tril[:T, :T] == 0, float("-inf"))
        wei = F.softmax(wei, dim=-1)
        return wei @ v


class MultiHeadAttention(nn.Module):
    def __init__(self, n_embd: int, num_heads: int, block_size: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            [Head(n_embd, n_embd // num_heads, block_size) for _ in range(num_heads)]
        )
        self.proj = nn.Linear(n_embd, n_embd)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(torch.cat([h(x) for h in self.heads], dim=-1))


class Block(nn.Module):
    def __init__(self, n_embd: int, n_head: int, block_size: int) -> None:
        super().__init__()
        self.sa = MultiHeadAttention(n_embd, n_head, block_size)
        self.ffwd = nn.Sequential(
            nn.Linear(n_embd, 4 * n_embd),
            nn.GELU(approximate="tanh"),
            nn.Linear(4 * n_embd, n_embd),
        )
        self.ln1 = nn.LayerNorm(n_embd)
        self.ln2 = nn.LayerNorm(n_embd)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.sa(self.ln1(x))
        return x + self.ffwd(self.ln2(x))


class GPTLanguageModel(nn.Module):
    def __init__(
        self, vocab_size: int, n_embd: int, n_layer: int, n_head: int, block_size: int
    ) -> None:
        super().__init__()
        self.token_embedding_table = nn.Embedding(vocab_size, n_embd)
        self.position_embedding_table = nn.Embedding(block_size, n_embd)
        self.blocks = nn.Sequential(*[Block(n_embd, n_head, block_size) for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.apply(self._init_weights)
        for name, p in self.named_parameters():
            if name.endswith(("proj.weight", "ffwd.2.weight")):
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * n_layer))
        self.lm_head.weight = self.token_embedding_table.weight
        nn.init.normal_(self.lm_head.weight, mean=0.0, std=1 / math.sqrt(2 * n_embd))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, idx: torch.Tensor, targets: torch.Tensor | None = None):
        B, T = idx.shape
        x = self.token_embedding_table(idx) + self.position_embedding_table(torch.arange(T))
        logits = self.lm_head(self.ln_f(self.blocks(x)))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(B * T, -1), targets.reshape(B * T))


def train(data: torch.Tensor, settings: dict, state: dict) -> Iterator[dict[str, float]]:
    """Train; after each step yields its loss in nats a token and the number of windows that it used.

    Args:
        data: (N,) int64, the whole text.
        settings: ``batch_size``, ``vocab``, ``dim``, ``layers``, ``heads``, ``context`` and ``steps``.
        state: gets the ``gpt``.
    """
    block_size, batch_size, steps = settings["context"], settings["batch_size"], settings["steps"]
    model = GPTLanguageModel(
        settings["vocab"], settings["dim"], settings["layers"], settings["heads"], block_size
    )
    state["gpt"] = model
    decay = [p for p in model.parameters() if p.dim() >= 2]
    nodecay = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": nodecay, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=2.5e-3, betas=(0.9, 0.95))
    warmup = max(1, steps // 20)
    for it in range(steps):
        if it < warmup:
            lr = 2.5e-3 * (it + 1) / warmup
        else:
            lr = 2.5e-3 * (0.1 + 0.45 * (1 + math.cos(math.pi * (it - warmup) / (steps - warmup))))
        for group in optimizer.param_groups:
            group["lr"] = lr
        # One token less than the course's windows, since the target is the window moved by one.
        ix = torch.randint(len(data) - block_size, (batch_size,))
        xb = torch.stack([data[i : i + block_size - 1] for i in ix])
        yb = torch.stack([data[i + 1 : i + block_size] for i in ix])
        _, loss = model(xb, yb)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield {"loss": loss.item(), "examples": batch_size}
