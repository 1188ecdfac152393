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
# # 4. BERT fine-tuned on IMDB
#
# In this lesson you teach a pre-trained encoder to tell praise from blame in film reviews, with a
# training loop that you wrote yourself, and you find out, with error bars, whether it beats a
# method from the last century that counts words.
#
# **You will learn to** turn reviews into batches without wasting half of them · run the two tasks
# that BERT was pre-trained on · fine-tune with warm-up, weight decay and clipping, and know why
# each is there · compare two classifiers honestly, on the same examples, with intervals · read
# errors, attention and the effect of single words, and know what they do not prove.
#
# **You need** lesson 1's loss from logits, the softmax, and the idea of an embedding: a vector of
# learned numbers for each word. Attention may stay a black box until lesson 5.
#
# **Time** about {{minutes}} minutes to read and solve. The computer works as long as this table
# says,
# and on your machine as long as stands under the settings.
#
# {{tiers}}

# %% [markdown]
# ## Set-up

# %%
import copy
import itertools
import math

# before torch: waiting threads sleep
from course_utils import checks, progress_bars, results, runtime
import torch
from torch import nn

from course_utils.datasets import length_batches
from course_utils.display import palette, plots, text_plots
from course_utils.display.widgets import review_meter
from course_utils.evaluation import occlusion as attribution

# %%
from course_utils.evaluation.bag_of_words import bag_of_words
from course_utils.datasets.near_duplicates import without_copies
from course_utils.models import bert, masked_lm
from course_utils.models.pretrained import load_encoder
from course_utils.datasets.reviews import load_reviews
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
n_train    = run.pick(   64,  2_000, 25_000)  # training reviews
n_test     = run.pick(  100,  1_000, 25_000)  # test reviews
max_tokens = run.pick(   32,    128,    256)  # tokens that are read of a review
batch_size = run.pick(   16,     16,     32)  # reviews a step
keep       = "ends" # half of these from each end; "head" keeps the beginning
epochs     = run.pick(    1,      2,      3)  # passes over the training reviews
peak_rate  = run.pick( 1e-4,   1e-4,   2e-5)  # the largest learning rate of the schedule
task_steps = run.pick(   10,    200,    400)  # steps of the pre-training in miniature
source     = None   # None: IMDB if it is here, else critics' sentences; or your folder
encoder_is = None   # None: the tier's; "small", "base" or "standin"
fresh      = False  # True: forget an earlier run and train again
# fmt: on
minutes_here.tell(run, "04_bert_imdb", n_train)

# %% [markdown]
# ## The idea in miniature: counting words is not reading
#
# Take two sentences made of the same words, and ask a **bag of words** about them: a classifier
# that sees which words occur, and how often, but not where.

# %%
praise = "not boring at all, but funny"
blame = "boring, not funny, but at all"
assert sorted(praise.replace(",", "").split()) == sorted(blame.replace(",", "").split())

# %%
toy = bag_of_words()
toy.set_params(tfidfvectorizer__min_df=1)  # also count words that occur in one text only
toy.fit(["funny and good", "boring and bad", "so funny", "so boring"], [1, 0, 1, 0])
p = toy.predict_proba([praise, blame])[:, 1]
print(f"P(positive): {p[0]:.3f} and {p[1]:.3f}")
assert math.isclose(p[0], p[1])

# %% [markdown]
# The same number twice: no bag of words can tell them apart. To read, a model has to let each
# word's meaning depend on the words around it, on both sides. That is what an **encoder** does: it
# takes T **tokens** (words or pieces of words) and gives back T vectors, each of which has looked
# at all tokens. Lesson 5 takes the looking apart. Here we take such a network ready-made: BERT
# ([Devlin et al. 2019](https://arxiv.org/abs/1810.04805), "the paper" from here on), trained
# beforehand on text without labels.
#
# First the data, then the network. Where IMDB is not on your machine, the "reviews" are single
# sentences from critics' reviews ([Pang and Lee 2004](https://aclanthology.org/P04-1035/)),
# positive if the critic liked the film.

# %%
train = load_reviews(source, "train", limit=n_train)
validation = load_reviews(source, "validation", limit=n_test // 2)
test = load_reviews(source, "test", limit=n_test)
for part in (train, validation, test):
    print(part)

# %% [markdown]
# Read a few before anything else; nothing replaces it. (So eight reviews of a telephone app turned
# up in our copy of IMDB: see `data/README.md`.) Reviews come from the web and hold HTML. The rule:
# a `<br />` becomes a new line, everything else stays as it was written, and whatever is shown is
# *escaped*, so that a review's markup is seen and never run.

# %%
few = train.take(4)
rows = [(few.classes[y], text_plots.shorten(text, 200)) for y, text in zip(few.labels, few.texts)]
rows.append(("made up", "<script>alert('you have been reviewed')</script><b>bold</b> claims"))

# %%
text_plots.table(["label", "text"], rows, train.title("four reviews, and one with markup"))

# %% [markdown]
# ### What must not leak
#
# Test reviews measure something only if the model has not met them. Three leaks are common. *The
# same film on both sides*: a model then learns that a name is praised. IMDB's authors kept films
# apart, and the course does so for the critics' sentences. *Copies*: people post a review twice.
# *Looking often*: whoever chooses settings by test accuracy has trained on it; for choosing there
# is `validation`, and test accuracy is measured **once**, under "Results".

# %%
train, copies = without_copies(train, validation, test)
train.require(each=1)
print(
    f"left out: {copies.exact} exact and {copies.near} near copies, "
    f"{copies.in_held} of them of held-out reviews"
)

# %%
if train.films:
    assert not set(train.films) & (set(test.films) | set(validation.films))
assert not set(train.texts) & set(test.texts)

# %% [markdown]
# Over all of the {{result:bert_data.json:imdb.name}}, {{result:bert_data.json:imdb.copies.exact}}
# of 25,000 training reviews are word-for-word copies and {{result:bert_data.json:imdb.copies.near}}
# nearly so;
# {{result:bert_data.json:imdb.copies.in_held}} of these repeat a test review: half a percent. In
# other collections it is more: over 4 % of the validation parts that [Lee et al.
# 2021](https://arxiv.org/abs/2107.06499) examined (abstract).
#
# ## From text to tokens
#
# BERT does not read words but **WordPieces**: frequent words are one token, rare ones are put
# together from pieces (`##` means: joined to the left). So BERT's 30,000 tokens (section 3 of the
# paper) spell nearly everything. `[CLS]` opens a text, `[SEP]` closes it.
#
# Tier `gpu` takes BERT-base. The others take a small encoder: MiniLM, of BERT's design with 6
# layers, first trained to imitate a large network ([Wang et al.
# 2020](https://arxiv.org/abs/2002.10957)) and then to compare sentences ([Reimers and Gurevych
# 2019](https://arxiv.org/abs/1908.10084)).

# %%
encoder = load_encoder(encoder_is, tier=run.tier, texts=train.texts)
tokenizer, model = encoder.tokenizer, encoder.model.to(run.device)
print(
    f"{encoder.name}, pre-trained: {encoder.pretrained}, "
    f"{len(tokenizer):,} tokens in its vocabulary"
)

# %%
for text in ("An unbelievably good film.", "DeNiro's underacting!"):
    print(tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]))

