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
# In this lesson you build a small GPT-2, train it from scratch, and read what it writes while it
# learns: first noise, then pieces of words, then words, and at last the tune of a film review
# without much of its sense. One number says how far it got: the bits that it needs for each byte of
# unseen text. On short film reviews, counting which piece of text follows which needs
# {{result:gpt_sentences.json:bigram_best.value:.2f}}; some minutes on a laptop have to beat that.
#
# **You will learn to** measure a language model in nats, perplexity and bits per byte · compute
# attention by hand and build it with heads and a mask · train a GPT and prove that it cannot see
# the future · choose how to draw from it, and make it fast · check whether it copies.
#
# **You need** the softmax, matrix products, and the training loop of lessons 2 and 3. Lesson 4
# helps.
#
# **Time** about {{minutes}} minutes to read and solve. The table gives the computer's time, the
# line under the settings that of yours.
#
# {{tiers}}
#
# ## Set-up

# %%
import itertools
import math
import time
import zlib
from collections import Counter

# %%
from course_utils import checks, progress_bars, runtime  # before torch: waiting threads sleep
import torch
import torch.nn.functional as F
import transformers
from IPython.display import Markdown, display
from torch import nn

from course_utils.datasets import texts

# %%
from course_utils.display import attention_diagrams, gpt_plots, plots, text_plots
from course_utils.display.widgets import sampling
from course_utils.evaluation import attention_heads, language_models
from course_utils.models import attention, gpt_pipeline, gpt_training
from course_utils.training.diary import Diary
from course_utils.training.run import TrainingRun, run_folder

run = runtime.setup(seed=0)

# %% [markdown]
# What you may want to change, for each of the three tiers:

# %%
from course_utils.machine import minutes_here

# fmt: off
#                     smoke  laptop     gpu
steps      = run.pick(   60,  4_000, 20_000)  # optimisation steps, fewer where the text is short
batch_size = run.pick(   16,     16,     16)  # windows of text per step
n_texts    = run.pick(  100, 10_000, 25_000)  # training documents
vocab      = run.pick(  512,  1_024,  1_024)  # tokens in the vocabulary, V
dim        = run.pick(   32,    128,    192)  # width of the network, D
layers     = run.pick(    2,      4,      6)  # blocks
heads      = run.pick(    2,      4,      6)  # attention heads of each block
context    = run.pick(   64,     64,    256)  # the most tokens it reads, T
n_score    = run.pick(    7,    300,  1_000)  # held-out documents of a score
source     = None   # None: film reviews that are here; "sentences", "imdb"; or your file or folder
fresh      = False  # True: forget an earlier run and train again
# fmt: on
minutes_here.tell(run, "05_attention_text", steps)

# %% [markdown]
# ## The text

# %%
corpus = texts.load_texts(source, n_texts)
unseen = [text[:600] for text in corpus.held_out[:n_score]]  # texts that training never sees
display(Markdown(texts.which(corpus)))

# %%
print(
    f"{len(corpus.train):,} documents to learn from, {len(unseen)} others to be tested on, such as"
)
print("\n".join(f"- {text_plots.shorten(text, 150)}" for text in unseen[:3]))

# %% [markdown]
# A network reads numbers. So a text is cut into pieces, its **tokens**, and each is replaced by its
# number (*id*) in a list, the **vocabulary**. A list of whole words would never end; single letters
# make texts long. The usual compromise is **byte-pair encoding**: start from single characters,
# merge the most frequent pair of neighbours into a new piece, and repeat ([Sennrich et al.
# 2016](https://arxiv.org/abs/1508.07909), section 3.2).
#
# ### Exercise: merge a pair
#
# *Medium, 10 minutes.* Go through the pieces from the left; wherever `pair` stands, put the two
# together. Pieces may already be longer than one letter, and a piece is used once: `a a a` with the
# pair `a a` becomes `aa a`.
#
# <details><summary>Hint 1</summary>A <code>while</code> loop with a place that moves on by one, or
# by two after a merge.</details>
# <details><summary>Hint 2</summary>What happens to the very last piece, which has no right
# neighbour?</details>


# %%
def merge_pair(pieces, pair):
    """Join ``pair`` wherever it stands: list of str, two str -> list of str."""
    ### BEGIN SOLUTION
    merged, place = [], 0
    while place < len(pieces):
        if tuple(pieces[place : place + 2]) == pair:
            merged.append(pair[0] + pair[1])
            place += 2
        else:
            merged.append(pieces[place])
            place += 1
    return merged
    ### END SOLUTION


merge_pair = checks.attention.merge_pair(merge_pair)

# %% [markdown]
# The other half: count, merge, repeat.

# %%
pieces = list("the film then left the theatre in the end")
for _ in range(3):
    pair, count = Counter(itertools.pairwise(pieces)).most_common(1)[0]
    pieces = merge_pair(pieces, pair)
    print(f"{count} × {pair}, then {len(pieces)} pieces: {'|'.join(pieces)}")

# %% [markdown]
# Three merges make *the* one piece, with the space before it. This lesson's tokenizer goes on until
# the vocabulary is full. It starts from the 256 values of a *byte*: every text is stored as bytes,
# so nothing is ever unknown (the GPT-2 paper, section 2.2). A space (␣) belongs to the word after
# it, and no merge crosses into the next word.

# %%
tokenizer = texts.train_tokenizer(corpus.train[: gpt_training.TOKENIZER_TEXTS], vocab)
ids = tokenizer.encode("The unforgettable film was not good.").ids
print(" | ".join(sampling.token_label(tokenizer, i) for i in ids))

# %%
strange = "Ça alors! 電影 <|endoftext|> \x00"  # accents, Chinese, a marker, a zero byte
back = [tokenizer.decode(tokenizer.encode(text).ids) for text in (*unseen, strange)]
assert back == [*unseen, strange]
print(f"{len(back)} texts encoded and decoded, {len(back)} come back exactly")

# %% [markdown]
# Between documents stands one special token with the number 0, shown as (end): the first token of
# a document is predicted from it. For training, all documents in a row are cut into windows of T
# tokens.

# %%
train_ids, unseen_ids = texts.encode(tokenizer, corpus.train), texts.encode(tokenizer, unseen)
# (N, T): all documents in a row, cut into pieces
windows = texts.windows(train_ids, context, at_least=batch_size)
n_tokens = sum(len(ids) - 1 for ids in unseen_ids)  # (end) is given, all others are predicted
n_bytes = sum(len(text.encode()) for text in unseen)

# %%
print(
    f"{windows.numel():,} training tokens in {len(windows):,} windows; "
    f"{n_bytes / n_tokens:.2f} bytes per token"
)

# %% [markdown]
# ## A probability for every text
#
# By the chain rule of probability, a text's probability is a product of predictions, each token
# given all before it:
#
# $$p(x_1,\dots,x_T) = \prod_{t=1}^{T} p(x_t\mid x_1,\dots,x_{t-1}).$$
#
# So a model that predicts the *next token* is a model of whole texts. Try it with three tokens,
# texts of length four, any predictions: the 81 products must add up to 1.

# %%
p_next = torch.rand(3, 3).softmax(1)  # p(b | a), row a; token 0 begins
total = sum(
    p_next[0, a] * p_next[a, b] * p_next[b, c] * p_next[c, d]
    for a, b, c, d in itertools.product(range(3), repeat=4)
)
print(f"the probabilities of all {3**4} texts add up to {total:.6f}")
assert abs(total - 1) < 1e-5

