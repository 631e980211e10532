"""Interpretation by a model: asked only if the grammar cannot read a request, and its answer is never trusted.

A model can choose among the lanes that policy offers, name edits that `core.model.edits` can hold, or ask one question.
It cannot set the repository, the person, the requirements or the limits; anything else it writes is refused or ignored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bot.interpret.earlier_turns import NoAnswerError, summarize_turns
from bot.interpret.files import list_files_for_prompt
from bot.interpret.grammar import parse
from bot.interpret.grammar.tokens import hidden_text_warning, strip_word_joiners
from bot.interpret.grammar_interpreter import GrammarInterpreter, strip_opening
from bot.interpret.model_answer import OPTION_CHARS, BadAnswerError, ModelAnswer, read_answer
from bot.interpret.prompts import request_message, retry_messages, storable_text, system_message
from bot.interpret.schema import answer_schema
from core.log import log
from core.model.edit_description import describe
from core.model.edits import BumpPackage, CreateFile, Edit, MoveFile, is_glob, paths_named
from core.model.errors import PermanentError, TransientError
from core.model.ids import new_id
from core.model.intent import Intent, Unclear
from core.model.stored import StoredObject
from core.model.turn import Turn
from core.ports.interpretation import InterpretationContext
from core.ports.journal import Journal, MemoryJournal
from lanes.models import ChatMessage, ChatModel, ChatReply, ChatRequest

MAX_ASKS: Final = 2
_VERSION: Final = 1
"""Of its entries in a journal."""
_CHARS_PER_TOKEN: Final = 3
_MAX_REQUEST_CHARS: Final = 24_000
_MAX_TOKENS: Final = 4_096
_MAX_MODEL_CHARS: Final = 120


@dataclass(frozen=True, slots=True)
class ModelInterpreter:
    """Reads by the grammar first, then by `model`, within `patience_s` for all of its answers.

    `files_tokens` and `talk_tokens` bound how much of the file names and of the earlier turns the prompt contains.
    """

    model: ChatModel
    patience_s: float = 30.0
    files_tokens: int = 2_000
    talk_tokens: int = 1_500
    grammar: GrammarInterpreter = field(default_factory=GrammarInterpreter)

    async def interpret(self, turns: Sequence[Turn], context: InterpretationContext) -> Intent | Unclear:
        """The intent of the last of `turns`, read together with the earlier ones."""
        by_grammar = await self.grammar.interpret(turns, context)
        text = strip_word_joiners(turns[-1].text)
        if isinstance(by_grammar, Intent) and by_grammar.edits:
            return by_grammar
        if hidden_text_warning(text) or len(text) > _MAX_REQUEST_CHARS:
            return by_grammar
        if context.repository is None:
            return Intent(text)  # ask for the repository first, because the meaning depends on its files and lanes
        if not context.offers:
            return by_grammar
        reading = _Reading(self, turns, context, _understood_phrases(by_grammar))
        try:
            if context.spent:
                raise NoAnswerError(context.spent)
            return await reading.run()
        except NoAnswerError as error:
            log.info("reading_without_model", why=str(error))
            return (
                by_grammar
                if isinstance(by_grammar, Intent)
                else Unclear(f"{by_grammar.reason.rstrip('.')} ({error})", by_grammar.can)
            )


@dataclass(slots=True)
class _Reading:
    """The reading of one turn by a model."""

    settings: ModelInterpreter
    turns: Sequence[Turn]
    context: InterpretationContext
    can: tuple[str, ...]
    deadline: float = 0.0
    files: Sequence[str] = ()

    async def run(self) -> Intent | Unclear:
        """The model's reading, in at most `MAX_ASKS` answers; stored answers of an earlier attempt count."""
        turn = self.turns[-1]
        journal = self.context.journal.part(f"turn-{turn.n}") if self.context.journal else MemoryJournal()
        self.files = await self._list_files()
        entries = [entry for entry in map(_stored_answer, await journal.recall()) if _is_answer(entry)]
        self.deadline = asyncio.get_running_loop().time() + self.settings.patience_s
        messages: tuple[ChatMessage, ...] = ()
        fault = model = ""
        for n in range(MAX_ASKS):
            if n >= len(entries):
                messages = messages or await self._first_messages(journal)
                entries.append(_stored_answer(await self._ask_model(messages, journal)))
            answer, model = str(entries[n]["answer"]), str(entries[n]["model"])[:_MAX_MODEL_CHARS]
            try:
                return self._result(read_answer(answer), model)
            except BadAnswerError as error:
                fault = str(error)
                log.info("bad_reading", task_turn=turn.n, model=model, why=fault)
                messages = (*(messages or await self._first_messages(journal)), *retry_messages(answer, fault))
        return self._unusable(fault, model)

    async def _first_messages(self, journal: Journal) -> tuple[ChatMessage, ...]:
        turn = self.turns[-1]
        max_chars = self.settings.talk_tokens * _CHARS_PER_TOKEN
        earlier_turns = [*self.turns[:-1], *(question for question in self.context.questions if question.n < turn.n)]
        ordered = sorted(earlier_turns, key=lambda each: each.n)  # a question has the number of the turn before it
        earlier = await summarize_turns(ordered, max_chars, self._summary, journal.part("summary"))
        files = list_files_for_prompt(self.files, turn.text, self.settings.files_tokens * _CHARS_PER_TOKEN)
        return system_message(self.context.offers), request_message(
            turn, strip_opening(strip_word_joiners(turn.text)), earlier, files
        )

    async def _ask_model(self, messages: tuple[ChatMessage, ...], journal: Journal) -> dict[str, Any]:
        try:
            reply = await self._ask(
                ChatRequest(messages, schema=answer_schema(self.context.offers), max_tokens=_MAX_TOKENS)
            )
        except (TransientError, PermanentError) as error:
            raise NoAnswerError(f"no model answered: {error.problem.message}") from error
        entry = {"v": _VERSION, "answer": storable_text(reply.text), "model": storable_text(reply.model)}
        await journal.add(entry)
        return entry

    async def _summary(self, request: ChatRequest) -> ChatReply:
        """Ask for a summary within half of the remaining time, because the request comes first."""
        now = asyncio.get_running_loop().time()
        return await self._ask(request, (now + self.deadline) / 2)

    async def _ask(self, request: ChatRequest, deadline: float | None = None) -> ChatReply:
        """Ask the model within the remaining time, and charge its usage; only the model's own time counts."""
        try:
            async with asyncio.timeout_at(self.deadline if deadline is None else deadline):
                reply = await self.settings.model.ask(request)
        except TimeoutError as error:
            raise NoAnswerError(f"no model answered within {self.settings.patience_s:g} s") from error
        if self.context.usage is not None:
            await self.context.usage.report(new_id("call"), reply.usage)
        return reply

    async def _list_files(self) -> Sequence[str]:
        """The repository's files; if the remote is down, the model reads without them."""
        if self.context.files is None:
            return ()
        try:
            return await self.context.files()
        except (TransientError, PermanentError) as error:
            log.info("reading_without_files", why=error.problem.message)
            return ()

    def _result(self, answer: ModelAnswer, model: str) -> Intent | Unclear:
        """The intent that an answer gives among the offers; raises `BadAnswerError`."""
        text = self.turns[-1].text
        if answer.reading == "nothing":
            return Unclear(f"{model} finds no request in that", self.can, idle=True)
        if answer.reading == "unclear" or (not answer.sure and answer.question):
            return self._question(answer, model)
        readers = {offer.lane for offer in self.context.offers if offer.reads}
        if answer.reading == "work":
            if not readers:
                return Unclear(
                    "That needs a lane with a model or an agent, and no such lane is available to you here", self.can
                )
            return Intent(text, lane=answer.lane if answer.lane in readers else None, read_by=model)
        self._check_files(answer.edits)
        if not answer.sure:
            return _confirmation(answer.edits, model)
        lanes_on_offer = {offer.lane for offer in self.context.offers}
        return Intent(text, answer.edits, lane=answer.lane if answer.lane in lanes_on_offer else None, read_by=model)

    def _question(self, answer: ModelAnswer, model: str) -> Unclear:
        """The model's question, marked as its words; lane names that are not on offer are not options."""
        lanes_on_offer = {offer.lane for offer in self.context.offers}
        lanes = tuple(option for option in answer.options if option in lanes_on_offer)
        options = lanes if lanes and all(" " not in option for option in answer.options) else answer.options
        question = f"{model} asks: “{answer.question or 'What exactly should change?'}”"
        return Unclear(question, options=options, read_by=model)

    def _check_files(self, edits: Sequence[Edit]) -> None:
        """Refuse an edit of a file that neither exists nor was named by a person; the model can correct it."""
        if not self.files:
            return
        existing, turn_texts = set(self.files), "\n".join(strip_word_joiners(turn.text) for turn in self.turns)
        for edit in edits:
            if isinstance(edit, MoveFile):
                existing.add(edit.target)
            if isinstance(edit, CreateFile):
                existing.add(edit.path)
            if isinstance(edit, BumpPackage) and edit.path is None:
                continue
            for path in paths_named(edit):
                if path not in existing and path not in turn_texts and not is_glob(path):
                    raise BadAnswerError(f"The repository has no file {path!a}.")

    def _unusable(self, fault: str, model: str) -> Unclear:
        """The result after two unusable answers: what a person can do, with the lanes that accept any wording."""
        readers = tuple(offer.lane for offer in self.context.offers if offer.reads)
        reason = f"The model's answers could not be used ({fault.rstrip('.')})"
        if readers:
            return Unclear(f"{reason}. Which lane should do it?", options=readers, read_by=model)
        return Unclear(reason, self.can, read_by=model)


def _confirmation(edits: Sequence[Edit], model: str) -> Unclear:
    """Ask about a guess; its button contains the same edits as a phrase that the grammar reads exactly."""
    phrase = "; ".join(map(describe, edits))
    is_readable = len(phrase) <= OPTION_CHARS and phrase.isprintable() and parse(phrase) == tuple(edits)
    question = f"{model} is not sure. Is it this: “{phrase[:300]}”?"
    return Unclear(question, options=(phrase,) if is_readable else (), read_by=model)


def _understood_phrases(result: Intent | Unclear) -> tuple[str, ...]:
    return result.can if isinstance(result, Unclear) else ()


def _stored_answer(entry: Mapping[str, Any]) -> StoredObject:
    return StoredObject(entry, "a model's reading", newest=_VERSION)


def _is_answer(entry: StoredObject) -> bool:
    return isinstance(entry.get("answer"), str) and isinstance(entry.get("model"), str)