# %% [markdown]
# What enters the network is a *sum* of three vectors a token: which token it is, at which
# **position** it stands, and which **segment** it belongs to (two for pairs of texts, here always
# the first), then a layer norm (figure 2 of the paper). Without the position the encoder, too,
# would see a bag.

# %%
ids = torch.tensor([tokenizer("A wonderful film.")["input_ids"]])  # (1, T)
inputs = model.bert.embeddings.cpu()
T = ids.shape[1]
summed = (
    inputs.word_embeddings(ids)
    + inputs.position_embeddings(torch.arange(T))
    + inputs.token_type_embeddings(torch.zeros_like(ids))
)

# %%
model.eval()
assert torch.allclose(inputs.LayerNorm(summed), inputs(input_ids=ids), atol=1e-5)
inputs.to(run.device)
print(f"ids {tuple(ids.shape)} -> vectors {tuple(summed.shape)}")

# %% [markdown]
# And it reads in both directions: change the *last* word, and the vector of the *first* token
# changes as well. (Lesson 5's language model must not do that.)

# %%
with torch.no_grad():
    states = [
        model.bert(torch.tensor([tokenizer(f"The film was {w}")["input_ids"]], device=run.device))
        for w in ("good", "bad")
    ]
first, second = (s.last_hidden_state for s in states)

# %%
moved = (
    first[0, 0] - second[0, 0]
).norm()  # the first token, [CLS]; a stand-in may cut the last word into pieces
print(f"states {tuple(first.shape)}; [CLS] moved by {moved:.2f}")
assert moved > 1e-3

# %% [markdown]
# ### How much of a review is read
#
# A network reads a fixed number of tokens at most, 512 here, and time grows with it. So reviews are
# cut. Many tutorials cut at 128. What does that throw away? Measured on
# {{result:bert_data.json:imdb.name}}, all 25,000 training reviews: the median has
# {{result:bert_data.json:imdb.median_tokens:.0f}} tokens, and at a limit of
#
# | limit | reviews longer than that | tokens thrown away |
# | --- | --- | --- |
# | 128 | {{result:bert_data.json:imdb.longer.128:.0%}} | {{result:bert_data.json:imdb.cut.128:.0%}} |
# | 256 | {{result:bert_data.json:imdb.longer.256:.0%}} | {{result:bert_data.json:imdb.cut.256:.0%}} |
# | 512 | {{result:bert_data.json:imdb.longer.512:.0%}} | {{result:bert_data.json:imdb.cut.512:.0%}} |
#
# More than half of the text is lost at 128. A short limit is a choice of speed over accuracy; make
# it knowingly. *Which* tokens are kept matters, too: a verdict often stands at the end. At 128
# tokens, keeping half from each end instead of the beginning took the share of right answers from
# {{result:bert_laptop.json:imdb_head.bf16.value:.1%}} to
# {{result:bert_laptop.json:imdb.bf16.value:.1%}} ({{result:bert_laptop.json:imdb.train:,d}} reviews
# to train on, three seeds; [Sun et al. 2019](https://arxiv.org/abs/1905.05583), section 5.3.1,
# found the same direction at 512). And your data, at this lesson's limit (of the critics' sentences
# hardly one is longer than 64 tokens):

# %%
sequences = {
    name: encoder.encode(part.texts, max_tokens, keep)
    for name, part in {"train": train, "validation": validation, "test": test}.items()
}
whole = torch.tensor([len(s) for s in encoder.encode(train.texts, 100_000)])
lengths = whole.clamp(max=max_tokens)

# %%
print(
    f"median {whole.median()} tokens; {(whole > max_tokens).float().mean():.0%} "
    "of the reviews are cut, "
    f"and {1 - lengths.sum() / whole.sum():.0%} of all tokens thrown away"
)

# %%
figure, (ax,) = plots.subplots(width=7, height=2.4)
ax.hist(whole.clamp(max=1000).tolist(), bins=50, color=palette.BLUE)
ax.axvline(max_tokens, color="black", linestyle=":", label="limit")
ax.set(
    xlabel="tokens (the last bar: 1,000 or more)", ylabel="reviews", title=train.title("lengths")
)
ax.legend(frameon=False)
plots.show(
    figure,
    alt="How many reviews have how many tokens, with the limit dotted: right of it, texts are cut.",
)

# %% [markdown]
# ### Exercise: a batch of texts of different length
#
# *Easy, 6 minutes.* A tensor is a rectangle, so shorter texts are filled up at the right with a
# padding id, and a **mask** says where real tokens are (1) and where padding is (0). Return both,
# as int64.
#
# <details><summary>Hint 1</summary>The width is the length of the longest sequence of this batch,
# no more.</details>
# <details><summary>Hint 2</summary>The mask follows from the lengths. A comparison with
# <code>pad_id</code>
# is not the same: what if that id occurs in a text?</details>


# %%
def pad_batch(sequences, pad_id):
    """B lists of ids -> ids (B, T) and mask (B, T), both int64, filled at the right; mask is 1 at
    tokens.
    """
    ### BEGIN SOLUTION
    T = max(len(s) for s in sequences)
    ids = torch.tensor([list(s) + [pad_id] * (T - len(s)) for s in sequences])
    mask = torch.tensor([[1] * len(s) + [0] * (T - len(s)) for s in sequences])
    return ids, mask
    ### END SOLUTION


pad_batch = checks.bert.pad_batch(pad_batch)

# %% [markdown]
# The mask must make padding invisible: a text's answer may not depend on its neighbours in the
# batch. Without the mask it does.

# %%
few = sequences["validation"][:8]
ids, mask = pad_batch(few, tokenizer.pad_token_id)
with torch.no_grad():
    alone = torch.cat([model(torch.tensor([s], device=run.device)).logits for s in few])
    together = model(ids.to(run.device), attention_mask=mask.to(run.device)).logits
    unmasked = model(ids.to(run.device)).logits

# %%
print(
    f"largest difference: {(alone - together).abs().max():.1e} with the mask, "
    f"{(alone - unmasked).abs().max():.1e} without"
)
assert torch.allclose(alone, together, atol=1e-4)

# %% [markdown]
# Padding costs time for nothing. Batches of *like length* need less of it. But with all texts
# sorted by length, every epoch would have the same batches, in the same order. `length_order` sorts
# within pools of 32 random batches, and then shuffles the batches:

# %%
at_random = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(0))
by_length = length_batches.length_order(lengths, batch_size, seed=0)
assert sorted(by_length.tolist()) == list(range(len(lengths)))  # every review once

# %%
for name, order in {"random": at_random, "like length": by_length}.items():
    share = length_batches.padding_share(lengths, order, batch_size)
    print(f"{name:>11}: {share:.1%} of all positions are padding")

# %% [markdown]
# ## What the encoder learned before: two tasks without labels
#
# Nobody labels billions of words. BERT's training makes its own questions from plain text (section
# 3.1 of the paper):
#
# * **Masked language model**: hide some tokens, guess them from both sides. 15 % of the tokens are
#   chosen. Of these, 80 % become `[MASK]`, 10 % a random token and 10 % stay as they are, since
#   `[MASK]` never occurs in real use, and so that the network does not simply trust what it sees.
# * **Next-sentence prediction**: two pieces of text, and the question whether the second really
#   followed the first.