# %% [markdown]
# **Autoregressive** generation reads the formula from left to right: draw a token, append it, ask
# again. Training makes each prediction of real text as probable as it can: the loss is the mean of
# $-\log p(x_t\mid x_{<t})$, in nats per token. The text itself is the label.
#
# A network gives logits `(B, T, V)`: at each position one number for each token that may come
# *next*. Here is a colleague's loss, and a network that knows nothing of the future: it bets on the
# token that it has just read.


# %%
def loss_of_a_colleague(logits, tokens):
    """Mean of -log p(next token) in nats: logits (B, T, V), tokens (B, T) -> scalar."""
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())


# %%
copying = 20.0 * F.one_hot(windows[:4], vocab)  # logits: sure of the token that is already there
print(f"loss of a network that only copies: {loss_of_a_colleague(copying, windows[:4]):.4f} nats")

# %% [markdown]
# ### Exercise: repair the loss
#
# *Easy, 6 minutes.* A perfect score for repeating the question. Find the fault and write the loss
# that was meant.
#
# <details><summary>Hint 1</summary>Which token should the logits at position t be compared
# with?</details>
# <details><summary>Hint 2</summary>A window of T tokens holds T − 1 predictions. Which position has
# logits and no token after it? Which token has nothing before it?</details>


# %%
def next_token_loss(logits, tokens):
    """Mean of -log p(next token) in nats: logits (B, T, V), tokens (B, T) -> scalar."""
    ### BEGIN SOLUTION
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())
    ### END SOLUTION


next_token_loss = checks.attention.next_token_loss(next_token_loss)

# %%
print(f"your loss of the network that copies: {next_token_loss(copying, windows[:4]):.1f} nats")

# %% [markdown]
# ## Three units for one number
#
# - **nats per token**: the loss itself.
# - **perplexity**: $e^{\text{loss}}$. Guessing among so many equally likely tokens is as hard.
# - **bits per byte**: $\text{loss}\cdot\frac{\text{tokens}}{\text{bytes}}/\log 2$. A token of
#   probability $p$ can be stored in $-\log_2 p$ bits, so a model compresses text: this is what
#   remains of a byte's 8 bits.
#
# A larger vocabulary makes each token harder to guess and the text shorter in tokens, so losses and
# perplexities of different tokenizers *cannot be compared*; bits per byte can.


# %%
def bits_per_byte(nats_per_token, tokens, size):
    """Loss in nats per token -> bits for each of the ``size`` bytes that these tokens spell."""
    return nats_per_token * tokens / size / math.log(2)


# %%
know_nothing = next_token_loss(torch.zeros(1, 50, vocab), torch.randint(vocab, (1, 50)))
print(
    f"all {vocab} tokens equally likely: perplexity {know_nothing.exp():.0f}, "
    f"{bits_per_byte(know_nothing, n_tokens, n_bytes):.2f} bits per byte"
)

# %%
zipped = zlib.compress("\n".join(unseen).encode(), level=9)
print(f"a zip file of the same text: {8 * len(zipped) / n_bytes:.2f} bits per byte")

# %% [markdown]
# ## Count first
#
# How far does counting get? A **bigram** model looks at one token only, and $p(b\mid a)$ is the
# share of the cases where $b$ followed $a$. A pair that never came would get probability 0, and one
# such pair in a new text would cost infinitely many bits. So **smooth** the counts: add to each row
# $s$ tokens, shared out by how frequent each token is,
#
# $$p(b\mid a) = \frac{c(a,b) + s\,p(b)}{c(a) + s}, \qquad p(b) = \frac{c(b) + 1}{n + V}.$$
#
# $c(a,b)$ counts the pairs, $c(a)$ those that begin with $a$, $c(b)$ those that end in $b$, and $n$
# all of them.
#
# ### Exercise: a model that counts
#
# *Medium, 10 minutes.* Return the table of $p(b\mid a)$, row $a$, column $b$. `documents` is a list
# of lists of ids, and `strength` is $s$. Count inside each document, never across two.
#
# <details><summary>Hint 1</summary>The loop of the tokenizer above counted pairs,
# too.</details>
# <details><summary>Hint 2</summary>The document 0 1 1 has the counts c = (0 1; 0 1). Which sum of
# c(a, b) is c(a), and which is c(b)?</details>


# %%
def bigram_probabilities(documents, vocab, strength):
    """p(b | a), smoothed: lists of token ids -> (V, V), each row sums to 1."""
    ### BEGIN SOLUTION
    counts = torch.zeros(vocab, vocab, dtype=torch.float64)
    found = Counter(pair for ids in documents for pair in itertools.pairwise(ids))
    for (a, b), count in found.items():
        counts[a, b] = count
    ends = counts.sum(0) + 1  # (V,)
    smoothed = counts + strength * ends / ends.sum()
    return smoothed / smoothed.sum(1, keepdim=True)
    ### END SOLUTION


bigram_probabilities = checks.attention.bigram_probabilities(bigram_probabilities)


# %%
def counting_model(strength):
    """A model like any other: ids (B, T) -> logits (B, T, V)."""
    log_p = bigram_probabilities(train_ids, vocab, strength).log().float()
    model = nn.Embedding.from_pretrained(log_p)  # log p are logits: their softmax is p
    model.context = 1  # the most tokens that it reads
    return model


# %%
tables, counted = {}, {}
for s in (0.01, 50, 1e9):
    tables[s] = counting_model(s)
    counted[s] = language_models.score(tables[s], unseen_ids, unseen, context)
    print(f"s = {s:g}: perplexity {counted[s].perplexity:.0f}, {counted[s]} bits per byte")
print("(held-out text; in brackets the 95 % interval over documents)")
pairs, bigram, alone = tables[50], counted[50], counted[1e9]

# %% [markdown]
# With s near 0, pairs that never came spoil the score. With 10⁹, only the frequencies of single
# tokens count. From here on, s is 50.
#
# Counted pairs forget everything but one token; a table for the last two would have V² rows, for
# ten V¹⁰. What is needed is a function that reads *all* earlier tokens. The recurrent network,
# above all the LSTM, reads them one by one into a single state. **Attention** came in as its
# helper, which looks back and picks out what matters ([Bahdanau et al.
# 2015](https://arxiv.org/abs/1409.0473)). In 2017 the transformer kept only the helper.
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
# A network learns them; here we invent them, two numbers each. In queries and keys the first stands
# for "thing", the second for "changes a judgement": *film* is found as a thing, *not* as a change,
# and *good* looks for changes. In values the second number is the judgement: 1 from *good*, −1 from
# *not*.

# %%
words = ["the", "film", "was", "not", "very", "good"]
keys = torch.tensor([[0.0, 0], [2, 0], [0, 0], [0, 3], [0, 1], [0, 0]])  # (T, d)
queries = torch.tensor([[0.0, 0], [1, 0], [2, 0], [0, 0], [1, 1], [0, 2]])
values = torch.tensor([[0.0, 0], [1, 0], [0, 0], [0, -1], [0, 0.5], [0, 1]])

# %% [markdown]
# For *good*: compare its query with every key, turn the scores into weights that sum to 1, and
# average the values.

# %%
scores = []
for key in keys.tolist():
    product = sum(a * b for a, b in zip(queries[5].tolist(), key))
    scores.append(product / math.sqrt(2))
total = sum(math.exp(score) for score in scores)
weights = [math.exp(score) / total for score in scores]
result = [sum(w * value[i].item() for w, value in zip(weights, values)) for i in range(2)]

