# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Attention and text generation
#
# In this lesson you build the network behind GPT-2, small, and train it from scratch until it
# writes. One number tells how far it got: the bits it needs for each byte of text that it has never
# seen. Counting pairs of tokens needs {{result:gpt_laptop.json:bigram_best.value:.2f}} on film
# reviews. The network needs
# {{result:gpt_laptop.json:gpt.value:.2f}} after minutes on a processor, and
# {{result:gpt_reviews.json:gpt.value:.2f}} after a longer run that comes with the course.
#
# **You will learn to** measure a language model in nats, perplexity and bits a byte · compute
# attention by hand and build it with heads and a mask · train a GPT and prove that it cannot see
# the future · choose how to draw from it, and make it fast · check whether it copies.
#
# **You need** the softmax, matrix products, and the training loop of lessons 2 and 3. Lesson 4
# helps and is not needed.
#
# **Time** about {{minutes}} minutes to read and solve. The computer works as long as this table
# says,
# and on your machine as long as stands under the settings.
#
# {{tiers}}
#
# ## Set-up

# %%
import math
import time

from course_utils import checks, progress_bars, runtime  # before torch: waiting threads sleep
import torch
import torch.nn.functional as F
import transformers
from IPython.display import Markdown, display
from torch import nn

from course_utils.datasets import texts

# %%
from course_utils.display import plots
from course_utils.display.widgets import sampling
from course_utils.evaluation import language_models
from course_utils.models import attention, gpt_pipeline, gpt_training
from course_utils.training.run import TrainingRun, run_folder

# %%
run = runtime.setup(seed=0)

# %% [markdown]
# What you may want to change stands in the next cell, with the values of the three tiers side by
# side.

# %%
from course_utils.machine import minutes_here

# fmt: off
#                     smoke  laptop     gpu
steps      = run.pick(   60,  4_000, 20_000)  # optimisation steps
batch_size = run.pick(   16,     16,     16)  # windows of text a step
n_texts    = run.pick(  100, 10_000, 25_000)  # training documents
vocab      = run.pick(  512,  1_024,  1_024)  # tokens in the vocabulary, V
dim        = run.pick(   32,    128,    192)  # width of the network, D
layers     = run.pick(    2,      4,      6)  # blocks
heads      = run.pick(    2,      4,      6)  # attention heads of each block
context    = run.pick(   64,     64,    256)  # the most tokens it reads, T
n_score    = run.pick(    7,    300,  1_000)  # held-out documents of a score
source     = None   # None: film reviews if here, else Python's manual; or your file or folder
fresh      = False  # True: forget an earlier run and train again
# fmt: on
minutes_here.tell(run, "05_attention_text", steps)

# %% [markdown]
# ## The text, and its tokens
#
# The lesson reads film reviews where it finds them (`course_utils.datasets.reviews` and
# `data/README.md` say how to get them). Otherwise, and always at tier `smoke`, it takes a real text
# that every Python carries: the pages behind `help()`.

# %%
corpus = texts.load_texts(source, n_texts)
judged = [
    text[:600] for text in corpus.held_out[:n_score]
]  # the start of texts that training never sees

# %%
print(
    f"{corpus.name}: {len(corpus.train):,} documents, "
    f"{sum(map(len, corpus.train)):,} characters to learn from"
)
print(f"{len(judged)} others to be judged on; the first begins: {judged[0][:300]}")

# %% [markdown]
# A network reads numbers. Whole words would need an endless list, single letters make texts long.
# The usual middle is **byte-pair encoding**: start from the 256 bytes, merge the most frequent pair
# of neighbours into a new token, and repeat until the vocabulary is full ([Sennrich et al.
# 2016](https://arxiv.org/abs/1508.07909), section 3.2; on bytes: GPT-2, section 2.2). Frequent
# words become one token, rare ones a few pieces, and nothing is unknown: everything is made of
# bytes.

# %%
tokenizer = texts.train_tokenizer(corpus.train[: gpt_training.TOKENIZER_TEXTS], vocab)
ids = tokenizer.encode("The unforgettable film was not good.").ids

# %%
print(" | ".join(sampling.token_label(tokenizer, i) for i in ids))
strange = "Ça alors! 電影 <|endoftext|> \x00"
for text in (*judged, strange):
    assert tokenizer.decode(tokenizer.encode(text).ids) == text  # every text comes back exactly

# %% [markdown]
# The space belongs to the word that follows it (␣). Between documents stands one special token with
# the number 0, shown as (end): it ends a text, begins the next, and gives the first word something
# to be predicted from. All documents in a row are one long stream, cut into windows of T tokens for
# training.

# %%
train_ids, judged_ids = texts.encode(tokenizer, corpus.train), texts.encode(tokenizer, judged)
# (N, T): all documents in a row, cut into pieces
windows = texts.windows(train_ids, context, at_least=batch_size)

# %%
n_tokens, n_bytes = (
    sum(len(ids) - 1 for ids in judged_ids),
    sum(len(text.encode()) for text in judged),
)
print(
    f"{windows.numel():,} training tokens in {len(windows):,} windows; "
    f"{n_bytes / n_tokens:.2f} bytes a token"
)

# %% [markdown]
# ## A probability for every text
#
# By the chain rule the probability of a text is a product of predictions, each token given all
# before it:
#
# $$p(x_1,\dots,x_T) = \prod_{t=1}^{T} p(x_t\mid x_1,\dots,x_{t-1}).$$
#
# Nothing is assumed here; it holds for every distribution. So a model that predicts the *next
# token* is a model of whole texts, and **autoregressive** generation is this formula read from left
# to right: draw a token, append it, ask again. Maximum likelihood trains it: the loss is the mean
# of $-\log p(x_t\mid x_{<t})$, in nats a token.
#
# There is no decision about "right" tokens here and no discriminator: the text itself is the label.
# A network gives logits `(B, T, V)`: at each position one number for each token that may come
# *next*.
#
# ### Exercise: the loss of the next token
#
# *Easy, 6 minutes.* (The exercises come in the order in which the lesson needs them.) The logits at
# position t predict the token at t + 1. A window of T tokens therefore holds T − 1 predictions.
# Return their mean over the batch, in nats.
#
# <details><summary>Hint 1</summary>Which position has logits but no token after it? Which token has
# nothing before it?</details>
# <details><summary>Hint 2</summary><code>F.cross_entropy</code> takes logits (N, V) and targets
# (N,): flatten batch and positions after shifting.</details>


# %%
def next_token_loss(logits, tokens):
    """Mean of -log p(next token) in nats: logits (B, T, V), tokens (B, T) -> scalar."""
    ### BEGIN SOLUTION
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())
    ### END SOLUTION


next_token_loss = checks.attention.next_token_loss(next_token_loss)

# %% [markdown]
# By hand, once: two predictions over a vocabulary of three.