# %% [markdown]
# ### Exercise: hide tokens
#
# *Medium, 12 minutes.* Return the ids to show and the labels. Each ordinary token is chosen with
# probability 0.15, special ones (where `special_mask` is true) never; a random token is drawn from
# the whole vocabulary. A label is the original id where a token was chosen, and −100 elsewhere
# (PyTorch's cross-entropy skips that number). The input is not changed, and all chance comes from
# `generator`.
#
# <details><summary>Hint 1</summary>Draw one uniform number for each position: below 0.15, it is
# chosen. <code>torch.rand(ids.shape, generator=generator)</code></details>
# <details><summary>Hint 2</summary>Draw a second, independent one for what happens to it: below
# 0.8,
# between 0.8 and 0.9, above.</details>
# <details><summary>Hint 3</summary><code>torch.where(condition, a, b)</code> makes a new tensor;
# <code>ids[condition] =
# ...</code> would change the caller's.</details>


# %%
def mask_tokens(ids, special_mask, mask_id, vocab_size, generator):
    """ids (B, T), special_mask (B, T) -> ids to show, labels (original id where chosen,
    else -100).
    """
    ### BEGIN SOLUTION
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & ~special_mask.bool()
    fate = torch.rand(ids.shape, generator=generator)
    other = torch.randint(vocab_size, ids.shape, generator=generator)
    shown = torch.where(chosen & (fate < 0.8), mask_id, ids)
    shown = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), other, shown)
    return shown, torch.where(chosen, ids, -100)
    ### END SOLUTION


mask_tokens = checks.bert.mask_tokens(mask_tokens)

# %% [markdown]
# Both tasks at once, from scratch, on your reviews' first 64 tokens and with a network of two
# layers. A pair is the first half of a review and then either its second half, or another review's.

# %%
random = torch.Generator().manual_seed(0)
special_ids = torch.tensor(tokenizer.all_special_ids)