# %%
plots.show(
    attention_diagrams.lookup(words, queries, keys, values, weights, result),
    alt="The query of 'good' meets six keys. Each meeting gives a score, the softmax of the scores gives weights, and nine tenths go to 'not'. So what comes back, the weighted sum of the values, is negative in its second number.",
)

# %% [markdown]
# What *good* gets is nearly the value of *not*. Added to what it carries already, it makes "good,
# but negated". For all tokens at once, with queries, keys and values as rows of matrices, attention
# is one line (eq. 1 of [Vaswani et al. 2017](https://arxiv.org/abs/1706.03762)):
#
# $$\mathrm{Attention}(Q,K,V) = \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt d}\right)V.$$
#
# ### Exercise: attention and its mask
#
# *Medium, 15 minutes.* First attention (the mask follows below), for any number of leading
# dimensions (batch, heads). There may be fewer queries T than keys S. A mask is True where
# a query *may* look at a key. Where it is False, the weight must be exactly 0, and the others must
# still sum to 1.
#
# <details><summary>Hint 1</summary><code>k.transpose(-2, -1)</code> swaps the last two
# dimensions.</details>
# <details><summary>Hint 2</summary>Over which dimension is one query's softmax? Which score gets
# weight 0 from it?</details>


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

# %%
q, k, v = (torch.randn(2, 3, 5, 8) for _ in range(3))
library = F.scaled_dot_product_attention(q, k, v)
difference = (scaled_dot_product(q, k, v) - library).abs().max()

# %%
by_function = scaled_dot_product(queries, keys, values)[5].tolist()
by_library = F.scaled_dot_product_attention(queries, keys, values)[5].tolist()
assert difference < 1e-5
print(f"'good', by the loop {result[1]:.4f}, by your function {by_function[1]:.4f}, ", end="")
print(f"by the library's {by_library[1]:.4f}")

# %% [markdown]
# ### Why divide by √d?
#
# A score is a sum of d products. If the entries of q and k are independent with mean 0 and variance
# 1, the sum has variance d. Scores grow like √d, a softmax of large scores puts everything on one
# key, and there its gradient is nearly 0.

# %%
widths, slope = [1, 4, 16, 64, 256, 1024], {"divided by √d": [], "not divided": []}
for d in widths:
    raw = (torch.randn(500, 1, d) * torch.randn(500, 16, d)).sum(-1)  # (500, 16) scores
    for name, scores in zip(slope, (raw / d**0.5, raw)):
        p = scores.softmax(-1)
        slope[name].append((p * (1 - p)).mean().item())  # derivative of a weight by its own score

# %%
plots.show(
    gpt_plots.slopes(widths, slope),
    alt="The derivative of a weight by its score, over the width. Undivided it falls to nearly 0, so that nothing can be learned; divided by the root of d it stays.",
)

# %% [markdown]
# ### Not looking ahead
#
# A model that predicts the next token must not read it. In training all T − 1 predictions of a
# window are made in one pass, so a **causal mask** has to forbid it: the token at position t may
# look at positions up to t, itself included.
#
# **The second function of exercise {{exercise:causal_mask}}:** row t is the token that looks,
# column s the one that is looked at.


# %%
def causal_mask(length):
    """bool (T, T): True where the token of the row may look at the token of the column."""
    ### BEGIN SOLUTION
    return torch.ones(length, length, dtype=torch.bool).tril()
    ### END SOLUTION


causal_mask = checks.attention.causal_mask(causal_mask)

# %% [markdown]
# One trick to see the weights: with the identity matrix as values, attention returns them.

# %%
everywhere = scaled_dot_product(queries, keys, torch.eye(6))
causal = scaled_dot_product(queries, keys, torch.eye(6), causal_mask(6))
print("the rows sum to", *(f"{total:.4f}" for total in causal.sum(1)))

# %%
plots.show(
    gpt_plots.maps({"no mask": everywhere, "with the causal mask": causal}, words),
    alt="Two six by six maps of weights, rows look at columns. 'good' finds 'not', 'was' finds 'film'. With the mask everything right of the diagonal is forbidden (grey), and the weight is shared out among the rest.",
)

# %% [markdown]
# ## A block
#
# One set of weights can follow one relation at a time. **Multi-head attention** cuts the D columns
# of queries, keys and values into `heads` groups, lets each attend on its own, and puts the results
# side by side again.
#
# ### Exercise: the block, in three functions
#
# *Medium, 15 minutes.* First two that cut and join: head h gets the h-th group of D / heads
# neighbouring columns of every token, and merging undoes it exactly. The third comes after the
# drawing.
#
# <details><summary>Hint 1</summary>First cut the last dimension into two, (heads, D / heads). Then
# two dimensions change places.</details>
# <details><summary>Hint 2</summary>Why not <code>x.reshape(B, heads, T, ...)</code> at once? Number
# the entries of a (1, 2, 4) tensor from 0 to 7 and look.</details>


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

# %% [markdown]
# Your functions, put together: one linear layer makes queries, keys and values of all heads,
# another mixes the heads' answers.