# %%
logits, tokens = (
    torch.tensor([[[2.0, 0.0, 1.0], [0.0, 1.0, 0.0], [9.0, 9.0, 9.0]]]),
    torch.tensor([[1, 0, 2]]),
)
first = math.exp(2) / (math.exp(2) + math.exp(0) + math.exp(1))  # p(token 0 | token 1)

# %%
second = math.exp(0) / (math.exp(0) + math.exp(1) + math.exp(0))  # p(token 2 | tokens 1, 0)
by_hand = -(math.log(first) + math.log(second)) / 2
assert abs(next_token_loss(logits, tokens).item() - by_hand) < 1e-6
print(f"{by_hand:.4f} nats a token")

# %% [markdown]
# ## Three units for one number
#
# - **nats a token**: the loss itself.
# - **perplexity**: $e^{\text{loss}}$, the number of equally likely tokens that would be as hard to
#   guess among. A model that knows nothing has perplexity V.
# - **bits a byte**: the bits a lossless code that uses the model would need, for each byte of the
#   text: $\text{loss}\cdot\frac{\text{tokens}}{\text{bytes}}/\log 2$.
#
# A larger vocabulary makes each token harder to guess and the text shorter in tokens, so losses and
# perplexities of different tokenizers *cannot be compared*. Bits a byte can.


# %%
def bits_per_byte(nats_per_token, tokens, size):
    """Loss in nats a token -> bits for each of the ``size`` bytes that these tokens spell."""
    return nats_per_token * tokens / size / math.log(2)


# %%
know_nothing = next_token_loss(torch.zeros(1, 50, vocab), torch.randint(vocab, (1, 50)))
assert abs(know_nothing.exp().item() / vocab - 1) < 1e-4  # perplexity of the uniform model: V

# %%
print(
    f"all tokens equally likely: perplexity {know_nothing.exp():.0f}, "
    f"{bits_per_byte(know_nothing, n_tokens, n_bytes):.2f} bits a byte"
)

# %% [markdown]
# ## Count first
#
# Before any network: how far does counting get? A **bigram** model looks at one token only, and
# $p(b\mid a)$ is the share of the cases where $b$ followed $a$. On the text it was counted on, its
# loss has a closed form: the conditional entropy of the counts,
# $-\sum_{a,b} \frac{c(a,b)}{N}\log\frac{c(a,b)}{c(a)}$. So we can check the whole measuring chain
# against a formula:

# %%
stream = windows[:20].flatten()  # a short text of its own
counts = language_models.bigram_counts([stream.tolist()], vocab)  # (V, V) how often b follows a
table = (counts / counts.sum(1, keepdim=True)).log()  # log p(b | a); -inf for what never came
measured = next_token_loss(table[stream][None], stream[None])  # logits (1, T, V), tokens (1, T)

# %%
share, given = counts / counts.sum(), table.exp()
closed = -torch.special.xlogy(share, given).nansum()  # rows of tokens that never came are 0/0
assert abs(measured.item() - closed.item()) < 1e-4
print(
    "perplexity of the bigram model on its own text: "
    f"{measured.exp():.3f} measured, {closed.exp():.3f} by formula"
)

# %% [markdown]
# Small, and no merit: it was judged on the text it had counted. On new text, pairs come up that
# were never seen; their probability 0 costs infinitely many bits. The cure is **smoothing**: mix
# each row with the plain frequencies of tokens, as if 50 tokens drawn from these had been seen as
# well. Now count the whole training text, and judge on texts that were held out.

# %%
counts = language_models.bigram_counts(train_ids, vocab)
frequent = counts.sum(0) + 1
smoothed = counts + 50 * frequent / frequent.sum()
log_p = (smoothed / smoothed.sum(1, keepdim=True)).log().float()  # (V, V)

# %%
bigram = language_models.score(lambda ids: log_p[ids], judged_ids, judged, context)
print(
    f"bigram, held out: perplexity {bigram.perplexity:.0f}, "
    f"{bigram} bits a byte (95 % over documents)"
)

# %%
ids = [0]
for _ in range(60):
    ids.append(torch.multinomial(log_p[ids[-1]].exp(), 1).item())
print(corpus.title("drawn from the bigram model"), tokenizer.decode(ids), sep="\n")

# %% [markdown]
# Each pair is plausible, no sentence is. The model forgets everything but one token. A table for
# two tokens before would have V² rows, for ten V¹⁰: counting cannot go on like that. What is needed
# is a function that reads *all* earlier tokens and picks out what matters. That is attention.
#
# ## Attention by hand
#
# Take six tokens: *the film was not very good*. The last one should learn from *not*. Attention
# gives each token three vectors:
#
# - a **query**: what am I looking for?
# - a **key**: what can I be found by?
# - a **value**: what do I tell whoever finds me?
#
# A network learns them; here we invent them, two numbers each. The first number stands for "thing",
# the second for "changes a judgement".

# %%
words = ["the", "film", "was", "not", "very", "good"]
keys = torch.tensor(
    [[0.0, 0], [2, 0], [0, 0], [0, 3], [0, 1], [1, 0]]
)  # (T, d): film is a thing, not changes

# %%
queries = torch.tensor(
    [[0.0, 0], [1, 0], [2, 0], [0, 0], [1, 1], [0, 2]]
)  # was seeks a thing, good seeks changes
values = torch.tensor([[0.0, 0], [1, 0], [0, 0], [0, -1], [0, 0.5], [0, 1]])

# %% [markdown]
# Now the token *good*, with nothing but a loop: compare its query with every key, turn the scores
# into weights that sum to 1, and average the values.

# %%
scores = [
    sum(a * b for a, b in zip(queries[5].tolist(), key.tolist())) / math.sqrt(2) for key in keys
]
total = sum(math.exp(score) for score in scores)
weights = [math.exp(score) / total for score in scores]

# %%
result = [sum(w * value[i].item() for w, value in zip(weights, values)) for i in range(2)]
print({word: round(w, 2) for word, w in zip(words, weights)})
print("good, after looking around:", [round(number, 2) for number in result])

# %% [markdown]
# Nine tenths of the weight lie on *not*, and what comes back in the second number is negative: the
# token now carries "good, but negated". The same for all tokens at once, with queries, keys and
# values as rows of matrices, is one line ([Vaswani et al. 2017](https://arxiv.org/abs/1706.03762),
# eq. 1):
#
# $$\mathrm{Attention}(Q,K,V) = \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt d}\right)V.$$
#
# ### Exercise: attention
#
# *Medium, 10 minutes.* Write it for any number of leading dimensions (batch, heads). There may be
# fewer queries T than keys S. A mask is True where a query *may* look at a key; where it is False,
# the weight must be exactly 0 and the others must still sum to 1.
#
# <details><summary>Hint 1</summary><code>k.transpose(-2, -1)</code> turns the last two dimensions
# round and leaves all others alone.</details>
# <details><summary>Hint 2</summary>Over which dimension is one query's softmax? Which score gets
# weight 0 from it?</details>
# <details><summary>Hint 3</summary><code>scores.masked_fill(~mask, -torch.inf)</code>, before the
# softmax.</details>