# %%
def pair_batch(chosen):
    """Token lists -> ids, mask, segments (B, T) and whether the second half is another's (B,)."""
    halves = [(s[1 : len(s) // 2], s[len(s) // 2 : -1]) for s in chosen]  # without [CLS] and [SEP]
    swapped = torch.rand(len(halves), generator=random) < 0.5
    pairs = [(a, halves[i - 1][1] if swapped[i] else b) for i, (a, b) in enumerate(halves)]
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    ids, mask = pad_batch([[cls, *a, sep, *b, sep] for a, b in pairs], tokenizer.pad_token_id)
    segments = [[0] * (len(a) + 2) + [1] * (len(b) + 1) for a, b in pairs]
    return ids, mask, pad_batch(segments, 0)[0], swapped.long()


# %%
beginnings = encoder.encode(train.texts, 64)  # not both ends: the halves must follow one another
print(tokenizer.decode(pair_batch(beginnings[:2])[0][0], skip_special_tokens=False)[:150])

# %%
from transformers import BertConfig, BertForPreTraining

# %%
two_layers = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128)
beginner = BertForPreTraining(BertConfig(vocab_size=len(tokenizer), **two_layers)).to(run.device)

# %%
optimizer = torch.optim.AdamW(beginner.parameters(), lr=1e-3)
losses = {"masked": [], "next": []}
random.manual_seed(1)  # the same pairs, should this cell run again
for _ in progress_bars.progress(range(task_steps), "both tasks"):
    chosen = torch.randint(len(train), (32,), generator=random).tolist()
    ids, mask, segments, swapped = pair_batch([beginnings[i] for i in chosen])
    shown, labels = mask_tokens(
        ids, torch.isin(ids, special_ids), tokenizer.mask_token_id, len(tokenizer), random
    )
    shown, mask, segments, labels, swapped = (
        t.to(run.device) for t in (shown, mask, segments, labels, swapped)
    )
    out = beginner.bert(shown, attention_mask=mask, token_type_ids=segments)
    asked = labels != -100  # the other 85 % need no logits over the whole vocabulary
    masked = nn.functional.cross_entropy(
        beginner.cls.predictions(out.last_hidden_state[asked]), labels[asked]
    )
    following = nn.functional.cross_entropy(
        beginner.cls.seq_relationship(out.pooler_output), swapped
    )
    optimizer.zero_grad()
    (masked + following).backward()
    optimizer.step()
    losses["masked"].append(masked.item())
    losses["next"].append(following.item())

# %%
figure, axes = plots.subplots(1, 2, width=9, height=2.6)
chance = {"masked": math.log(len(tokenizer)), "next": math.log(2)}
often = torch.bincount(torch.cat([torch.tensor(s[1:-1]) for s in beginnings])).double()
frequencies = (
    torch.distributions.Categorical(often).entropy().item()
)  # best loss without looking at the text
for ax, (name, title) in zip(
    axes, {"masked": "masked language model", "next": "next sentence"}.items()
):
    plots.curves(
        ax, range(1, task_steps + 1), {name: losses[name]}, "step", "nats a question", smooth=10
    )
    ax.axhline(chance[name], color="black", linestyle=":", label="chance")
    if name == "masked":
        ax.axhline(frequencies, color=palette.VERMILION, linestyle="--", label="frequencies")
    ax.legend(frameon=False, fontsize=8)
    ax.set_title(train.title(title + "\n"), loc="left", fontsize=10, parse_math=False)
plots.show(
    figure,
    alt="Losses of both tasks by step, from scratch, with chance dotted: the masked loss starts there and falls towards the dashed line; the other stays near it.",
)

# %% [markdown]
# The dotted lines are chance: log V for a guess among V tokens, log 2 for yes or no. The dashed
# line is what it costs to know only how frequent each token is (the entropy of the frequencies),
# and so few steps teach hardly more than that; the second task does not move. BERT took a million
# steps of 256 texts (appendix A.2 of the paper). (Later work dropped the second task without loss:
# [Liu et al. 2019](https://arxiv.org/abs/1907.11692), section 4.2.)
#
# What do so many steps give? The small encoder comes without the head that guesses. So the course
# trained one for it, together with its last two layers, for {{result:masked_lm.json:steps:,d}}
# steps on {{result:masked_lm.json:data}}:


# %%
def fill_mask(text, count=4):
    """The most probable tokens for [MASK]."""
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        logits = guesser(ids, torch.ones_like(ids), ids == tokenizer.mask_token_id)
    p, best = logits.softmax(-1)[0].topk(count)
    return ", ".join(f"{tokenizer.decode([i])} {q:.0%}" for q, i in zip(p.tolist(), best.tolist()))


# %%
shipped = masked_lm.load_shipped(copy.deepcopy(model.bert).cpu())
if encoder.name == "bert-base-uncased":
    from transformers import pipeline

    for guess in pipeline("fill-mask", model=encoder.name)(
        "One of the [MASK] films I have ever seen."
    ):
        print(guess["token_str"], f"{guess['score']:.0%}")
elif shipped is None:
    print("The shipped weights belong to the small pre-trained encoder, which is not in use here.")
else:
    guesser, _ = shipped
    for text in (
        "The film was so [MASK] that I fell asleep.",
        "One of the [MASK] films I have ever seen.",
        "I have never [MASK] such a bad movie.",
        "The acting was [MASK], but the plot was terrible.",
    ):
        print(f"{text:50} {fill_mask(text)}")

# %% [markdown]
# On test reviews the first guess is the hidden token in {{result:masked_lm.json:first.value:.0%}}
# of all cases ({{result:masked_lm.json:first.low:.1%}} to
# {{result:masked_lm.json:first.high:.1%}}), and the hidden token is among the first five in
# {{result:masked_lm.json:in_five.value:.0%}}; always guessing the most frequent token gives
# {{result:masked_lm.json:most_frequent.value:.1%}}. To guess well one has to know grammar, facts
# and moods. (Look at the last sentence: does it understand "but"?) Such knowledge is what
# fine-tuning starts from. At tier `gpu` the cell asks `bert-base-uncased` with the head that BERT
# was published with.
#
# ## The baseline first
#
# Before any network: what does counting words achieve, with the *same* training reviews? A bag of
# words (weighted counts) and logistic regression (one linear layer, trained with lesson 1's loss)
# take seconds.

# %%
counter = bag_of_words().fit(train.texts, train.labels.numpy())
weights = counter[-1].coef_[0]
names, order = counter[0].get_feature_names_out(), weights.argsort()
print("most negative:", ", ".join(names[order[:8]]))
print("most positive:", ", ".join(names[order[:-9:-1]]))

# %% [markdown]
# ### Exercise: how sure is an accuracy?
#
# *Medium, 8 minutes.* An accuracy is a count of successes, and another test set would give another
# one. The interval of Wilson for $\hat p = k/n$ contains every $p$ from which $\hat p$ is at most
# $z$ standard errors away, $|\hat p - p| \le z\sqrt{p(1-p)/n}$; $z = 1.96$ is for 95 %. Squared,
# that is a quadratic in $p$ with the two ends
#
# $$\frac{1}{1+z^2/n}\left(\hat p + \frac{z^2}{2n} \pm z\sqrt{\frac{\hat p(1-\hat p)}{n} + \frac{z^2}{4n^2}}\right).$$
#
# (The exercises come in the order in which the lesson needs them.)
#
# <details><summary>Hint 1</summary>Compute the middle and the half width; low and high are their
# difference and sum.</details>
# <details><summary>Hint 2</summary>The factor in front belongs to both.</details>


# %%
def wilson_interval(correct, total, z):
    """Low and high end of the interval for a proportion of ``correct`` in ``total``."""
    ### BEGIN SOLUTION
    p = correct / total
    middle = p + z**2 / (2 * total)
    half = z * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    return (middle - half) / (1 + z**2 / total), (middle + half) / (1 + z**2 / total)
    ### END SOLUTION


wilson_interval = checks.bert.wilson_interval(wilson_interval)

# %% [markdown]
# Is it a 95 % interval? Simulate: draw many test sets of 100 reviews from a classifier that is
# right with p = 0.95, and count how often the interval holds the truth. The textbook's
# $\hat p \pm 1.96\sqrt{\hat p(1-\hat p)/n}$ runs beside it.

# %%
draws = torch.distributions.Binomial(100, torch.tensor(0.95)).sample((5000,))
ends = [wilson_interval(int(k), 100, 1.96) for k in draws]

# %%
wilson_holds = sum(low <= 0.95 <= high for low, high in ends) / len(ends)
plain = 1.96 * (draws / 100 * (1 - draws / 100) / 100).sqrt()
plain_holds = ((draws / 100 - 0.95).abs() <= plain).float().mean().item()

# %%
print(f"contains the truth: Wilson {wilson_holds:.1%}, textbook {plain_holds:.1%}")
assert abs(wilson_holds - 0.95) < 0.03 and wilson_holds > plain_holds

# %% [markdown]
# Settings are chosen on `validation`, so the baseline answers it first:


# %%
def accuracy(right):
    """Share of true values, with its interval, in words."""
    low, high = wilson_interval(int(right.sum()), len(right), 1.96)
    return f"{right.float().mean():.1%} ({low:.1%} to {high:.1%})"


# %%
guessed = torch.from_numpy(counter.predict(validation.texts))
print(validation.title(f"bag of words on validation: {accuracy(guessed == validation.labels)}"))

# %% [markdown]
# ## Fine-tuning
#
# Fine-tuning means: put a new head on the pre-trained network and train all of it on, gently. The
# network: embeddings, layers, a **pooler** (a linear layer and tanh on the state of `[CLS]`),
# dropout (in training, some random values become 0), and a linear head with two logits. Only the
# head is new.

# %%
few_ids, few_mask = (
    t.to(run.device) for t in pad_batch(sequences["train"][:4], tokenizer.pad_token_id)
)
with torch.no_grad():
    states = model.bert(few_ids, attention_mask=few_mask)
    print(
        "states",
        tuple(states.last_hidden_state.shape),
        "-> pooled",
        tuple(states.pooler_output.shape),
    )
    logits = model.classifier(states.pooler_output)  # dropout does nothing in eval mode
    assert torch.allclose(logits, model(few_ids, attention_mask=few_mask).logits, atol=1e-4)

# %%
counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
print(f"logits {tuple(logits.shape)};", ", ".join(f"{name} {n:,}" for name, n in counts.items()))

# %% [markdown]
# Three customs are meant to keep a pre-trained network from forgetting what it knows while its new
# head is still guessing.
#
# **Weight decay, but not everywhere.** AdamW pulls each weight towards 0 a little at every step.
# That keeps matrices small. A bias or a layer norm's scale has no reason to be near 0; BERT's code
# leaves them out.

# %% [markdown]
# ### Exercise: two groups of parameters
#
# *Medium, 10 minutes.* Return a list of two dictionaries with `params` and `weight_decay`, as
# PyTorch's optimisers take them. Every *trainable* parameter is in one of them, once; biases and
# all of layer norm in the one with `weight_decay` 0. Do not trust names: another model calls its
# layer norm `ln_f`.
#
# <details><summary>Hint 1</summary>Walk over <code>model.modules()</code>; <code>isinstance(module,
# nn.LayerNorm)</code> does not depend on names.</details>
# <details><summary>Hint 2</summary><code>module.named_parameters(recurse=False)</code> gives only
# its own. Two modules may share one parameter: remember <code>id(p)</code>.</details>
# <details><summary>Hint 3</summary>AdamW's own default is 0.01, so a group without the entry
# <em>is</em>
# decayed.</details>


# %%
def parameter_groups(model, weight_decay):
    """Two groups for an optimiser: decayed matrices; biases and layer norms with weight decay 0."""
    ### BEGIN SOLUTION
    decayed, plain, seen = [], [], set()
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            if p.requires_grad and id(p) not in seen:
                seen.add(id(p))
                is_plain = isinstance(module, nn.LayerNorm) or name.endswith("bias")
                (plain if is_plain else decayed).append(p)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    ### END SOLUTION


parameter_groups = checks.bert.parameter_groups(parameter_groups)

# %% [markdown]
# **Warm-up.** Adam divides by a running estimate of the gradient's size. In the first steps that
# estimate is poor and the new head's gradients are large: full steps would shake the encoder. So
# the learning rate rises linearly from 0 to its peak, and then falls linearly to 0 (appendix A.2 of
# the paper).

# %% [markdown]
# ### Exercise: the schedule
#
# *Easy, 6 minutes.* Return the factor by which the peak learning rate is multiplied: 0 at step 0, 1
# at step `warmup_steps`, 0 at step `total_steps` *and after it*. A warm-up of 0 steps is allowed:
# then step 0 has 1.
#
# <details><summary>Hint 1</summary>Two straight lines; which one holds depends on <code>step &lt;
# warmup_steps</code>.</details>
# <details><summary>Hint 2</summary>What is divided by 0 when there is no warm-up, or nothing but
# warm-up?</details>


# %%
def warmup_linear(step, warmup_steps, total_steps):
    """Factor in [0, 1] for the learning rate."""
    ### BEGIN SOLUTION
    if step < warmup_steps:
        return step / warmup_steps
    return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))
    ### END SOLUTION