# %%
class Attention(nn.Module):
    """Multi-head causal self-attention: (B, T, D) -> (B, T, D)."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def queries_keys_values(self, x):
        return [split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1)]

    def forward(self, x):
        q, k, v = self.queries_keys_values(x)  # (B, heads, T, D / heads) each
        mask = causal_mask(x.shape[1]).to(x.device)
        return self.out(merge_heads(scaled_dot_product(q, k, v, mask)))


# %% [markdown]
# Attention moves information between tokens. A two-layer network (`mlp`) then works on each token
# by itself. Both work on the **residual stream**, the row of numbers that each token carries
# through the network. Each part reads a copy, brought to mean 0 and variance 1 by a **LayerNorm**
# (`norm`). What it finds, it *adds* to the stream.

# %%
plots.show(
    attention_diagrams.stream(),
    alt="The stream of a block runs straight from left to right. Two branches leave it, through norm1 and attention and through norm2 and mlp, and each comes back with a plus.",
)

# %% [markdown]
# Along the straight line, gradients flow back undamped. **The third function of exercise
# {{exercise:block_forward}}:** write the drawing as code. A block has the parts `norm1`,
# `attention`, `norm2` and `mlp`.


# %%
def block_forward(block, x):
    """What a block does to the stream: x (B, T, D) -> (B, T, D)."""
    ### BEGIN SOLUTION
    x = x + block.attention(block.norm1(x))
    return x + block.mlp(block.norm2(x))
    ### END SOLUTION


block_forward = checks.attention.block_forward(block_forward)


# %%
class Block(nn.Module):
    """Attention between tokens, then a network for each token: (B, T, D) -> (B, T, D)."""

    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(  # GELU is a ReLU with a soft corner
            nn.Linear(dim, 4 * dim), nn.GELU(approximate="tanh"), nn.Linear(4 * dim, dim)
        )

    def forward(self, x):
        return block_forward(self, x)


# %% [markdown]
# ## The GPT
#
# The keys are a *set*: attention does not know which came first. So each token's vector gets a
# learned vector of its *position* added. Then come the blocks and a last LayerNorm. The logits are
# products with the same table that turned tokens into vectors (**weight tying**): tokens
# whose vectors point the stream's way are probable.


# %%
class GPT(nn.Module):
    """Token ids (B, T) -> logits of the next token (B, T, V)."""

    def __init__(self, vocab, dim, layers, heads, context):
        super().__init__()
        names = ("vocab", "dim", "layers", "heads", "context")
        self.sizes = dict(zip(names, (vocab, dim, layers, heads, context)))
        self.context = context
        self.tokens, self.positions = nn.Embedding(vocab, dim), nn.Embedding(context, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        start_small(self, layers, dim)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]  # (B, T, D)
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.tokens.weight.T  # (B, T, V)


# %% [markdown]
# Weights start small, and those that write into the stream smaller still, so that it does not grow
# with the depth (GPT-2, section 2.3). The token table starts with deviation $1/\sqrt{2D}$.


# %%
def start_small(network, layers, dim):
    """GPT-2's initial weights, with a token table that fits the width."""
    for name, weight in network.named_parameters():
        if weight.dim() == 2:
            into_stream = name.endswith(("out.weight", "mlp.2.weight"))
            nn.init.normal_(weight, 0.0, 0.02 / math.sqrt(2 * layers) if into_stream else 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(weight)
    nn.init.normal_(network.tokens.weight, 0.0, 1 / math.sqrt(2 * dim))


# %%
model = GPT(vocab, dim, layers, heads, context).to(run.device)
probe = windows[:4].to(run.device)
with torch.no_grad():
    logits = model(probe)
untrained = next_token_loss(logits, probe).item()

# %%
print("ids", tuple(probe.shape), "-> logits", tuple(logits.shape))
print(f"{sum(p.numel() for p in model.parameters()):,} parameters; ", end="")
print(f"untrained loss {untrained:.2f}, log V = {math.log(vocab):.2f} nats")
assert -0.1 < untrained - math.log(vocab) < 3

# %% [markdown]
# Knowing nothing would cost log V. Yours pays a little more: by weight tying it bets on the token
# that it has just read. Many nats above would mean overconfident initial weights; *below* log V,
# that the targets leak.
#
# ### Proof that it cannot look ahead
#
# Change the tokens from some position on: no logit before that position may move. (`big` has ten
# times larger weights: with tiny ones a leak could hide below the tolerance.)


# %%
def first_change(network, ids, place):
    """The first position whose logits move when the tokens from ``place`` on are replaced."""
    other = ids.clone()
    other[:, place:] = (other[:, place:] + 1) % network.sizes["vocab"]
    with torch.no_grad():
        moved = (network(ids) - network(other)).abs().amax((0, 2)) > 1e-4  # (T,)
    return moved.nonzero()[0].item()


# %%
big = GPT(vocab, dim, layers, heads, context).to(run.device)
for weight in big.parameters():
    weight.data.mul_(10 if weight.dim() == 2 else 1)

# %%
for place in (1, context // 2, context - 1):
    first = first_change(big, probe, place)
    print(f"changed from position {place} on, logits move from {first} on")
    assert first == place and first_change(model, probe, place) == place

# %% [markdown]
# ### Is it GPT-2?
#
# Put GPT-2's weights into *your* class. Only the names differ, and the library keeps the matrices
# of its linear layers transposed. At tier `gpu` these are the published weights, elsewhere random
# ones.

# %%
if run.tier == "gpu":
    theirs = transformers.GPT2LMHeadModel.from_pretrained("gpt2").eval()
else:
    theirs = gpt_pipeline.random_gpt2(vocab, context)
for name in ("transformer.wte.weight", "transformer.h.0.attn.c_attn.weight"):
    print(f"{name} is our {gpt_pipeline.our_name(name)}")


# %%
def from_gpt2(theirs):
    """The library's GPT-2 as our class, with its weights."""
    c = theirs.config
    ours = GPT(c.vocab_size, c.n_embd, c.n_layer, c.n_head, c.n_positions)
    ours.load_state_dict(gpt_pipeline.from_transformers(theirs))
    return ours.eval()


# %%
with torch.no_grad():
    ids = windows[:4]
    expected = theirs(ids, attention_mask=torch.ones_like(ids)).logits
    difference = (from_gpt2(theirs)(ids) - expected).abs().max().item()

# %%
assert difference < 1e-3 * expected.abs().max()
print(f"{expected.numel():,} logits of {theirs.name_or_path or 'a random GPT-2'}, up to ", end="")
print(f"{expected.abs().max():.1f} in size; largest difference {difference:.0e}")

# %% [markdown]
# The published GPT-2 has up to 48 layers of width 1,600 and read 40 GB of text; nothing is
# different in kind.
#
# ### Does it need the positions?
#
# Without them, "the dog bit the man" and "the man bit the dog" are the same set of tokens. Can the
# network still tell them apart? Remove the position vectors, reverse all tokens but the last, and
# see whether the last logits move.


# %%
def without_positions(network):
    """The same network with position vectors that are 0 and stay 0."""
    network.positions.weight.requires_grad_(False).zero_()
    return network


# %%
def order_moves(network, ids):
    """How far the last logits move when the tokens before the last are reversed."""
    reverse = torch.cat([ids[:, :-1].flip(1), ids[:, -1:]], dim=1)
    with torch.no_grad():
        return (network(ids)[:, -1] - network(reverse)[:, -1]).abs().max().item()


# %%
for depth in (1, 2):
    blind = without_positions(GPT(vocab, 64, depth, 4, context))
    print(f"no positions, blocks: {depth}; the last logits move by {order_moves(blind, ids):.6f}")

# %% [markdown]
# With one block the order is invisible (a millionth is rounding). With two it is not, and the mask
# is why: in the first block the second token sees two tokens and the tenth sees ten, so every token
# comes out marked by what *preceded* it. The second block reads the marks (found by [Haviv et al.
# 2022](https://arxiv.org/abs/2203.16634) in large models). Positions help; they are not necessary.
#
# ### Exercise: your prediction
#
# *Easy, 2 minutes.* How many bits per byte will your network need after training, on text that it
# has never seen? Your number comes back beside the measured one. No prediction is wrong.
#
# <details><summary>Something to think about</summary>The counted pairs stand further up. What does
# a reader of 64 tokens know that a reader of one cannot?</details>

# %%
bits_after_training = ...  # a number, such as 3.0
bits_after_training = checks.attention.bits_after_training(bits_after_training)

# %% [markdown]
# ## Writing
#
# The network gives a distribution; *we* choose from it.
#
# ### Exercise: writing, in three functions
#
# *Hard, 45 minutes.* First `generate`. `ids` is a list; `choose` takes the logits (V,) of the next
# token and returns its id. The network reads at most `model.context` tokens: what does not fit is
# forgotten. Return the whole list, and leave `ids` as it was. Two more functions follow later.
#
# <details><summary>Hint 1</summary>The network reads a tensor (1, T) on its own device,
# <code>next(model.parameters()).device</code>.</details>
# <details><summary>Hint 2</summary>Logits come for every position. Which one speaks of the token
# that is not there yet?</details>


# %%
@torch.no_grad()
def generate(model, ids, count, choose):
    """The list ``ids`` and ``count`` tokens more."""
    ### BEGIN SOLUTION
    ids, device = list(ids), next(model.parameters()).device
    for _ in range(count):
        seen = torch.tensor([ids[-model.context :]], device=device)
        ids.append(int(choose(model(seen)[0, -1].float().cpu())))
    return ids
    ### END SOLUTION


generate = checks.attention.generate(generate)

# %% [markdown]
# First, draw each token about as often as the network says. (The 0.8 favours probable tokens a
# little; more below.)


# %%
def drawn(seed=0):
    """A function that draws the next token from its logits (V,), the same way each time."""
    random = torch.Generator().manual_seed(seed)
    return lambda logits: torch.multinomial((logits / 0.8).softmax(0), 1, generator=random)


# %%
def write(network, tokenizer, count=60, seed=0):
    """A text from nothing: after the token (end) that begins every document."""
    return texts.decode(tokenizer, generate(network, [0], count, drawn(seed)))


# %%
print(write(model.eval(), tokenizer))

# %% [markdown]
# There is the bet on the token just read. (� stands for bytes that make no character.)
#
# ## Training
#
# One step: predict, measure the loss, descend. Longer gradients are clipped to length 1, so that no
# single batch throws the network far. The learning rate rises over the first steps and then falls
# along half a cosine.


# %%
def train_step(model, optimizer, ids, lr):
    """One step on windows (B, T); returns the loss in nats per token."""
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

# %% [markdown]
# The run is saved, so you may stop it and go on. A short text is read eight times at most; more,
# and a network memorises it.

# %%
steps = gpt_training.most_steps(steps, len(windows), batch_size)
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
    data_sha256=texts.digest(windows),  # a saved run goes on with the same text only
)
diary = Diary(training.folder, training.step)

# %%
levels = {"log V": math.log(vocab), "single tokens": alone.nats_per_token}
levels["pairs of tokens"] = bigram.nats_per_token

# %%
live = plots.LiveFigure(
    lambda: gpt_plots.learning(training.history, levels, diary.newest(), corpus.title("loss")),
    alt="The training loss by step. Dotted lines: knowing nothing (log V), and what counting single tokens and pairs reaches on held-out text. Below, the text that the network wrote last.",
)
for index in training.batches():  # (B,) the windows of this step
    if training.step in (0, 50, 200, 500, 1_000, 2_000):
        diary.write(training.step, write(model, tokenizer))
    lr = gpt_training.learning_rate(training.step, training.steps)
    training.log(**train_step(model, optimizer, windows[index].to(run.device), lr))
    live.update()
diary.write(training.step, write(model.eval(), tokenizer))
live.close()

# %% [markdown]
# ## Read what it wrote
#
# The same random numbers each time; only the network has changed. (¶ marks a new document.)

# %%
rows = []
for step, text in sorted(diary.pages.items()):
    rows.append((f"{step:,}", text_plots.shorten(text.replace("\n", " ¶ "), 240)))
text_plots.table(("step", "it writes"), rows, corpus.title("one network while it learns"))

# %% [markdown]
# First come the frequencies (the line of single tokens): pieces in no order. Then pairs: a word is
# finished once begun. Then phrases, and at last the tune: openings, commas and full stops sit where
# a critic puts them. The sense is missing: the network is small. Nobody programmed a rule; it all
# comes from the $-\log p$ of the next token. Where the loss falls in stairs, another reading of the
# same text begins: some of it is remembered.
#
# How good is it on text that it has never seen? Beside it stands a network that comes with the
# course, after a longer run on {{result:gpt_reviews.json:train_documents:,d}} of IMDB's reviews. It
# has {{result:gpt_reviews.json:vocab:,d}} kinds of tokens, which alone makes a difference. So it
# gets its own control: counted pairs of *its* tokens.

# %%
writer, words_of, facts = attention.load_shipped(run.device)
large = writer.sizes["vocab"]
large_p = bigram_probabilities(texts.encode(words_of, corpus.train), large, strength=50)
large_log_p, large_ids = large_p.log().float(), texts.encode(words_of, unseen)

# %%
own = language_models.score(model, unseen_ids, unseen, context, run.device)
control = language_models.score(lambda ids: large_log_p[ids], large_ids, unseen, 256)
shipped = language_models.score(writer, large_ids, unseen, writer.context, run.device)

# %%
scored = {
    "pairs of tokens, counted": (vocab, bigram),
    "your GPT": (vocab, own),
    "pairs of the shipped tokens": (large, control),
    "the shipped GPT": (large, shipped),
}
rows = [(name, f"{v:,}", f"{s.perplexity:.0f}", str(s)) for name, (v, s) in scored.items()]
columns = ("model", "tokens", "perplexity", "bits per byte (95 % interval over documents)")
bits_after_training.beside(own.value, ".3f")
text_plots.table(columns, rows, corpus.title("held-out text"))

# %% [markdown]
# Compare each network with the pairs of the same tokens, above it. The course's own bits per byte
# (95 % intervals over three seeds for the `laptop` run, else over documents):
#
# | model | parameters | {{result:gpt_sentences.json:data}} | {{result:gpt_laptop.json:data}} |
# | --- | --- | --- | --- |
# | pairs of {{result:gpt_laptop.json:settings.vocab:,d}} tokens, best smoothing of six | counts | {{result:gpt_sentences.json:bigram_best.value:.3f}} ({{result:gpt_sentences.json:bigram_best.low:.3f}} to {{result:gpt_sentences.json:bigram_best.high:.3f}}) | {{result:gpt_laptop.json:bigram_best.value:.3f}} ({{result:gpt_laptop.json:bigram_best.low:.3f}} to {{result:gpt_laptop.json:bigram_best.high:.3f}}) |
# | this lesson's `laptop` run | {{result:gpt_laptop.json:parameters:,d}} | {{result:gpt_sentences.json:gpt.value:.3f}} ({{result:gpt_sentences.json:gpt.low:.3f}} to {{result:gpt_sentences.json:gpt.high:.3f}}) | {{result:gpt_laptop.json:gpt.value:.3f}} ({{result:gpt_laptop.json:gpt.low:.3f}} to {{result:gpt_laptop.json:gpt.high:.3f}}) |
# | pairs of the shipped network's {{result:gpt_control.json:large.vocab:,d}} tokens | counts | {{result:gpt_sentences.json:with_shipped_tokens.bigram_best.value:.3f}} ({{result:gpt_sentences.json:with_shipped_tokens.bigram_best.low:.3f}} to {{result:gpt_sentences.json:with_shipped_tokens.bigram_best.high:.3f}}) | {{result:gpt_control.json:large.bigram_best.value:.3f}} ({{result:gpt_control.json:large.bigram_best.low:.3f}} to {{result:gpt_control.json:large.bigram_best.high:.3f}}) |
# | the shipped network | {{result:gpt_reviews.json:parameters:,d}} | {{result:gpt_sentences.json:with_shipped_tokens.gpt.value:.3f}} ({{result:gpt_sentences.json:with_shipped_tokens.gpt.low:.3f}} to {{result:gpt_sentences.json:with_shipped_tokens.gpt.high:.3f}}) | {{result:gpt_control.json:large.gpt.value:.3f}} ({{result:gpt_control.json:large.gpt.low:.3f}} to {{result:gpt_control.json:large.gpt.high:.3f}}) |
#
# On IMDB, twice the vocabulary alone brings counting down to
# {{result:gpt_control.json:large.bigram_best.value:.2f}}. So the shipped network gains
# {{result:gpt_control.json:large.ahead.value:.2f}} bits over its control, *less* than the laptop
# run over its own.
#
# ### Which is which?
#
# Four texts: by the counted pairs, your network, the shipped network and a person.

# %%
by = {
    "pairs": write(pairs, tokenizer, 40, seed=7),
    "yours": write(model, tokenizer, 40, seed=7),
    "shipped": write(writer, words_of, 40, seed=7),
    "person": corpus.held_out[n_score % len(corpus.held_out)],
}
who = text_plots.lettered(by, seed=11)

# %% [markdown]
# Write one of the four words down for each letter, then run the cell after it.

# %%
guess = {"A": ..., "B": ..., "C": ..., "D": ...}  # "pairs", "yours", "shipped", "person"

# %%
text_plots.tell(who, guess)

# %% [markdown]
# In the counted pairs each pair of pieces is plausible, and no sentence is. In the networks' texts,
# look at what *ties sentences together*: the verdict that changes, the name that comes up only
# once.
#
# ## What the heads found by themselves
#
# We invented a token that looks for *not*. Does a trained network have one? Give the shipped one
# sentences with *not*. For each of its 36 heads, how much weight lies on the token just before, on
# the first token, and on *not*? Heads are **chosen on one half** of the sentences and **measured on
# the other**, as the best of 36 would look good by luck.

# %%
pieces = [piece for text in corpus.held_out for piece in text.split(". ")]
sentences = [piece for piece in pieces if " not " in piece and 30 < len(piece) < 300][:198]
sentences += ["The film was not very good", "It was not bad at all"]
not_id = words_of.encode(" not").ids[0]

# %%
found, even = attention_heads.over_texts(
    lambda ids: sampling.attention_weights(writer, ids), texts.encode(words_of, sentences), not_id
)

# %%
half, chosen, rows = len(found["target"]) // 2, {}, []
titles = {"previous": "the token before", "first": "the first token", "target": "'not'"}
for habit, title in titles.items():
    layer, head = attention_heads.strongest(found[habit][:half].mean(0))
    chosen[title], rest = (layer, head), found[habit][half:]
    numbers = (rest[:, layer, head].mean(), rest.mean(), even[habit][half:].mean())
    rows.append((title, f"{layer + 1}.{head + 1}", *(f"{n:.1%}" for n in numbers)))
columns = ("weight on", "head (block.number)", "this head", "all heads", "evenly spread")
text_plots.table(columns, rows, f"{len(rest)} sentences that did not choose the heads")

# %%
example = [0, *words_of.encode("The film was not very good").ids]
maps = sampling.attention_weights(writer, example)  # (layers, heads, T, T)
shown = {f"head {b + 1}.{h + 1}: {title}": maps[b, h] for title, (b, h) in chosen.items()}
plots.show(
    gpt_plots.maps(shown, [sampling.token_label(words_of, i) for i in example]),
    alt="The three chosen heads on 'The film was not very good', each with its weights as numbers; grey is forbidden. The third one looks from the words after 'not' back at it.",
)

# %% [markdown]
# In the course's measurement, head
# {{result:gpt_heads.json:target.block}}.{{result:gpt_heads.json:target.head}} puts
# {{result:gpt_heads.json:target.value:.0%}} ({{result:gpt_heads.json:target.low:.0%}} to
# {{result:gpt_heads.json:target.high:.0%}}) of its weight on *not*; evenly spread, it would be
# {{result:gpt_heads.json:target.chance:.0%}}. Nobody asked for that. Still, maps show where a head
# looked, not why the model answered as it did.
#
# ## Three knobs
#
# The opposite of drawing: always take the most probable token.


# %%
def greedy(logits):
    """Always the most probable token."""
    return logits.argmax()


# %%
start = [0, *words_of.encode("This film is").ids]
print(texts.decode(words_of, generate(writer, start, 100, greedy)))

# %% [markdown]
# Flat, and soon going in circles: a loop makes itself more likely with every round, in large models
# too ([Holtzman et al. 2020](https://arxiv.org/abs/1904.09751), figures 2 and 4). So *draw*. Three
# knobs set how boldly.
#
# - **Temperature** divides the logits: below 1 sharpens, above 1 flattens.
# - **Top-k** keeps the k most probable tokens.
# - **Top-p** (nucleus) keeps the smallest set of tokens that together reach p: few where the model
#   is sure, many where it is not.
#
# **The second function of exercise {{exercise:filter_logits}}.** First divide by the temperature.
# Then top-k: everything smaller than the k-th largest becomes −inf (tokens tied with it stay; k may
# be larger than V). Then top-p on what is left: by descending probability, keep tokens until p is
# reached; the one that crosses p is kept. `None` switches a filter off. Every token keeps its
# place.
#
# <details><summary>Hint 1</summary>The probabilities that count for top-p are those after
# top-k.</details>
# <details><summary>Hint 2</summary>A token goes if the sum <em>before</em> it has already reached
# p. That is decided in sorted order; then each decision has to go back to its token.</details>


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

# %%
logits = sampling.next_logits(writer, start)
figure, axes = plots.subplots(2, 3, width=9.2, height=5)
settings = ((1.0, None, None), (0.5, None, None), (1.5, None, None))
settings += ((1.0, 1, None), (1.0, 5, None), (1.0, None, 0.5))
sampling.sampling_static(axes, logits, words_of, filter_logits, settings, bars=8, limit=0.4)
plots.show(
    figure,
    alt="The eight most probable tokens after 'This film is' under six settings. Outlines are the model's own probabilities, bars what is drawn from, a cross marks what is left out. Bars grow where others are left out; greedy is top-k with k = 1. A draw's perplexity is the number of equally likely tokens that would be as hard to guess among.",
)

# %% [markdown]
# With a running kernel, turn the knobs yourself:

# %%
beginnings = ["This film is", "The acting", "I watched this movie with my", "The worst thing about"]
sampling.sampling(writer, words_of, beginnings, filter_logits)

# %% [markdown]
# Whole texts:


# %%
def sampler(temperature=1.0, top_k=None, top_p=None, seed=0):
    """A function that draws the next token, the same way each time it is made."""
    random = torch.Generator().manual_seed(seed)

    def choose(logits):
        kept = filter_logits(logits, temperature, top_k, top_p)
        return torch.multinomial(kept.softmax(0), 1, generator=random)

    return choose


# %%
for temperature in (0.5, 0.8, 1.2):
    print(f"--- temperature {temperature}, {facts['data']}")
    print(texts.decode(words_of, generate(writer, start, 80, sampler(temperature))), "\n")

# %% [markdown]
# At 0.5 most sentences are sound, and anybody could have written them. At 1.2 the text falls apart:
# together the many improbable tokens are drawn often, and every later token builds on these
# mistakes.
#
# ### Looking for the most probable text: beam search
#
# Greedy takes the best token, not the best text. **Beam search** keeps several prefixes. At each
# step it tries every token after every prefix and keeps the `beams` most probable of all these
# longer texts. A text's probability is the product of its tokens'.
#
# **The third function of exercise {{exercise:beam_search}}.** Return the best text and the log
# probability of what was added. With one beam it is greedy decoding. All prefixes go through the
# network as one batch.
#
# <details><summary>Hint 1</summary>Keep pairs (ids, log probability so far); it begins with one
# pair.</details>
# <details><summary>Hint 2</summary>From a table (prefixes, V) of log probabilities of longer texts
# take the <code>topk</code> of <em>all</em> entries. Which prefix and which token is the entry
# number n of the flattened table?</details>


# %%
@torch.no_grad()
def beam_search(model, ids, count, beams):
    """The most probable continuation found with ``beams`` prefixes: (ids, log probability)."""
    ### BEGIN SOLUTION
    kept, device = [(list(ids), 0.0)], next(model.parameters()).device
    for _ in range(count):
        seen = torch.tensor([text for text, _ in kept], device=device)[:, -model.context :]
        log_p = model(seen)[:, -1].float().log_softmax(-1).cpu()  # (prefixes, V)
        total = log_p + torch.tensor([so_far for _, so_far in kept])[:, None]
        best, longer = total.flatten().topk(beams), []
        for value, place in zip(best.values.tolist(), best.indices.tolist()):
            row, token = divmod(place, log_p.shape[1])
            longer.append(([*kept[row][0], token], value))
        kept = longer
    return kept[0]
    ### END SOLUTION


beam_search = checks.attention.beam_search(beam_search)

# %%
length = run.pick(40, 100, 100)  # tokens
ways = {
    "greedy": beam_search(writer, start, length, beams=1)[0],
    "5 beams": beam_search(writer, start, length, beams=5)[0],
    "temperature 0.8": generate(writer, start, length, sampler(0.8)),
    "temperature 1": generate(writer, start, length, sampler(1.0)),
}

# %%
rows = []
for name, ids in ways.items():  # how probable does the model find what each way has written?
    seen = torch.tensor([ids], device=run.device)
    with torch.no_grad():
        nats = next_token_loss(writer(seen), seen).item()
    rows.append((name, f"{nats:.2f}", f"{language_models.repeated_share(ids):.0%}"))
    print(f"{name}: {text_plots.shorten(texts.decode(words_of, ids), 100)}")
columns = ("way of writing", "nats per token", "4-token sequences that are repeats")
text_plots.table(columns, rows, "one text each, by the shipped network")

# %% [markdown]
# The search finds text that the model thinks far *more* probable than what people write: held-out
# reviews cost it {{result:gpt_reviews.json:gpt.nats_per_token:.2f}} nats per token. Yet it repeats
# itself, as cold drawing does: repeats make up
# {{result:gpt_reviews.json:written.cold.repeated:.0%}} of what it writes at temperature 0.5, and
# {{result:gpt_reviews.json:written.held_out.repeated:.1%}} of people's reviews. Search suits tasks
# with one right answer, such as translation.
#
# ## The key-value cache
#
# `generate` runs the network over the whole text for each new token. But earlier tokens never look
# at later ones, so their keys and values *do not change*. Keep them, and compute only the new
# token.

# %%
plots.show(
    attention_diagrams.decoding(["(end)", "This", "film", "is", "a", "very", "good"], given=3),
    alt="Four steps of writing. Dark: tokens that pass the network in this step; pale: tokens whose keys and values were kept. Without a cache every step starts from the beginning; with one, a single token passes.",
)

# %% [markdown]
# ### Exercise: attention that remembers
#
# *Hard, 15 minutes.* `q`, `k` and `v` (B, heads, T, d) belong to T *new* tokens. `kept` is the pair
# (keys, values) of all tokens before them, or None at the first call. Return what attention gives
# for the new tokens, and the pair to keep for the next call. Each new token may look at what was
# kept, at itself, and at the new tokens before it.
#
# <details><summary>Hint 1</summary>Keys and values of the whole text first: which dimension counts
# the tokens?</details>
# <details><summary>Hint 2</summary>Two tokens kept, two new: draw the mask of the whole text, four
# by four. Which of its rows ask a question now?</details>


# %%
def attend_with_cache(q, k, v, kept):
    """New tokens' attention: (B, heads, T, d) -> the same, and (keys, values) to keep."""
    ### BEGIN SOLUTION
    if kept is not None:
        k = torch.cat([kept[0], k], dim=2)
        v = torch.cat([kept[1], v], dim=2)
    mask = causal_mask(k.shape[2])[-q.shape[2] :].to(q.device)  # rows of the new tokens
    return scaled_dot_product(q, k, v, mask), (k, v)
    ### END SOLUTION


attend_with_cache = checks.attention.attend_with_cache(attend_with_cache)


# %%
class CachedAttention(Attention):
    """Attention that keeps keys and values of what it has read."""

    kept = None  # (keys, values), each (B, heads, T, D / heads)

    def forward(self, x):
        answers, self.kept = attend_with_cache(*self.queries_keys_values(x), self.kept)
        return self.out(merge_heads(answers))


class CachedGPT(GPT):
    """The same network, for one text: each call reads only what is new."""

    read = 0

    def forward(self, ids):
        end = self.read + ids.shape[1]
        x = self.tokens(ids) + self.positions.weight[self.read : end]
        self.read = end
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.tokens.weight.T


# %%
def with_cache(model):
    """A copy of a network that has read nothing yet and keeps what it reads."""
    fast = CachedGPT(**model.sizes)
    for block in fast.blocks:
        block.attention = CachedAttention(fast.sizes["dim"], fast.sizes["heads"])
    fast.load_state_dict(model.state_dict())
    return fast.to(run.device).eval()


@torch.no_grad()
def generate_cached(model, ids, count, choose):
    """Like ``generate`` within one context."""
    ids, new, fast = list(ids), list(ids), with_cache(model)
    for _ in range(count):
        logits = fast(torch.tensor([new], device=run.device))[0, -1]  # only the new tokens go in
        new = [int(choose(logits.float().cpu()))]
        ids += new
    return ids


# %%
slow = generate(writer, start, 60, sampler(0.8, 40))
fast = generate_cached(writer, start, 60, sampler(0.8, 40))  # a new sampler: the same numbers
assert slow == fast
print(f"{sum(a == b for a, b in zip(slow, fast))} of {len(slow)} tokens are the same")

# %% [markdown]
# What does it save?

# %%
length = run.pick(60, 240, 240)  # tokens
seconds = {generate: [], generate_cached: []}
for _ in range(2):
    for function, measured in seconds.items():
        began = time.perf_counter()
        function(writer, start, length, greedy)
        measured.append(time.perf_counter() - began)
slow, fast = min(seconds[generate]), min(seconds[generate_cached])
print(
    f"{length} tokens: {length / slow:.0f} tokens/s without, "
    f"{length / fast:.0f} with the cache, {slow / fast:.1f} times as fast"
)

# %% [markdown]
# Without the cache, token t re-reads t tokens; with it, one. The gain grows with the length:
# {{result:gpt_reviews.json:cache.50.ratio:.1f}} times at 50 tokens,
# {{result:gpt_reviews.json:cache.250.ratio:.1f}} at 250, measured on one core. The price is memory:
# 2 · layers · D numbers for every token.
#
# ## Does it copy?
#
# Does the model recite its training text? Cut what it wrote into pieces of 50 characters and search
# each in the training text. Pieces of *held-out* text give the base rate: people who did not copy
# use set phrases, too.


# %%
def copied_share(written, training_text, length=50, step=25):
    """Share of pieces of ``length`` characters that stand verbatim in the training text."""
    pieces = [
        text[i : i + length]  # all of a shorter text
        for text in written
        for i in range(0, max(1, len(text) - length + 1), step)
    ]
    return sum(piece in training_text for piece in pieces) / len(pieces)


# %%
training_text = "\n".join(corpus.train)
seeds = progress_bars.progress(range(run.pick(2, 10, 50)), "texts")
yours = [
    texts.decode(tokenizer, generate_cached(model, [0], context - 1, sampler(0.8, seed=seed)))
    for seed in seeds
]

# %%
print(f"your GPT: {copied_share(yours, training_text):.1%} of pieces are in the training text")
print(f"held-out text: {copied_share(unseen[:50], training_text):.1%} (the base rate)")
long_ones = [text for text in corpus.train[:50] if len(text) >= 50]
print(f"training text: {copied_share(long_ones, training_text):.0%} (so the search works)")

# %% [markdown]
# Can the search find a copier? Make one: train your network on 800 tokens, again and again.

# %%
parrot = GPT(**model.sizes).to(run.device)
parrot.load_state_dict(model.state_dict())
losses = gpt_training.fine_tune(
    parrot, windows[: 800 // context], run.pick(5, 150, 150), 4, peak=2e-3, autocast=run.autocast
)
recited = [
    texts.decode(tokenizer, generate_cached(parrot.eval(), [0], context - 1, sampler(0.8, seed=s)))
    for s in range(4)
]

# %%
print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f} nats per token; ", end="")
print(f"{copied_share(recited, training_text):.0%} of pieces are in the training text")
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
# The lower the temperature, the more set phrases. But the base rate is *higher* than the model's.
# How can people copy texts that they have never seen?
#
# <details><summary>Where the copies come from</summary>The longest one has
# {{result:gpt_reviews.json:written.held_out.longest_copy}} characters. It is a review that stands
# in <em>both</em> parts of IMDB. The search found a leak: a few held-out texts were trained on.
# Search your own splits, too.</details>
#
# ## The three-line interface
#
# A library hides all this behind three lines. At tier `gpu` they fetch the real GPT-2; elsewhere
# they run the shipped network.

# %%
if run.tier == "gpu":
    pipe = transformers.pipeline("text-generation", model="gpt2", device=run.device)
else:
    pipe = gpt_pipeline.text_pipeline(writer, words_of)
transformers.set_seed(0)
answer = pipe("This film is", max_new_tokens=40, do_sample=True, temperature=0.8, top_k=50)
print(answer[0]["generated_text"])

# %% [markdown]
# Two traps: the answer *starts with the prompt*, and `max_length` counts the prompt too, so use
# `max_new_tokens`.
#
# ## What pre-training adds
#
# On WikiText-2, pages of Wikipedia that it had not trained on, GPT-2 reached a perplexity *per
# word* of 18.34. The best model before, trained on such pages, reached 39.14 (Radford et
# al. 2019, table 3). That is **pre-training**: learn from much text first, then meet the task. Two
# networks get the same few steps on Python's manual. One starts from the shipped weights, one from
# nothing.

# %%
manual = texts.load_texts("manual")
new_ids = texts.windows(texts.encode(words_of, manual.train), 128)
new_unseen = [text[:600] for text in manual.held_out]
torch.manual_seed(0)
students = {"from nothing": GPT(**writer.sizes), "pre-trained": attention.load_shipped()[0]}

# %%
for name, student in students.items():
    gpt_training.fine_tune(
        student.to(run.device), new_ids, run.pick(3, 60, 60), batch_size=8, autocast=run.autocast
    )
    after = language_models.score(
        student.eval(), texts.encode(words_of, new_unseen), new_unseen, writer.context, run.device
    )
    print(f"{manual.title(name)}: {after} bits per byte")

# %% [markdown]
# Over three seeds, the course measured {{result:gpt_transfer.json:scratch.value:.2f}} bits per byte
# from nothing and {{result:gpt_transfer.json:shipped.value:.2f}} from the shipped weights, which
# had {{result:gpt_transfer.json:before.value:.2f}} before the first step. Reviews teach English,
# and English helps with manuals.
#
# ## When it goes wrong: the model that sees the future
#
# The best loss you will ever get is a bug. Two small networks train for a few steps on windows of
# 16 tokens. The second has no mask.


# %%
class Unmasked(Attention):
    """Attention whose author forgot one argument."""

    def forward(self, x):
        q, k, v = self.queries_keys_values(x)
        return self.out(merge_heads(scaled_dot_product(q, k, v)))


# %%
short, pieces = {}, texts.windows(train_ids, 16)
for name in ("with the mask", "without the mask"):
    torch.manual_seed(0)
    short[name] = GPT(vocab, run.pick(64, 128, 128), layers=2, heads=2, context=16)
    if name == "without the mask":
        for block in short[name].blocks:
            block.attention = Unmasked(short[name].sizes["dim"], 2)
    gpt_training.fine_tune(
        short[name].to(run.device), pieces, run.pick(60, 150, 150), 128, peak=4e-3
    )

# %%
for name, network in short.items():
    scored = language_models.score(network.eval(), unseen_ids, unseen, 16, run.device)
    print(f"{name}: perplexity {scored.perplexity:.2f}, {scored} bits per byte, held-out text")

# %%
for name, network in short.items():
    written = generate(network, [0], 12, sampler(0.8))
    print(f"{name}, it writes", " ".join(sampling.token_label(tokenizer, i) for i in written))

# %%
few = pieces[:2].to(run.device)
for name, network in short.items():
    print(f"{name}: changed from 9 on, logits move from {first_change(network, few, 9)} on")

# %% [markdown]
# **What happened.** At each position the answer stands one column to the right, and attention
# copies it, on held-out text as well. In generation there is no right column, so what it learned is
# worth nothing. No curve looks wrong. **How to see it**: a perplexity near 1; rubbish when it
# writes; and, for certain, logits that move before the place you touched. **The cure** is one line,
# the mask. The same leak comes from a mask off by one, targets that were not shifted (exercise
# {{exercise:next_token_loss}}), or a normalisation over all positions.
#
# ## Questions
#
# Think first, then open the answer.
#
# **1. Model A has perplexity 20 with 2,000 tokens, model B perplexity 40 with 50,000. Which is
# better?** (a) A, as 20 is below 40 (b) B, as 40 is a smaller part of its vocabulary (c) nobody
# can say from this (d) they are equal
#
# <details><summary>Answer</summary>(c): B's tokens are longer, and a token twice as hard to guess
# may save more than it costs. Bits per byte would tell. (a) compares different units. (b) There is
# no such rule. (d) would be chance.</details>
#
# **2. You forget the causal mask. On held-out text the loss is** (a) infinite (b) about as before
# (c) much too low (d) log V
#
# <details><summary>Answer</summary>(c): the target can be read off. (a) Nothing divides by 0. (b)
# would hold for a model that ignores the leak; gradient descent does not. (d) is a model that knows
# nothing.</details>
#
# **3. The key-value cache gives the same tokens because** (a) the model was trained with it (b)
# earlier tokens never look at later ones, so their keys and values stay (c) greedy decoding is
# deterministic (d) attention does not know the order
#
# <details><summary>Answer</summary>(b): without the mask it would be wrong. (a) Training needs no
# cache. (c) It holds for drawing with one seed too. (d) Positions are added before the keys are
# made.</details>
#
# **4. Your model writes a fluent paragraph. Which check tells that it did not copy it?** (a) its
# perplexity on training text (b) a search for its pieces in the training text, beside a base rate
# (c) a search of the web by eye (d) a high temperature
#
# <details><summary>Answer</summary>(b). (a) is low for copiers and for good models. (c) finds some,
# and proves nothing by finding none. (d) makes copying rarer, and does not tell.</details>
#
# ## Recap
#
# You measured language models in nats, perplexity and bits per byte; computed attention by hand and
# built it with heads and a mask; trained a GPT, and proved that it cannot see the future; chose how
# to draw from it, made it fast, and checked whether it copies.
#
# **What this did not show.** Larger models, rotary positions, and instruction tuning, which turns a
# model that continues text into one that answers. The search finds verbatim copies only. A model of
# reviews repeats what reviews say about people, good or bad.
#
# **Sources.** Vaswani et al. 2017, [arXiv 1706.03762](https://arxiv.org/abs/1706.03762), eq. 1,
# sections 3.2.1 (footnote 4) and 3.2.2 · Radford et al. 2019, [GPT-2
# paper](https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf),
# sections 2.2, 2.3 and 3.1, table 3 · Holtzman et al. 2020, [arXiv
# 1904.09751](https://arxiv.org/abs/1904.09751), section 3, figures 2 and 4 · Maas et al. 2011 (the
# IMDB reviews).
#
# **Next:** lesson 6 measures generators, of pictures and of text, with more than one number.