# %%
def scaled_dot_product(q, k, v, mask=None):
    """Attention: q (..., T, d), k and v (..., S, d), mask bool or None -> (..., T, d)."""
    ### BEGIN SOLUTION
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., T, S)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ v
    ### END SOLUTION


scaled_dot_product = checks.attention.scaled_dot_product(scaled_dot_product)

# %% [markdown]
# Two witnesses: the loop above, and the library's own function, with and without a mask, in the
# three number formats that this lesson uses. One trick for later: with the identity matrix as
# values, attention returns its weights.

# %%
by_function = scaled_dot_product(queries, keys, values)
assert torch.allclose(by_function[5], torch.tensor(result))
for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 4e-2)):
    q, k, v = (torch.randn(2, 3, 5, 8).to(dtype) for _ in range(3))
    for mask in (None, torch.ones(5, 5, dtype=torch.bool).tril()):
        library = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        assert torch.allclose(scaled_dot_product(q, k, v, mask), library, atol=tolerance)

# %%
weights = scaled_dot_product(queries, keys, torch.eye(6))
assert (
    torch.allclose(weights.sum(1), torch.ones(6)) and (weights >= 0).all()
)  # each row: a distribution

# %% [markdown]
# ### Why divide by √d?
#
# A score is a sum of d products. If the entries of q and k are independent with variance 1, the sum
# has variance d, so scores grow like √d with the width, and a softmax of large scores puts
# everything on one key. There its gradient is nearly 0, and nothing is learned (same paper, section
# 3.2.1, footnote 4). Measured:

# %%
widths, names = [1, 4, 16, 64, 256, 1024], ("divided by √d", "not divided")
largest, slope = {name: [] for name in names}, {name: [] for name in names}

# %%
for d in widths:
    q, k = torch.randn(500, 1, d), torch.randn(500, 16, d)
    raw = (q * k).sum(-1)  # (500, 16) scores
    assert 0.7 < raw.var() / d < 1.4
    for name, scores in zip(names, (raw / d**0.5, raw)):
        p = scores.softmax(-1)
        largest[name].append(p.amax(-1).mean().item())
        slope[name].append((p * (1 - p)).mean().item())  # derivative of a weight by its own score

# %%
figure, axes = plots.subplots(1, 2, width=9, height=2.7)
plots.curves(axes[0], widths, largest, "width d", "largest of 16 weights, mean")
plots.curves(axes[1], widths, slope, "width d", "derivative of a weight, mean")
for ax in axes:
    ax.set(xscale="log", ylim=(0, None))
plots.show(
    figure,
    alt="Undivided, the largest weight rises to nearly 1 with the width and the derivative falls to nearly 0; divided, both stay.",
)

# %% [markdown]
# ### What attention cannot see by itself
#
# The keys are a *set*. Shuffle them together with their values, and the answer is the same:

# %%
order = torch.randperm(6)
assert torch.allclose(
    scaled_dot_product(queries, keys[order], values[order]), by_function, atol=1e-6
)

# %% [markdown]
# "The dog bit the man" and "the man bit the dog" would be one text. So the network below adds a
# learned vector for the *position* to every token.
#
# ## Not looking ahead
#
# A model that predicts the next token must not read it. At position t only tokens up to t may be
# looked at, t itself included. In training all T − 1 predictions of a window are made in one pass,
# so this is not a matter of what we feed in: a **causal mask** has to forbid it.
#
# ### Exercise: the causal mask
#
# *Easy, 3 minutes.* Row t is the token that looks, column s the one that is looked at.
#
# <details><summary>Hint 1</summary>For three tokens write the nine answers down: who may look at
# whom?</details>
# <details><summary>Hint 2</summary><code>torch.ones(..., dtype=torch.bool)</code> and one of
# <code>tril</code>
# and <code>triu</code>.</details>


# %%
def causal_mask(length):
    """bool (T, T): True where the token of the row may look at the token of the column."""
    ### BEGIN SOLUTION
    return torch.ones(length, length, dtype=torch.bool).tril()
    ### END SOLUTION


causal_mask = checks.attention.causal_mask(causal_mask)

# %%
weights = scaled_dot_product(queries, keys, torch.eye(6), causal_mask(6))
figure, axes = plots.subplots(1, 2, width=8, height=3.4)
sampling.draw_attention(
    axes[0], scaled_dot_product(queries, keys, torch.eye(6)), words, "everyone looks everywhere"
)
sampling.draw_attention(axes[1], weights, words, "with the causal mask")
plots.show(
    figure,
    alt="Two six by six maps of weights; with the mask everything right of the diagonal is empty, and each row still sums to 1.",
)
assert torch.equal(weights.triu(1), torch.zeros(6, 6)) and torch.allclose(
    weights.sum(1), torch.ones(6)
)

# %% [markdown]
# Row by row: who looks where? *good* finds *not*; *was* finds *film*. The first token can look at
# nothing but itself.
#
# ## Several heads
#
# One set of weights can follow one relation at a time. **Multi-head attention** cuts the D columns
# into `heads` groups of D / heads, lets each attend on its own, and puts the results side by side
# again (same paper, section 3.2.2). It costs no more than one wide head: the same number of
# products.
#
# ### Exercise: split and merge heads
#
# *Medium, 8 minutes.* Head h gets the h-th *run* of columns of every token; merging undoes it
# exactly.
#
# <details><summary>Hint 1</summary>First cut the last dimension into two, (heads, D / heads). Then
# two dimensions change places.</details>
# <details><summary>Hint 2</summary>Why not <code>x.reshape(B, heads, T, ...)</code> at once? Number
# the entries of a (1, 2, 4) tensor from 0 to 7 and look.</details>
# <details><summary>Hint 3</summary>Backwards: the dimensions change places first; then
# <code>flatten</code>
# joins the last two.</details>


# %%
def split_heads(x, heads):
    """(B, T, D) -> (B, heads, T, D / heads)."""
    ### BEGIN SOLUTION
    batch, length, width = x.shape
    return x.view(batch, length, heads, width // heads).transpose(1, 2)
    ### END SOLUTION


split_heads = checks.attention.split_heads(split_heads)


# %%
def merge_heads(x):
    """(B, heads, T, D / heads) -> (B, T, D)."""
    ### BEGIN SOLUTION
    return x.transpose(1, 2).flatten(2)
    ### END SOLUTION


merge_heads = checks.attention.merge_heads(merge_heads)

# %%
x = torch.arange(24.0).view(1, 3, 8)  # three tokens of eight columns, numbered
assert torch.equal(
    split_heads(x, 2)[0, 1, 2], x[0, 2, 4:]
)  # head 1 of token 2: its last four columns
assert torch.equal(merge_heads(split_heads(x, 4)), x)
print(split_heads(x, 2)[0].int().tolist())

# %% [markdown]
# ## A block
#
# One linear layer makes queries, keys and values of all heads, another mixes the heads' answers.
# (Ignore `cache` and `causal` for now: the first makes generation fast, the second is for a failure
# made on purpose. Both come below.)


# %%
class Attention(nn.Module):
    """Multi-head causal self-attention: (B, T, D) -> (B, T, D)."""

    causal = True

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x, cache=None):
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        if cache is not None:
            if cache:
                k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
            cache.update(k=k, v=v)
        mask = causal_mask(k.shape[2])[-q.shape[2] :].to(x.device) if self.causal else None
        return self.out(merge_heads(scaled_dot_product(q, k, v, mask)))