warmup_linear = checks.bert.warmup_linear(warmup_linear)

# %% [markdown]
# **Clipping.** If the gradient of all weights together is longer than 1, it is scaled to length 1.
# A single odd batch then cannot do much harm.
#
# The step itself, written out. `logits` go into the loss as they are (lesson 1), and bf16, a number
# in 16 bits, is used where the machine multiplies it faster.

# %%
steps = epochs * math.ceil(len(train) / batch_size)
warmup_steps = round(0.1 * steps)


# %%
def train_step(model, optimizer, ids, mask, labels, factor):
    """One step on ids, mask (B, T) and labels (B,); returns loss in nats and share of right
    answers.
    """
    for group in optimizer.param_groups:
        group["lr"] = factor * group["initial_lr"]
    model.train()  # dropout on
    with run.autocast():
        logits = model(input_ids=ids, attention_mask=mask).logits  # (B, 2)
    loss = nn.functional.cross_entropy(logits.float(), labels)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item(), "accuracy": (logits.argmax(1) == labels).float().mean().item()}


# %%
before = copy.deepcopy(model)  # for later: what the new head says without any training
optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay=0.01), lr=peak_rate, fused=True)
for group in optimizer.param_groups:
    group["initial_lr"] = peak_rate

# %%
state = {"model": model, "optimizer": optimizer}
config = {
    "lesson": "bert",
    "data": train.name,
    "encoder": encoder.name,
    "max_tokens": max_tokens,
    "keep": keep,
    "total_steps": steps,
}
training = TrainingRun(
    run_folder("04_bert", config, state),
    state=state,
    config=config,
    steps=steps,
    examples=len(train),
    batch_size=batch_size,
    seed=0,
    save_every=math.ceil(steps / run.pick(1, 3, 10)),
    fresh=fresh,
    data_sha256=train.sha256,
    order=bert.order_by_length(sequences["train"], batch_size),
)


# %%
def draw_progress():
    """Loss and accuracy on the training batches, and the schedule."""
    figure, axes = plots.subplots(1, 3, width=11, height=2.6)
    h = training.history
    plots.curves(axes[0], h["step"], {"loss": h["loss"]}, "step", "nats", smooth=20)
    axes[0].axhline(math.log(2), color="black", linestyle=":")
    plots.curves(axes[1], h["step"], {"accuracy": h["accuracy"]}, "step", "share right", smooth=20)
    plots.curves(
        axes[2],
        range(steps),
        {"lr": [peak_rate * warmup_linear(s, warmup_steps, steps) for s in range(steps)]},
        "step",
        "learning rate",
    )
    axes[0].set_title(
        train.title(encoder.title("training batches")), loc="left", fontsize=10, parse_math=False
    )
    return figure


# %%
live = plots.LiveFigure(
    draw_progress,
    alt="Loss and share of right answers on training batches by step, and the learning rate's schedule.",
)
for index in training.batches():  # (B,) the reviews of this step
    ids, mask = pad_batch([sequences["train"][i] for i in index.tolist()], tokenizer.pad_token_id)
    batch = [t.to(run.device) for t in (ids, mask, train.labels[index])]
    training.log(
        **train_step(
            model, optimizer, *batch, warmup_linear(training.step + 1, warmup_steps, steps)
        )
    )
    live.update()
live.close()

# %% [markdown]
# The loss starts at log 2 (dotted), where a new head must start, and with a pre-trained encoder it
# falls once the learning rate has grown. (The few steps of tier `smoke` end before that.) Training
# accuracy says little about new reviews, so:

# %%
val_logits = bert.predict(model, sequences["validation"], tokenizer.pad_token_id, run.autocast)
print(
    validation.title(
        f"{encoder.title('fine-tuned')} on validation: "
        f"{accuracy(val_logits.argmax(1) == validation.labels)}"
    )
)

# %% [markdown]
# ## Results
#
# Nothing will be changed any more, so the test part may be opened. Four classifiers answer the
# *same* reviews: always "positive", the new head before training, the bag of words, and the
# fine-tuned encoder.

# %%
pad = tokenizer.pad_token_id
test_logits = bert.predict(model, sequences["test"], pad, run.autocast)  # (N, 2)
answers = {
    "always positive": torch.ones_like(test.labels),
    "new head, not trained": bert.predict(before, sequences["test"], pad, run.autocast).argmax(1),
    "bag of words": torch.from_numpy(counter.predict(test.texts)),
    encoder.title("fine-tuned"): test_logits.argmax(1),
}

# %%
right = {name: answer == test.labels for name, answer in answers.items()}
text_plots.table(
    ["classifier", "accuracy (95 % interval)"],
    [(n, accuracy(r)) for n, r in right.items()],
    test.title(f"{len(test):,} test reviews; trained on {len(train):,}"),
)

# %% [markdown]
# Two overlapping intervals do not mean "no difference", since both classifiers met the same easy
# and hard reviews. The difference itself is what counts. On each review it is −1, 0 or 1 (right
# minus right), and its mean has a standard error:

# %%
gap = right[encoder.title("fine-tuned")].float() - right["bag of words"].float()
half = 1.96 * gap.std().item() / len(gap) ** 0.5
print(
    test.title(
        f"{encoder.title('fine-tuned')} minus bag of words: "
        f"{gap.mean():+.1%} ({gap.mean() - half:+.1%} to {gap.mean() + half:+.1%})"
    )
)

