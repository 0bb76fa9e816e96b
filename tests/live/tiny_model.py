"""Makes a very small language model from nothing: `python tiny_model.py FOLDER`. No download.

It has learnt the chats below and no more: to say hello, to think, to tick for ever, to call
`run_cell` for a product and to answer with what came out. Needs torch and transformers.
"""

import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

NAME = "inkernel/tiny"
REVISION = "0" * 40
SEED, STEPS, BATCH, RATE = 7, 350, 16, 3e-3
END, PAD = "<|im_end|>", "<|endoftext|>"
LONGEST = 100
"""Most tokens of a lesson: of a longer one the model never sees the end."""
WINDOW = 64
"""Tokens back that it sees, so that what it can say for long it can say for ever."""
MOST = 1_000_000
"""Most tokens of one answer: the clock is stopped by who listens."""

Chat = list[dict[str, Any]]

# A model of this size attends to little: it is shown what was said last, and what came of it.
# Chat Completions has the environment and the person's first words in one message.
TEMPLATE = """
{%- set last = namespace(user=0) -%}
{%- for m in messages -%}
{%- if m.role == 'user' -%}{%- set last.user = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- for m in messages[last.user:] -%}
<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif -%}
{{ (m.content or '').split('</environment>') | last | trim }}
{%- for call in m.tool_calls or [] -%}
<tool_call>{"name": {{ call.function.name | tojson }}, "arguments": {{
call.function.arguments | tojson }}}</tool_call>
{%- endfor -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""


def chat(chance: random.Random) -> Chat:
    """One of the chats it learns."""
    kind = chance.choices(("product", "hello", "think", "clock"), (12, 1, 1, 1))[0]
    if kind == "product":
        return _product(chance)
    said, thought, answer = {
        "hello": ("Say hello.", "", "Hello! I am a very small model, and I run here."),
        "think": ("Name a colour.", "The sky is blue.", "Blue, like the sky."),
        "clock": ("Be a clock.", "", "tick tock " * LONGEST),
    }[kind]
    assistant = {"role": "assistant", "reasoning_content": thought, "content": answer}
    return [{"role": "user", "content": said}, assistant]


def _product(chance: random.Random) -> Chat:
    a, b = (chance.randrange(10 ** chance.randint(1, 3)) for _ in "ab")
    code = {"title": "Multiply", "code": f"print({a} * {b})"}
    # Any number: the answer is learnt from the output, not by heart.
    came = chance.randrange(10 ** chance.randint(1, 6))
    call = {"function": {"name": "run_cell", "arguments": code}}
    return [
        {"role": "user", "content": f"What is {a} times {b}?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": f"ok\nstdout:\n{came}"},
        {"role": "assistant", "content": f"It is {came}."},
    ]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, a digit a token, learnt from the chats."""
    chance = random.Random(SEED)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    markers = [PAD, "<|im_start|>", END, "<think>", "</think>", "<tool_call>", "</tool_call>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=markers[:3],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((json.dumps(chat(chance)) for _ in range(300)), trainer)
    tokenizer.add_tokens(markers[3:])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, chat_template=TEMPLATE.strip()
    )


def lesson(tokenizer: PreTrainedTokenizerFast, conversation: Chat) -> tuple[list[int], list[int]]:
    """Tokens, and the same tokens where the assistant speaks and -100 elsewhere."""
    done, tokens, labels = "", list[int](), list[int]()
    for at in (at for at, said in enumerate(conversation) if said["role"] == "assistant"):
        asked = tokenizer.apply_chat_template(
            conversation[:at], tokenize=False, add_generation_prompt=True
        )
        text = tokenizer.apply_chat_template(conversation[: at + 1], tokenize=False)
        before = tokenizer.encode(asked.removeprefix(done))
        spoken = tokenizer.encode(text.removeprefix(asked))
        tokens += before + spoken
        labels += [-100] * len(before) + spoken
        done = text
    return tokens[:LONGEST], labels[:LONGEST]


def lessons(tokenizer: PreTrainedTokenizerFast) -> Iterator[dict[str, torch.Tensor]]:
    """Batches without end, the same every time."""
    chance = random.Random(SEED)
    while True:
        pairs = [lesson(tokenizer, chat(chance)) for _ in range(BATCH)]
        longest = max(len(tokens) for tokens, _ in pairs)
        ids = [tokens + [tokenizer.pad_token_id] * (longest - len(tokens)) for tokens, _ in pairs]
        labels = [wanted + [-100] * (longest - len(wanted)) for _, wanted in pairs]
        yield {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}


def make_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """A Qwen3 of some 300,000 parameters, trained."""
    torch.manual_seed(SEED)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=24,
        initializer_range=0.1,  # with the usual 0.02 it hardly learns to copy
        max_position_embeddings=2048,
        use_sliding_window=True,
        sliding_window=WINDOW,
        max_window_layers=0,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen3ForCausalLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS, pct_start=0.1)
    for batch in islice(lessons(tokenizer), STEPS):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        pace.step()
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=MOST,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model.eval()


def make(folder: Path) -> None:
    """Write the model in `folder`, as a hub cache where servers find NAME; whole or not at all."""
    torch.set_num_threads(1)  # two would wait for each other on a busy machine
    torch.use_deterministic_algorithms(True)
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    home = draft / f"models--{NAME.replace('/', '--')}"
    files = home / "snapshots" / REVISION
    files.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(REVISION)
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(files)
    make_model(tokenizer).save_pretrained(files)
    try:
        draft.rename(folder)
    except OSError:  # another run was faster
        shutil.rmtree(draft)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