# %% [markdown]
# Attention moves information between tokens. A two-layer network then works on each token by
# itself. Both *add* to what is there (a residual connection): the row of a token is a stream
# through the network that each block reads, in normalised form, and adds to. Gradients flow back
# along it without passing through anything. (LayerNorm stands *before* each part, as in GPT-2; the
# first transformer had it after.)


# %%
class Block(nn.Module):
    """Attention between tokens, then a network for each token: (B, T, D) -> (B, T, D)."""

    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(approximate="tanh"), nn.Linear(4 * dim, dim)
        )

    def forward(self, x, cache=None):
        x = x + self.attention(self.norm1(x), cache)
        return x + self.mlp(self.norm2(x))


# %% [markdown]
# ## The GPT
#
# Token vectors plus position vectors, the blocks, a last LayerNorm, and logits: the products with
# the very table that turned tokens into vectors. Weights start small, and those that write into the
# stream smaller still, so that it does not grow with the depth (GPT-2, section 2.3). The table
# starts at $1/\sqrt{2D}$: for GPT-2's 768 columns that is nearly its 0.02; a narrow network needs
# larger numbers, or its first logits are faint and training starts slowly.


# %%
class GPT(nn.Module):
    """Token ids (B, T) -> logits of the next token (B, T, V)."""

    def __init__(self, vocab, dim, layers, heads, context):
        super().__init__()
        self.sizes = {
            "vocab": vocab,
            "dim": dim,
            "layers": layers,
            "heads": heads,
            "context": context,
        }
        self.context = context
        self.tokens, self.positions = nn.Embedding(vocab, dim), nn.Embedding(context, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                into_stream = name.endswith(("out.weight", "mlp.2.weight"))
                nn.init.normal_(weight, 0.0, 0.02 / math.sqrt(2 * layers) if into_stream else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        nn.init.normal_(self.tokens.weight, 0.0, 1 / math.sqrt(2 * dim))

    def forward(self, ids, cache=None):
        start = cache[0]["k"].shape[2] if cache and cache[0] else 0  # tokens that the cache holds
        x = self.tokens(ids) + self.positions(
            torch.arange(start, start + ids.shape[1], device=ids.device)
        )
        for number, block in enumerate(self.blocks):
            x = block(x, cache[number] if cache else None)  # (B, T, D)
        return self.norm(x) @ self.tokens.weight.T  # (B, T, V)


# %%
model = GPT(vocab, dim, layers, heads, context).to(run.device)
probe = windows[:4].to(run.device)
with torch.no_grad():
    logits = model(probe)
assert logits.shape == (4, context, vocab)

# %%
print(
    f"{sum(p.numel() for p in model.parameters()):,} parameters; "
    f"untrained loss {next_token_loss(logits, probe):.2f}, "
    f"log V = {math.log(vocab):.2f} nats"
)
assert -0.1 < next_token_loss(logits, probe).item() - math.log(vocab) < 3

# %% [markdown]
# Untrained, it knows nothing, which costs log V, and a bit more: with one table for reading and for
# naming it bets at first on the token that it has just read. Many nats above log V would mean
# overconfident initial weights; *below* log V, that the targets leak.
#
# ### Proof that it cannot look ahead
#
# Change the tokens from some position on: no logit before that position may move. This test needs
# no reference and finds every way in which the future could leak. (`big` is the same network with
# ten times larger weights: with tiny weights, a leak could hide below the tolerance.)


# %%
def first_change(network, ids, place):
    """The first position whose logits change when the tokens from ``place`` on are replaced by
    others.
    """
    other = ids.clone()
    other[:, place:] = (other[:, place:] + 1) % network.sizes["vocab"]
    with torch.no_grad():
        moved = (network(ids) - network(other)).abs().amax((0, 2)) > 1e-4  # (T,)
    return moved.nonzero()[0].item()


# %%
big = GPT(vocab, dim, layers, heads, context).to(run.device)
for weight in big.parameters():
    weight.data.mul_(10 if weight.dim() == 2 else 1)
for place in (1, context // 2, context - 1):
    assert first_change(model, probe, place) == first_change(big, probe, place) == place

# %% [markdown]
# And is it GPT-2's network? The library has that one. Copy our weights into it and compare all
# logits:

# %%
theirs = gpt_pipeline.to_transformers(big)
with torch.no_grad():
    logits = theirs(probe, attention_mask=torch.ones_like(probe)).logits
assert torch.allclose(logits, big(probe), atol=1e-3, rtol=1e-3)
print(f"{type(theirs).__name__}: the same {logits.numel():,} logits")

# %% [markdown]
# Layer for layer. The published GPT-2 has up to 48 layers of width 1,600 and read 40 GB of text;
# nothing else is different in kind.
#
# ## Training
#
# One step: predict, count, descend. Gradients are clipped to length 1, and the learning rate rises
# over the first steps and then falls along half a cosine.


# %%
def train_step(model, optimizer, ids, lr):
    """One step on windows (B, T); returns the loss in nats a token."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    with run.autocast():
        logits = model(ids)  # (B, T, V)
    loss = next_token_loss(logits, ids)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item()}


# %%
optimizer = gpt_training.make_optimizer(model)  # AdamW; matrices decay, biases and LayerNorm do not

# %%
steps = min(
    steps, 8 * len(windows) // batch_size
)  # a short text is read eight times at most: more, and it is learned by heart
state = {"gpt": model, "optimizer": optimizer}
config = {"lesson": "gpt", "data": corpus.name, **model.sizes}
training = TrainingRun(
    run_folder("05_gpt", config, state),
    state=state,
    config=config,
    steps=steps,
    examples=len(windows),
    batch_size=batch_size,
    seed=0,
    fresh=fresh,
    data_sha256=texts.digest(windows),
)


# %%
def draw_progress():
    """The loss by step, and what counting pairs reaches on held-out text."""
    figure, (ax,) = plots.subplots(width=7, height=2.7)
    h = training.history
    plots.curves(
        ax, h["step"], {"GPT, training text": h["loss"]}, "step", "nats a token", smooth=25
    )
    ax.axhline(bigram.nats_per_token, color="black", linestyle=":", label="bigram, held-out text")
    ax.legend(frameon=False)
    ax.set_title(corpus.title("loss"), loc="left", fontsize=10, parse_math=False)
    return figure


# %%
live = plots.LiveFigure(
    draw_progress,
    alt="The loss by step, falling from log V, and the bigram model's loss as a dotted line.",
)
for index in training.batches():  # (B,) the windows of this step
    lr = gpt_training.learning_rate(training.step, training.steps)
    training.log(**train_step(model, optimizer, windows[index].to(run.device), lr))
    live.update()
live.close()

# %% [markdown]
# The first steep fall is the frequencies of tokens; the long slope after it is context. Where the
# curve crosses the dotted line, the network knows more than pairs. But this is training text. Judge
# on held-out text, with an interval over documents:

# %%
model.eval()
scored = language_models.score(model, judged_ids, judged, context, run.device)
display(
    Markdown(f"""
| {corpus.title("held-out text")} | perplexity | bits a byte (95 % over documents) |
| --- | --- | --- |
| all tokens equally likely | {vocab} | {bits_per_byte(math.log(vocab), n_tokens, n_bytes):.2f} |
| bigram | {bigram.perplexity:.0f} | {bigram} |
| your GPT | {scored.perplexity:.0f} | {scored} |
""")
)

# %% [markdown]
# Here are the course's own measurements on {{result:gpt_laptop.json:data}}: the first
# {{result:gpt_laptop.json:characters}} characters of {{result:gpt_laptop.json:documents:,d}}
# held-out reviews, the same text for all rows. The longer run cuts text into
# {{result:gpt_reviews.json:vocab:,d}} kinds of tokens, the others into
# {{result:gpt_laptop.json:settings.vocab:,d}}: compare its bits a byte with theirs, not its
# perplexity.
#
# | model | parameters | perplexity | bits a byte (95 % interval) |
# | --- | --- | --- | --- |
# | all tokens equally likely | none | {{result:gpt_laptop.json:uniform.perplexity:,.0f}} | {{result:gpt_laptop.json:uniform.value:.2f}} |
# | bigram, best smoothing of six | counts | {{result:gpt_laptop.json:bigram_best.perplexity:.0f}} | {{result:gpt_laptop.json:bigram_best.value:.3f}} ({{result:gpt_laptop.json:bigram_best.low:.3f}} to {{result:gpt_laptop.json:bigram_best.high:.3f}}), over documents |
# | this lesson's `laptop` run, three seeds | {{result:gpt_laptop.json:parameters:,d}} | {{result:gpt_laptop.json:gpt.perplexity:.0f}} | {{result:gpt_laptop.json:gpt.value:.3f}} ({{result:gpt_laptop.json:gpt.low:.3f}} to {{result:gpt_laptop.json:gpt.high:.3f}}), over seeds |
# | the longer run that ships, {{result:gpt_reviews.json:tokens_seen:,d}} tokens | {{result:gpt_reviews.json:parameters:,d}} | {{result:gpt_reviews.json:gpt.perplexity:.0f}} | {{result:gpt_reviews.json:gpt.value:.3f}} ({{result:gpt_reviews.json:gpt.low:.3f}} to {{result:gpt_reviews.json:gpt.high:.3f}}), over documents |
#
# A byte as it stands has 8 bits. From here on we use the shipped network, so that you hear the same
# voice on every machine; put `model` and `tokenizer` in its place to hear your own. It learned from
# {{result:gpt_reviews.json:train_documents:,d}} reviews of the training part of
# {{result:gpt_reviews.json:data}}, {{result:gpt_reviews.json:epochs}} times over.

# %%
writer, words_of, facts = attention.load_shipped(run.device)
print(
    f"{sum(p.numel() for p in writer.parameters()):,} parameters, "
    f"trained on {facts['data']}, {facts['steps']} steps"
)

# %%
example = [0, *words_of.encode("The film was not very good").ids]
maps = sampling.attention_weights(writer, example)  # (layers, heads, T, T)
labels = [sampling.token_label(words_of, i) for i in example]

# %%
figure, axes = plots.subplots(1, 4, width=12, height=3.6)
for number, ax in enumerate(axes):
    sampling.draw_attention(ax, maps[2, number], labels, f"block 3, head {number + 1}")
plots.show(
    figure,
    alt="Four heads' maps of weights on the sentence: below the diagonal only, and each head with a pattern of its own.",
)

# %% [markdown]
# Learned heads, on our sentence; (end) is the token 0 that begins every document. Some look at the
# token just before, some spread, and many lean on the first token, where a head with nothing to
# report can rest. Read such maps with care: they show where a head looked, not why the model
# answered as it did.
#
# ## Writing: the choice of the next token
#
# The network gives a distribution; *we* decide what to do with it. The plain way: append the
# choice, and ask again.


# %%
@torch.no_grad()
def generate(model, ids, count, choose):
    """ids and ``count`` tokens more; ``choose`` takes the logits (V,) of the next token and returns
    its id.
    """
    ids = list(ids)
    for _ in progress_bars.progress(range(count), "writing"):
        seen = torch.tensor(
            [ids[-model.context :]], device=run.device
        )  # what does not fit is forgotten
        ids.append(int(choose(model(seen)[0, -1].float().cpu())))
    return ids


# %%
def greedy(logits):
    """Always the most probable token."""
    return logits.argmax()


# %%
start = [0, *words_of.encode("This film is").ids]
print(words_of.decode(generate(writer, start, 100, greedy)))

# %% [markdown]
# Always the most probable token: flat, and soon in a circle. [Holtzman et al.
# 2020](https://arxiv.org/abs/1904.09751) (figures 2 and 4) measured it on large models too: likely
# text is not the text that people write, and a loop makes itself more likely with every round. So
# *draw* from the distribution. How boldly, three knobs decide.
#
# - **Temperature** divides the logits: below 1 sharpens, above 1 flattens.
# - **Top-k** keeps the k most probable tokens.
# - **Top-p** (nucleus) keeps the smallest set of tokens that together reach p: few where the model
#   is sure, many where it is not.
#
# ### Exercise: filter the logits
#
# *Hard, 15 minutes.* First divide by the temperature. Then top-k: everything smaller than the k-th
# largest becomes −inf (tokens tied with it stay; k may be larger than V). Then top-p on what is
# left: by descending probability, keep tokens until p is reached; the one that crosses p is kept.
# `None` switches a filter off. Every token keeps its place.
#
# <details><summary>Hint 1</summary><code>logits.topk(k).values[-1]</code> is the k-th largest;
# <code>masked_fill</code>
# leaves the rest alone.</details>
# <details><summary>Hint 2</summary>For top-p take softmax <em>again</em>, sort in descending order
# and take <code>cumsum</code>. A token goes if the sum <em>before</em> it has already reached
# p.</details>
# <details><summary>Hint 3</summary>The decision is now in sorted order:
# <code>torch.zeros_like(decision).scatter(0,
# order, decision)</code> puts it back.</details>


# %%
def filter_logits(logits, temperature, top_k, top_p):
    """(V,) -> (V,): divided by the temperature, -inf outside the kept set."""
    ### BEGIN SOLUTION
    logits = logits / temperature
    if top_k is not None:
        kth = logits.topk(min(top_k, len(logits))).values[-1]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    if top_p is not None:
        p, order = logits.softmax(dim=-1).sort(descending=True)
        beyond = p.cumsum(dim=-1) - p >= top_p  # reached before this token
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter(0, order, beyond), -torch.inf)
    return logits
    ### END SOLUTION


filter_logits = checks.attention.filter_logits(filter_logits)

# %% [markdown]
# The same next token under five settings; greedy is top-k with k = 1. Outlines are the model's own
# probabilities, bars what is drawn from, a cross marks what is left out:

# %%
logits = sampling.next_logits(writer, start)
figure, axes = plots.subplots(1, 5, width=14, height=3.6)
settings = ((1.0, None, None), (1.0, 1, None), (0.5, None, None), (1.0, 5, None), (1.0, None, 0.5))
sampling.sampling_static(axes, logits, words_of, filter_logits, settings)
plots.show(
    figure,
    alt="The fifteen most probable tokens after 'This film is': at temperature 1, greedy, at 0.5, top-k 5, top-p 0.5. Bars grow where others are left out.",
)

# %% [markdown]
# With a running kernel you can turn the knobs and step through a text, token by token:

# %%
beginnings = ["This film is", "The acting", "I watched this movie with my", "The worst thing about"]
sampling.sampling(writer, words_of, beginnings, filter_logits)

# %% [markdown]
# Now whole texts. What does temperature do to them?


# %%
def sampler(temperature=1.0, top_k=None, top_p=None, seed=0):
    """A function that draws the next token, the same way each time it is made."""
    random = torch.Generator().manual_seed(seed)
    return lambda logits: torch.multinomial(
        filter_logits(logits, temperature, top_k, top_p).softmax(0), 1, generator=random
    )


# %%
for temperature in (0.5, 0.8, 1.2):
    print(f"--- temperature {temperature}, {facts['data']}")
    print(words_of.decode(generate(writer, start, 80, sampler(temperature))), "\n")

# %%
assert generate(writer, start, 20, sampler(seed=1)) == generate(
    writer, start, 20, sampler(seed=1)
)  # same seed, same text

# %% [markdown]
# Read them as a critic. At 0.5 most sentences would pass one by one, and they are everybody's
# sentences; but the verdict turns round from one to the next, for nothing ties them together. At
# 0.8 there is more to say, names and plots come up, and so do words that do not exist. At 1.2 it
# falls apart: the many improbable tokens together weigh enough to be drawn, and each misstep is
# read by all later ones. A network of {{result:gpt_reviews.json:parameters:,d}} parameters,
# {{result:gpt_reviews.json:seconds:,d}} seconds on one shared core, has learned how reviews
# *sound*.
# It has seen no film, and it does not know what it said two sentences ago. Size and data are what
# separates it from the models you know.
#
# ### Looking for the most probable text: beam search
#
# Greedy takes the best token, not the best text. **Beam search** carries the `beams` most probable
# beginnings along.


# %%
@torch.no_grad()
def beam_search(model, ids, count, beams):
    """The most probable continuation that ``beams`` beginnings lead to; returns (ids, its log
    probability in nats).
    """
    kept = [(list(ids), 0.0)]
    for _ in progress_bars.progress(range(count), "searching"):
        seen = torch.tensor([text for text, _ in kept], device=run.device)[:, -model.context :]
        log_p = model(seen)[:, -1].float().log_softmax(-1).cpu()  # (beams, V)
        total = log_p + torch.tensor([so_far for _, so_far in kept])[:, None]
        best = total.flatten().topk(beams)
        places = [divmod(place, log_p.shape[1]) for place in best.indices.tolist()]
        kept = [
            ([*kept[row][0], token], value)
            for (row, token), value in zip(places, best.values.tolist())
        ]
    return kept[0]


# %%
assert beam_search(writer, start, 20, beams=1)[0] == generate(writer, start, 20, greedy)

# %%
length = run.pick(40, 100, 100)  # tokens
ways = {
    "greedy": beam_search(writer, start, length, beams=1)[0],
    "5 beams": beam_search(writer, start, length, beams=5)[0],
}
ways |= {f"temperature {t}": generate(writer, start, length, sampler(t)) for t in (0.8, 1.0)}
ways |= {"temperature 1, top-p 0.9": generate(writer, start, length, sampler(1.0, None, 0.9))}

# %%
for name, ids in ways.items():  # how probable does the model find what each way has written?
    seen = torch.tensor([ids], device=run.device)
    with torch.no_grad():
        nats = next_token_loss(writer(seen), seen).item()
    print(
        f"{name:>24}: {nats:.2f} nats a token, {language_models.repeated_share(ids):4.0%} "
        "of runs of 4 tokens were there before"
    )
print("\nbeam search:", words_of.decode(ways["5 beams"]))

# %% [markdown]
# The search finds text that the model thinks far *more* probable than anything people write
# (held-out reviews cost it {{result:gpt_reviews.json:gpt.nats_per_token:.2f}} nats a token), and it
# is dull and repeats itself. Over {{result:gpt_reviews.json:written.texts}} texts of
# {{result:gpt_reviews.json:written.tokens}} tokens that the network wrote from nothing, the share
# of repeated runs was
# {{result:gpt_reviews.json:written.cold.repeated:.0%}} at temperature 0.5,
# {{result:gpt_reviews.json:written.mild.repeated:.1%}} at 0.8,
# {{result:gpt_reviews.json:written.plain.repeated:.1%}} at 1, and in people's reviews of that length {{result:gpt_reviews.json:written.held_out.repeated:.1%}}. Search suits tasks with one right answer, translation for
# one; for open text, draw.
#
# ## The key-value cache
#
# `generate` runs the network over the whole text for each new token. But the mask gives us
# something: earlier tokens never look at later ones, so their keys and values *do not change*. Keep
# them, and only the new token has to be computed.


# %%
@torch.no_grad()
def generate_cached(model, ids, count, choose):
    """Like ``generate`` within one context, with keys and values of earlier tokens kept."""
    ids, cache, new = list(ids), [{} for _ in model.blocks], list(ids)
    for _ in progress_bars.progress(range(count), "writing"):
        logits = model(torch.tensor([new], device=run.device), cache)[
            0, -1
        ]  # only the new tokens go in
        new = [int(choose(logits.float().cpu()))]
        ids += new
    return ids


# %%
for choose in (lambda: greedy, lambda: sampler(0.8, 40)):
    assert generate_cached(writer, start, 60, choose()) == generate(writer, start, 60, choose())

# %% [markdown]
# The same tokens, greedy and drawn. What does it save? Taken in turns, because machines are noisy:

# %%
length = run.pick(60, 240, 240)  # tokens
seconds = {generate: [], generate_cached: []}
for _ in range(2):
    for function, measured in seconds.items():
        began = time.perf_counter()
        function(writer, start, length, greedy)
        measured.append(time.perf_counter() - began)

# %%
slow, fast = min(seconds[generate]), min(seconds[generate_cached])
print(
    f"{length} tokens: {length / slow:.0f} tokens/s without, "
    f"{length / fast:.0f} with the cache, {slow / fast:.1f} times as fast"
)

# %% [markdown]
# Without the cache token t costs t passes' worth of work, with it one; the gain grows with the
# length: {{result:gpt_reviews.json:cache.50.ratio:.1f}} times at 50 tokens,
# {{result:gpt_reviews.json:cache.250.ratio:.1f}} at 250, measured on one core. The price is memory:
# 2 · layers · D numbers for every token of every text.
#
# ## Does it copy?
#
# A model that recites its training text would get a fine loss on it and is worth nothing (or is
# somebody else's work). So look: cut what it wrote into pieces of 50 characters and search each in
# the training text. Pieces of *held-out* text give the base rate: set phrases and titles come up in
# texts of people who did not copy either. Your own model first, since its training text is here:


# %%
def copied_share(written, training_text, length=50, step=25):
    """Share of pieces of ``length`` characters that stand verbatim in the training text."""
    pieces = [
        text[i : i + length]  # all of a shorter text
        for text in written
        for i in range(0, max(1, len(text) - length + 1), step)
    ]
    return sum(
        piece in training_text for piece in progress_bars.progress(pieces, "searching")
    ) / len(pieces)


# %%
training_text = "\n".join(corpus.train)
yours = [
    tokenizer.decode(generate_cached(model, [0], context - 1, sampler(0.8, seed=seed)))
    for seed in progress_bars.progress(range(run.pick(2, 10, 50)), "texts")
]

# %%
print(f"your GPT: {copied_share(yours, training_text):.1%} of pieces are in the training text")
print(f"held-out text: {copied_share(judged[:50], training_text):.1%} (the base rate)")
print(
    f"training text: {copied_share([corpus.train[0][:2000]], training_text):.0%} "
    "(so the search works)"
)

# %% [markdown]
# Can the check find a copier? Make one: train a copy of your network on the first 800 tokens only,
# again and again.

# %%
parrot = GPT(**model.sizes).to(run.device)
parrot.load_state_dict(model.state_dict())
first = windows[: 800 // context]
losses = gpt_training.fine_tune(
    parrot, first, run.pick(5, 150, 150), batch_size=4, peak=2e-3, autocast=run.autocast
)
recited = [
    tokenizer.decode(generate_cached(parrot.eval(), [0], context - 1, sampler(0.8, seed=seed)))
    for seed in progress_bars.progress(range(4), "texts")
]
copied = copied_share(recited, training_text)

# %%
print(
    f"loss {losses[0]:.2f} -> {losses[-1]:.2f} nats a token; "
    f"{copied:.0%} of pieces are in the training text"
)
assert copied > 0.5 or run.tier == "smoke"  # a few smoke steps teach nothing by heart
print("\n".join(text[:150] for text in recited[:2]))

# %% [markdown]
# Measured on the shipped network in the same way, {{result:gpt_reviews.json:written.texts}} texts
# each:
#
# | text | pieces of 50 characters found | of 30 | longest copy |
# | --- | --- | --- | --- |
# | temperature 0.5 | {{result:gpt_reviews.json:written.cold.copied_50:.2%}} | {{result:gpt_reviews.json:written.cold.copied_30:.1%}} | {{result:gpt_reviews.json:written.cold.longest_copy}} characters |
# | temperature 0.8 | {{result:gpt_reviews.json:written.mild.copied_50:.2%}} | {{result:gpt_reviews.json:written.mild.copied_30:.1%}} | {{result:gpt_reviews.json:written.mild.longest_copy}} |
# | temperature 1 | {{result:gpt_reviews.json:written.plain.copied_50:.2%}} | {{result:gpt_reviews.json:written.plain.copied_30:.1%}} | {{result:gpt_reviews.json:written.plain.longest_copy}} |
# | held-out reviews (the base rate) | {{result:gpt_reviews.json:written.held_out.copied_50:.2%}} | {{result:gpt_reviews.json:written.held_out.copied_30:.1%}} | {{result:gpt_reviews.json:written.held_out.longest_copy}} |
#
# Read each row against the last. The longest copy at 0.5 is
# “{{result:gpt_reviews.json:written.cold.longest_copy_text}}”: a set phrase, not somebody's
# sentence. The colder, the more set phrases; at 50 characters the network copies less than held-out
# text does. Less than people who cannot have copied? Look at their longest piece:
# {{result:gpt_reviews.json:written.held_out.longest_copy}} characters. It is a review that stands
# in *both* parts of IMDB, posted twice. So the search found a leak in the data: the split is by
# film, and still a few held-out texts were trained on. Search your own splits as well.
#
# ## The three-line interface
#
# All this stands behind three lines of a library. At tier `gpu` they fetch the real GPT-2;
# elsewhere the same pipeline is built around the shipped small network.

# %%
if run.tier == "gpu":
    pipe = transformers.pipeline("text-generation", model="gpt2", device=run.device)
else:
    pipe = gpt_pipeline.text_pipeline(writer, words_of)
transformers.set_seed(0)

# %%
answer = pipe("This film is", max_new_tokens=40, do_sample=True, temperature=0.8, top_k=50)
assert isinstance(answer, list) and answer[0]["generated_text"].startswith("This film is")
print(answer[0]["generated_text"])

# %% [markdown]
# You now know each argument. Four traps: the answer is a *list of dictionaries*; it *starts with
# the prompt*; `max_length` counts the prompt too, so say `max_new_tokens`; and sampling differs
# from call to call unless you set a seed. And GPT-2 learned English: other scripts fall apart into
# many tokens a character, and come out broken.
#
# ## What came before, and what pre-training adds
#
# Until 2017 the tool for text was the recurrent network, above all the LSTM: it reads token by
# token and keeps what it knows in one state. Two things held it back (Vaswani et al., table 1): T
# tokens need T steps *one after the other*, where attention takes one; and what is far away must
# survive all the steps between, where attention looks straight at it. The price of attention is T²
# scores. In 2019 GPT-2, which had never trained on WikiText-2, reached perplexity 18.34 on it; the
# best published model before, trained on it, had 39.14 (Radford et al. 2019, table 3).
#
# That is **pre-training**: learn from much text first, then meet the task. Even our small network
# shows it. Both rows below get the same few steps on a new kind of text, Python's manual; one
# starts from the shipped weights, one from nothing.

# %%
manual = texts.load_texts("manual")
new_ids = texts.windows(texts.encode(words_of, manual.train), 128)
new_judged = [text[:600] for text in manual.held_out]

# %%
for name in ("from nothing", "from the shipped weights"):
    torch.manual_seed(0)
    student = attention.load_shipped()[0] if "shipped" in name else GPT(**writer.sizes)
    gpt_training.fine_tune(
        student.to(run.device), new_ids, run.pick(3, 60, 60), batch_size=8, autocast=run.autocast
    )
    after = language_models.score(
        student.eval(), texts.encode(words_of, new_judged), new_judged, writer.context, run.device
    )
    print(f"{manual.title(name)}: {after} bits a byte")

# %% [markdown]
# The course's measurement, {{result:gpt_transfer.json:settings.steps}} steps, three seeds, held-out
# pages of {{result:gpt_transfer.json:data}}: {{result:gpt_transfer.json:scratch.value:.2f}} bits a
# byte from nothing, {{result:gpt_transfer.json:shipped.value:.2f}} from the shipped weights, which
# before the first step had {{result:gpt_transfer.json:before.value:.2f}}. Reviews teach English,
# and English helps with manuals.
#
# ## When it goes wrong: the model that sees the future
#
# The best loss you will ever get is a bug. Here are two small networks on windows of 16 tokens, a
# few steps each. They differ in one thing: the second has no mask.

# %%
short, pieces = {}, texts.windows(train_ids, 16)
for name, causal in {"with the mask": True, "without the mask": False}.items():
    torch.manual_seed(0)
    short[name] = GPT(vocab, run.pick(64, 128, 128), layers=2, heads=2, context=16).to(run.device)
    for block in short[name].blocks:
        block.attention.causal = causal
    gpt_training.fine_tune(
        short[name], pieces, run.pick(60, 150, 150), 128, peak=4e-3, autocast=run.autocast
    )
    result = language_models.score(short[name].eval(), judged_ids, judged, 16, run.device)
    print(f"{name:>16}: perplexity {result.perplexity:.2f}, {result} bits a byte on held-out text")

# %%
peeking, few = short["without the mask"], pieces[:2].to(run.device)
print("It writes:", tokenizer.decode(generate(peeking, [0], 40, sampler(0.8))))

# %%
print(
    "Tokens from position 9 on replaced: logits change from position",
    first_change(peeking, few, 9),
    "on",
)
assert first_change(short["with the mask"], few, 9) == 9 > first_change(peeking, few, 9)

# %% [markdown]
# **What happened.** Held-out or not does not matter: at each position the answer stands one column
# to the right, and attention copies it. In generation there is no right column, so what it learned
# is worth nothing. No curve looks wrong. **How to see it**: a perplexity that is too good (near 1
# for text); rubbish when it writes; and, for certain, the perturbation test: logits that move
# before the place you touched. **The cure** is one line, the mask. The same goes for its cousins: a
# mask off by one, targets that were not shifted, a normalisation over positions.
#
# ## Questions
#
# Think first; then open the answer, which also says why each other choice is wrong.
#
# **1. Model A has perplexity 20 with 2,000 tokens, model B perplexity 40 with 50,000. Which is
# better?** (a) A (b) B (c) nobody can say from this (d) they are equal, as 50,000 is larger
#
# <details><summary>Answer</summary>(c): B's tokens are longer, and a token twice as hard to guess
# may save more than it costs. Bits a byte would tell. (a) and (b) compare different units. (d)
# There is no such rule.</details>
#
# **2. Scores are divided by √d because** (a) rows must sum to 1 (b) otherwise their spread grows
# with the width and softmax saturates (c) it makes the product cheaper (d) queries and keys have
# length √d, so scores become cosines
#
# <details><summary>Answer</summary>(b): variance d, measured above. (a) Softmax does that with any
# scores. (c) It is one more operation. (d) Lengths are learned; nothing is normalised to
# 1.</details>
#
# **3. You forget the causal mask. On held-out text the loss is** (a) infinite (b) about as before
# (c) much too low (d) log V
#
# <details><summary>Answer</summary>(c): the target can be read off. (a) Nothing divides by 0. (b)
# would hold for a model that ignores the leak; gradient descent does not. (d) is a model that knows
# nothing.</details>
#
# **4. Top-p 0.9 keeps three tokens here and three hundred there. Why?** (a) a bug (b) it depends on
# how sure the model is (c) it depends on the temperature alone (d) the vocabulary changed
#
# <details><summary>Answer</summary>(b): where three tokens hold 90 % of the probability, three are
# kept. (a) That is its purpose. (c) Temperature shifts the number, but even at one temperature it
# varies from place to place. (d) never changes.</details>
#
# **5. The key-value cache gives the same tokens because** (a) the model was trained with it (b)
# earlier tokens never look at later ones, so their keys and values stay (c) greedy decoding is
# deterministic (d) attention does not know the order
#
# <details><summary>Answer</summary>(b): without the mask it would be wrong. (a) Training needs no
# cache. (c) It holds for drawing with one seed too. (d) Positions are added before the keys are
# made.</details>
#
# **6. Your model writes a fluent paragraph. Which check tells that it did not copy it?** (a) its
# perplexity on training text (b) a search for its pieces in the training text, beside a base rate
# (c) a search of the web by eye (d) a high temperature
#
# <details><summary>Answer</summary>(b). (a) is low for copiers and for good models. (c) finds some,
# and proves nothing by finding none. (d) makes copying rarer, and does not tell.</details>
#
# ## Recap
#
# You measured language models in nats, perplexity and bits a byte; computed attention by hand and
# built it with heads and a mask; trained a GPT and proved that it cannot see the future; chose how
# to draw from it, and made it fast; and checked whether it copies.
#
# **What this did not show.** Larger models and data (the loss falls smoothly with both), rotary
# positions, grouped heads and other parts of today's networks, and instruction tuning, which turns
# a model that continues text into one that answers. The memorisation check finds verbatim copies
# only: a text in other words passes. And a model of reviews repeats what reviews say about people,
# good or bad.
#
# **Sources.** Vaswani et al. 2017, [arXiv 1706.03762](https://arxiv.org/abs/1706.03762), eq. 1,
# sections 3.2.1 (footnote 4) and 3.2.2, table 1 · Radford et al. 2019, [Language Models are
# Unsupervised Multitask
# Learners](https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf)
# (GPT-2), sections 2.2 and 2.3, table 3 · Holtzman et al. 2020, [arXiv
# 1904.09751](https://arxiv.org/abs/1904.09751), section 3, figures 2 and 4 · Sennrich, Haddow,
# Birch 2016, [arXiv 1508.07909](https://arxiv.org/abs/1508.07909), section 3.2 · Maas et al. 2011,
# *Learning Word Vectors for Sentiment Analysis* (the IMDB reviews).
#
# **Next:** lesson 6 measures the generators of pictures and of text with more than one number.