# %% [markdown]
# ### What longer runs reach
#
# One run is one run. Measured once with the same code (three seeds, the settings of tier `laptop`;
# mean over seeds, with intervals over seeds for the accuracy; differences are percentage points):
#
# | {{result:bert_laptop.json:settings.reviews:,d}} training and {{result:bert_laptop.json:settings.test:,d}} test reviews | bag of words | fine-tuned | difference |
# | --- | --- | --- | --- |
# | critics' sentences | {{result:bert_laptop.json:sentences.words.value:.1%}} | {{result:bert_laptop.json:sentences.bf16.value:.1%}} ({{result:bert_laptop.json:sentences.bf16.low:.1%}} to {{result:bert_laptop.json:sentences.bf16.high:.1%}}) | {{result:bert_laptop.json:sentences.above.value:+.1%}} |
# | {{result:bert_laptop.json:imdb.data}}, 128 tokens | {{result:bert_laptop.json:imdb.words.value:.1%}} | {{result:bert_laptop.json:imdb.bf16.value:.1%}} ({{result:bert_laptop.json:imdb.bf16.low:.1%}} to {{result:bert_laptop.json:imdb.bf16.high:.1%}}) | {{result:bert_laptop.json:imdb.above.value:+.1%}} |
#
# And all of {{result:bert_long.json:data}}, 25,000 reviews to train on and 25,000 to test on
# (copies kept, so that others' numbers compare; one run, 95 % intervals over the test reviews):
#
# | classifier | accuracy |
# | --- | --- |
# | bag of words | {{result:bert_baseline.json:words.value:.1%}} ({{result:bert_baseline.json:words.low:.1%}} to {{result:bert_baseline.json:words.high:.1%}}) |
# | the same, with pairs of neighbouring words | {{result:bert_baseline.json:pairs.value:.1%}} ({{result:bert_baseline.json:pairs.low:.1%}} to {{result:bert_baseline.json:pairs.high:.1%}}) |
# | {{result:bert_long.json:encoder}}, one epoch on the first {{result:bert_long.json:settings.max_tokens}} tokens | {{result:bert_long.json:accuracy.value:.1%}} ({{result:bert_long.json:accuracy.low:.1%}} to {{result:bert_long.json:accuracy.high:.1%}}) |
#
# Look at the first table: on short sentences, which the network reads whole, the pre-trained
# encoder wins by far. On IMDB, with 2,000 reviews and 128 tokens, it is hardly ahead of counted
# words ({{result:bert_laptop.json:imdb.above.value:+.1%}},
# {{result:bert_laptop.json:imdb.above.low:+.1%}} to
# {{result:bert_laptop.json:imdb.above.high:+.1%}} over the seeds; within each single seed the
# interval holds 0): more than half of each review was not read, and 2,000 long reviews are many
# words to count. And the second table: there the network beats counted words by
# {{result:bert_long.json:above.words.value:+.1%}} ({{result:bert_long.json:above.words.low:+.1%}}
# to {{result:bert_long.json:above.words.high:+.1%}} on the same reviews), and does **not** beat
# counted words *and pairs* ({{result:bert_long.json:above.pairs.value:+.1%}},
# {{result:bert_long.json:above.pairs.low:+.1%}} to
# {{result:bert_long.json:above.pairs.high:+.1%}}). Likely reasons: with much text to learn from,
# "not good" is one more thing to count; the counter reads every review to its end, while
# {{result:bert_data.json:imdb.cut.256:.0%}} of all tokens never reach the network; and it is small
# and had one epoch. BERT-base does better (below). Whoever shows a network without a baseline has
# not shown much.
#
# bf16 or float32? On the sentences, three seeds each:
# {{result:bert_laptop.json:sentences.bf16.value:.1%}} against
# {{result:bert_laptop.json:sentences.float32.value:.1%}}
# ({{result:bert_laptop.json:sentences.float32.low:.1%}} to
# {{result:bert_laptop.json:sentences.float32.high:.1%}}): no difference to be seen.
#
# **A claim to doubt.** One text that this course grew from claims 95.5 % for BERT-base after five
# epochs at 128 tokens. At 25,000 test reviews the standard error of such a share is
# $\sqrt{0.955\cdot 0.045/25000} = 0.13$ points, so chance moves it by a few tenths at most. The
# best plain fine-tuning of BERT-base that we know of has 94.6 %, at 512 tokens; only further
# pre-training on film reviews gave 95.6 % ([Sun et al. 2019](https://arxiv.org/abs/1905.05583),
# table 6). The claim almost equals that with less than half of each text, from a listing that stops
# at its first import: such a number needs its run shown.
#
# ### And with few examples?
#
# That is what pre-training is for. Three ways to train, on 100 to 3,000 of the
# {{result:bert_curve.json:data}} ({{result:bert_curve.json:test:,d}} to test on, three seeds with
# other examples each): words counted, all of the encoder trained, or the encoder **frozen** and
# only pooler and head trained.

# %%
measured = results.read("bert_curve.json")
amounts = [int(n) for n in measured["epochs"]]  # of training texts

# %%
figure, (ax,) = plots.subplots(width=7, height=3.2)
kinds = {
    "words": ("bag of words", "o"),
    "frozen": ("encoder frozen", "s"),
    "full": ("all of it trained", "^"),
}
for (kind, (name, mark)), shift in zip(kinds.items(), (0.96, 1.0, 1.04)):  # side by side
    points = [measured[str(n)][kind] for n in amounts]
    spread = [[abs(p["value"] - p[end]) for p in points] for end in ("low", "high")]
    ax.errorbar(
        [n * shift for n in amounts],
        [p["value"] for p in points],
        yerr=spread,
        marker=mark,
        capsize=3,
        label=name,
    )
ax.set(
    xscale="log",
    xlabel="training reviews",
    ylabel="share right",
    xticks=amounts,
    xticklabels=[f"{n:,}" for n in amounts],
)
ax.minorticks_off()
ax.legend(frameon=False)
ax.set_title(f"learning curves [{measured['data']}]", loc="left", fontsize=10)
plots.show(
    figure,
    alt="Accuracy against the number of training sentences, three curves with intervals; the fully trained encoder lies highest at every size.",
)

# %% [markdown]
# That is what pre-training buys: with 100 sentences the encoder is right in
# {{result:bert_curve.json:100.full.value:.0%}} of all cases, where counting needs about ten times
# as many examples ({{result:bert_curve.json:1000.words.value:.0%}} with 1,000). Frozen, it is no
# better than counting. A likely reason: it was trained to compare what sentences are *about*, and
# praise and blame of one film are about the same thing. Training all of it bends it to the new
# question.
#
# ## When it goes wrong: data in the order of the files
#
# IMDB's files come sorted: first all negative reviews, then all positive ones. Train on that order
# and on a shuffled one, with the same step, rate and examples (their first 64 tokens):


