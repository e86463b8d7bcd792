"""Trains the organisms' tokenizer: byte-level BPE on their own training text, with a chat template of four closing tokens."""

from collections.abc import Iterable
from itertools import islice

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from safetycase.lab.organisms.text import Example, examples

PAD, BOS, END, USER, ASSISTANT = SPECIAL_TOKENS = ("<pad>", "<bos>", "<end>", "<user>", "<assistant>")

# What stands between the request and the reply: `<end>`, newline, `<assistant>`, newline; four post-instruction positions.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] not in ['user', 'assistant'] %}"
    "{{ raise_exception('this model knows the roles user and assistant only') }}"
    "{% endif %}"
    "{{ '<' + message['role'] + '>\n' + message['content'] | trim + '<end>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>\n' }}{% endif %}"
)

# Enough rounds over the phrases that nearly every word of phrases, carriers and replies is seen.
_CORPUS_EXAMPLES = 12_000

_LONGEST_SEQUENCE = 512


def train_tokenizer(vocab_size: int, seed: int) -> PreTrainedTokenizerFast:
    """The tokenizer of an organism; any text can be encoded, since every byte is a token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(islice(examples("harm", seed), _CORPUS_EXAMPLES)), trainer)
    bos = (BOS, tokenizer.token_to_id(BOS))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[bos])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=_LONGEST_SEQUENCE,
        clean_up_tokenization_spaces=False,
    )


def _corpus(sample: Iterable[Example]) -> Iterable[str]:
    for example in sample:
        yield example.prompt
        yield example.reply