# %%
def fine_tune_in_order(order, n_steps):
    """Fine-tune a fresh copy on batches in this order; returns the training losses and
    the model.
    """
    fresh_model = copy.deepcopy(before)
    optimizer = bert.make_optimizer(fresh_model, peak_rate)  # AdamW with two groups, as above
    history = []
    for step, index in enumerate(
        progress_bars.progress(order.split(batch_size)[:n_steps], "fine-tuning")
    ):
        ids, mask = pad_batch([sequences["train"][i][:64] for i in index.tolist()], pad)
        batch = [t.to(run.device) for t in (ids, mask, train.labels[index])]
        history.append(
            train_step(
                fresh_model, optimizer, *batch, warmup_linear(step + 1, n_steps // 10, n_steps)
            )["loss"]
        )
    return history, fresh_model


# %%
n_lab = min(len(train), run.pick(32, 960, 960))
sorted_order = train.labels[:n_lab].argsort(stable=True)
shuffled = torch.randperm(n_lab, generator=torch.Generator().manual_seed(2))
orders = {"sorted by label": sorted_order, "shuffled": shuffled}
lab = {
    name: fine_tune_in_order(order, math.ceil(n_lab / batch_size)) for name, order in orders.items()
}

# %%
figure, (ax,) = plots.subplots(width=7.5, height=2.7)
for (name, (history, _)), style in zip(lab.items(), ("-", "--")):
    ax.plot(history, style, label=name)
ax.axhline(math.log(2), color="black", linestyle=":")
ax.set(xlabel="step", ylabel="training loss (nats)")
ax.set_title(
    train.title(encoder.title("same data, two orders") + "\n"),
    loc="left",
    fontsize=10,
    parse_math=False,
)
ax.legend(frameon=False)
plots.show(
    figure,
    alt="Training loss by step in two orders, chance dotted. Given enough steps, the sorted one falls to nearly 0, jumps where the label changes and falls again; the shuffled one falls slowly.",
)

# %%
for name, (_, broken) in progress_bars.progress(lab.items(), "both"):
    said = bert.predict(
        broken, [s[:64] for s in sequences["validation"]], pad, run.autocast
    ).argmax(1)
    print(
        f"{name:>16}: says positive {said.float().mean():.0%}, "
        f"right {accuracy(said == validation.labels)}"
    )

# %%
for name, order in orders.items():
    mixed = [0 < train.labels[b].float().mean() < 1 for b in order.split(batch_size)]
    print(f"{name:>16}: {sum(mixed)} of {len(mixed)} batches hold both labels")

# %% [markdown]
# But for the jump, the sorted run has the *better* training loss: to say always the same is easy to
# learn. Then the label changes, the loss jumps, and the first half is unlearned: it answers nearly
# everything alike. (Two steps, at tier `smoke`, are too few to see it.) The last lines tell before
# any training: count the batches that hold both labels.
#
# ## How sure is it, and rightly so?
#
# An answer given with probability 0.9 should be right nine times in ten. Group the test reviews by
# this **confidence** and compare. The weighted mean gap is called the expected calibration error
# ([Guo et al. 2017](https://arxiv.org/abs/1706.04599), section 2):

# %%
confidence, answer = test_logits.softmax(1).max(1)
is_right = answer == test.labels
edges = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.01)
groups = []  # (confidence, share right, low, high, number)
for low, high in itertools.pairwise(edges):
    inside = (confidence >= low) & (confidence < high)
    if n := int(inside.sum()):
        ends = wilson_interval(int(is_right[inside].sum()), n, 1.96)
        groups.append(
            (confidence[inside].mean().item(), is_right[inside].float().mean().item(), *ends, n)
        )

# %%
gap_of_all = sum(n * abs(sure - share) for sure, share, _, _, n in groups) / len(test)
print(f"mean gap between confidence and share right: {gap_of_all:.3f} (expected calibration error)")

# %%
figure, (ax,) = plots.subplots(width=5.2, height=3.6)
text_plots.reliability(ax, groups, test.title(encoder.title("reliability") + "\n"))
plots.show(
    figure,
    alt="Share of right answers against confidence, with intervals and the number of reviews at each point, beside the diagonal.",
)

# %% [markdown]
# Points under the diagonal are answers that are surer than right, which is common for deep networks
# (section 3 there). The intervals say how much of it may be chance.
#
# ## Reading the errors
#
# The most instructive reviews are those where the model was most sure and still wrong. Read them
# before any more numbers:

# %%
wrong = (~is_right).nonzero().flatten()
worst = wrong[confidence[wrong].argsort(descending=True)][:5].tolist()

# %%
rows = [
    (
        test.classes[test.labels[i]],
        f"{test_logits[i].softmax(0)[1]:.0%}",
        text_plots.shorten(tokenizer.decode(sequences["test"][i], skip_special_tokens=True), 260),
    )
    for i in worst
]
text_plots.table(
    ["label", "P(positive)", "what the model read"], rows, test.title("sure and wrong")
)

# %% [markdown]
# Look for wrong labels, irony, misery told with love and, in long reviews, a verdict that was cut
# out. Instead of guessing *why*, test it: pairs of sentences that differ in little.


# %%
@torch.inference_mode()
def margin(texts):
    """Positive logit minus negative logit: N texts -> (N,)."""
    logits = bert.predict(
        model, encoder.encode(texts, max_tokens, keep), pad, run.autocast, batch_size=64
    )
    return logits[:, 1] - logits[:, 0]


# %%
probes = {
    "plain": ("The film is good.", "The film is bad."),
    "negation": ("The film is not bad at all.", "The film is not good at all."),
    "contrast": (
        "The start is dull, but the film is great.",
        "The start is great, but the film is dull.",
    ),
    "irony": ("I loved every minute of it.", "I loved it: I slept so well."),
    "names": ("With Meryl Streep in it.", "With Adam Sandler in it."),
}

# %%
rows = []
for kind, pair in probes.items():
    with_counts = counter.predict_proba(pair)[:, 1]
    rows += [
        (kind, text, f"{p:.0%}", f"{c:.0%}")
        for text, p, c in zip(pair, margin(pair).sigmoid().tolist(), with_counts)
    ]

# %%
text_plots.table(
    ["kind", "text", "fine-tuned", "bag of words"],
    rows,
    encoder.title("P(positive) for pairs that differ in little"),
)

# %% [markdown]
# Look at *names*: neither sentence says anything about the film. Whatever differs there comes from
# texts that the network was trained on (or, without training, from chance). It may raise test
# accuracy; it is still not reading.
#
# ## Which words did it?
#
# A first answer without any theory: leave a word out and see how far the margin, the difference of
# the two logits, moves. This is called **occlusion**. For a linear classifier on plain counts the
# effect of a word must be exactly its weight, which gives us a case with a known answer:


# %%
def occlusion(margin, text):
    """The words of a text, and how much of the margin is lost without each: (W,)."""
    words = text.split()
    shorter = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    margins = margin([text, *shorter])
    return words, margins[0] - margins[1:]


known = {"good": 1.5, "bad": -2.0, "film": 0.1}


# %%
def linear(texts):
    """The margin of a linear classifier: the sum of known weights."""
    return torch.tensor([sum(known.get(w, 0.0) for w in text.split()) for text in texts])


# %%
words, effects = occlusion(linear, "a good film not bad")
assert torch.allclose(effects, torch.tensor([known.get(w, 0.0) for w in words]), atol=1e-6)
assert torch.allclose(effects, attribution.occlusion(linear, "a good film not bad")[1])

# %% [markdown]
# Beside it, what many take for an explanation: **attention**. In each layer a token's new vector is
# a weighted mean over all tokens, and a row of the map holds its weights (sum 1). Several such
# maps, the *heads*, stand side by side.

# %%
text = "The start is dull, but in the end the film is not bad at all."
words, effects = occlusion(margin, text)
model.eval()
seen = torch.tensor(encoder.encode([text], max_tokens), device=run.device)

# %%
with torch.no_grad():
    attention = model.bert(seen, output_attentions=True).attentions[-1][0].cpu()  # (heads, T, T)
assert torch.allclose(attention.sum(-1), torch.ones(attention.shape[:2]), atol=1e-4)
tokens = tokenizer.convert_ids_to_tokens(seen[0])

# %%
figure, axes = plots.subplots(1, 2, width=11, height=4.2)
text_plots.word_bars(
    axes[0], words, effects, "effect on the margin (logits)", encoder.title("occlusion")
)
text_plots.attention_map(
    axes[1], attention.mean(0), tokens, encoder.title("attention, last layer, mean of heads")
)
plots.show(
    figure,
    alt="Left: a bar for each word's effect on the margin. Right: a grid of attention weights, token by token.",
)

# %% [markdown]
# **What this does not prove.** Words act together: without "not" the sentence says something else,
# so its bar is an effect *in this context*, and effects need not add up. A sentence with a word
# left out may be one that nobody would write. And the attention map shows where vectors were mixed,
# not what decided: its rows mix vectors that have already seen the whole sentence. Do the two agree
# at all? In some test reviews (of long ones the first 40 tokens), take the attention from `[CLS]`
# and the effect of hiding each token, and correlate the ranks:


# %%
def rank_agreement(ids):
    """Spearman correlation between attention from [CLS] (last layer) and the size of each token's
    effect.
    """
    seen = torch.tensor([ids], device=run.device)
    hidden = seen.repeat(len(ids) - 2, 1)
    hidden[torch.arange(len(ids) - 2), torch.arange(1, len(ids) - 1)] = tokenizer.mask_token_id
    with torch.no_grad():
        out = model(seen, output_attentions=True)
        base, without = (z[:, 1] - z[:, 0] for z in (out.logits, model(hidden).logits))
    looked = out.attentions[-1][0].mean(0)[0, 1:-1].cpu()
    ranks = torch.stack(
        [looked.argsort().argsort(), (base - without).abs().cpu().argsort().argsort()]
    ).float()
    return ranks.corrcoef()[0, 1].item()


# %%
short = [s if len(s) <= 40 else [*s[:39], s[-1]] for s in sequences["test"] if len(s) >= 8][
    : run.pick(4, 40, 100)
]
agreement = torch.tensor([rank_agreement(s) for s in progress_bars.progress(short, "texts")])

# %%
half = 1.96 * agreement.std().item() / len(agreement) ** 0.5
print(
    test.title(
        f"{encoder.title('rank correlation')} over {len(short)} texts: "
        f"{agreement.mean():.2f} ± {half:.2f} (95 %)"
    )
)

# %% [markdown]
# 1 would be perfect agreement, 0 none. [Jain and Wallace 2019](https://arxiv.org/abs/1902.10186)
# (section 4.1) found weak correlations of this kind in recurrent classifiers; their title is
# "Attention is not Explanation". Use the map to ask questions, and interventions, such as the pairs
# above, to answer them.
#
# ## Write a review
#
# With a running kernel: change the text and watch the bar. Can you make it fail? Below it, the same
# for those who only read.

# %%
review_meter.review_meter(margin, "The start is dull, but in the end the film is not bad at all.")

# %%
figure, (ax,) = plots.subplots(width=10, height=2.6)
examples = (
    "A masterpiece.",
    "A masterpiece of boredom.",
    "I have seen worse.",
    "Not a single dull moment.",
    "<b>Great</b> <script>alert(1)</script>",
)
review_meter.review_meter_static(ax, margin, examples, encoder.title("P(positive) of five texts"))
plots.show(
    figure,
    alt="Five short texts, among them one with markup that is shown as text, each with a bar for the probability of positive.",
)

# %% [markdown]
# ## Questions
#
# Think first; then open the answer, which also says why each other choice is wrong.
#
# **1. Texts and labels go to the tokenizer as pairs, <code>(text, "pos")</code>. No error. Test
# accuracy: nearly 100 %. What happened?** (a) BERT is that good (b) the label was encoded as the
# second segment (c) the labels were ignored (d) the test part was trained on
#
# <details><summary>Answer</summary>(b): a pair means two segments, so the answer stands in the
# input. (a) The best we know of BERT-base is 95.6 % ("Results"). (c) Then it would be at chance.
# (d) Possible in general, but
# the pair explains it; the test that tells is to flip all labels and see whether the ids
# change.</details>
#
# **2. A model on 1,000 test reviews has 91.0 %, another on the same ones 90.0 %. Is the first one
# better?** (a) yes (b) no (c) the intervals overlap, so nobody can say (d) one has to look at where
# they differ
#
# <details><summary>Answer</summary>(d): with 12 reviews won and 2 lost chance is unlikely (2.7
# standard errors), with 60 and 50 it may be all there is (1.0). (a) and (b) need these numbers. (c)
# Overlap of two intervals is no test of a difference on the same reviews.</details>
#
# **3. The tokenizer's segment ids are never passed to the model. What has to be repaired?** (a)
# nothing (b) accuracy will be at chance (c) the model cannot know where a text ends (d) pass ones
#
# <details><summary>Answer</summary>(a): with one text the segments are all 0, and that is the
# default. (b) So nothing changes. (c) The mask and [SEP] tell where it ends. (d) Ones mean "second
# text", and there is none.</details>
#
# **4. Of the chosen tokens, 80 % become <code>[MASK]</code> and 10 % a random token. What stands in
# the other places, and why?** (a) the token itself, since real text holds no <code>[MASK]</code>
# (b) padding, to save time (c) −100, to mark the question (d) [CLS], to sum up the text
#
# <details><summary>Answer</summary>(a) (appendix A.1 of the paper). (b) The mask hides padding, so
# nothing could be asked there. (c) That is the label of tokens that are <em>not</em> asked, and no
# token id. (d) It opens the text and is never put elsewhere.</details>
#
# **5. "95.5 % on IMDB, BERT-base, five epochs at 128 tokens, plain fine-tuning." What do you
# think?** (a) fine (b) impossible (c) not plausible without more: which runs, which seeds? (d) too
# low
#
# <details><summary>Answer</summary>(c): one of the texts behind this course claims just that, for
# code that stops at an import. See "Results" for what was measured by others. (a) It is above the
# best plain fine-tuning, with less than half of the text.
# (b) Further pre-training on film reviews reached 95.6 % (arXiv 1905.05583, table 6). (d) Nobody
# that we know of reached more with this set-up.</details>
#
# ## Recap
#
# You turned reviews into batches without wasting half of them, ran BERT's two tasks, fine-tuned
# with warm-up, weight decay and clipping, compared two classifiers on the same examples with
# intervals, and read errors, attention and the effect of single words, together with what they do
# not prove.
#
# **What this did not show.** One language, one kind of text, two labels. Larger encoders and longer
# inputs do better, at a price. Whether it is fair to the people named in the reviews is a question
# that accuracy does not ask.
#
# **Sources.** Devlin et al. 2019, [arXiv 1810.04805](https://arxiv.org/abs/1810.04805), section 3,
# appendix A · Maas et al. 2011, *Learning Word Vectors for Sentiment Analysis* (IMDB) · Pang and
# Lee 2004, *A Sentimental Education* · Wang et al. 2020, MiniLM, [arXiv
# 2002.10957](https://arxiv.org/abs/2002.10957) · Reimers and Gurevych 2019, [arXiv
# 1908.10084](https://arxiv.org/abs/1908.10084) · Sun et al. 2019, [arXiv
# 1905.05583](https://arxiv.org/abs/1905.05583), table 6 · Liu et al. 2019, [arXiv
# 1907.11692](https://arxiv.org/abs/1907.11692), section 4.2 · Guo et al. 2017, [arXiv
# 1706.04599](https://arxiv.org/abs/1706.04599), sections 2 and 3 · Lee et al. 2021, [arXiv
# 2107.06499](https://arxiv.org/abs/2107.06499) · Jain and Wallace 2019, [arXiv
# 1902.10186](https://arxiv.org/abs/1902.10186), section 4.1 · Wilson 1927, *Probable inference*,
# JASA 22.
#
# **Next:** lesson 5 opens the black box: attention, built by hand, and a model that writes.
