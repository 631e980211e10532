"""Interpretation by a model: it is asked only for what the grammar cannot read, and its answer is never trusted.

A model can choose among the lanes that policy offers, name edits that `core.model.edits` can hold, or ask one
question. The
repository, the person, the terms and the limits are not its to say; whatever else it writes is refused or left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bot.interpret.earlier_turns import NoAnswerError, summarize_turns
from bot.interpret.files import list_files_for_prompt
from bot.interpret.grammar import parse
from bot.interpret.grammar.tokens import strip_word_joiners
from bot.interpret.grammar_interpreter import GrammarInterpreter, strip_opening
from bot.interpret.hiding import hidden_text_warning
from bot.interpret.model_answer import OPTION_CHARS, BadAnswerError, ModelAnswer, read_answer
from bot.interpret.prompts import request_message, retry_messages, storable_text, system_message
from bot.interpret.schema import answer_schema
from core.log import log
from core.model.edits import BumpPackage, CreateFile, Edit, MoveFile, describe, is_glob, paths_named
from core.model.errors import PermanentError, TransientError
from core.model.intent import Intent, Unclear
from core.model.provenance import Usage
from core.model.turn import Turn
from core.ports import ForgetsOldResults, InterpretationContext, Journal
from lanes.models import ChatMessage, ChatModel, ChatReply, ChatRequest

MOST_ASKS: Final = 2
_CHARS_A_TOKEN: Final = 3
_MOST_REQUEST_CHARS: Final = 24_000
_MOST_TOKENS: Final = 4_096
_MODEL_CHARS: Final = 120


@dataclass(frozen=True, slots=True)
class ModelInterpreter:
    """Reads by the grammar first, and by `model` what that cannot read, within `patience_s` for all of its answers.

    `files_tokens` and `talk_tokens` are how much of the repository's file names and of the earlier turns it is shown.
    """

    model: ChatModel
    patience_s: float = 30.0
    files_tokens: int = 2_000
    talk_tokens: int = 1_500
    grammar: GrammarInterpreter = field(default_factory=GrammarInterpreter)

    async def interpret(self, turns: Sequence[Turn], scene: InterpretationContext) -> Intent | Unclear:
        """The intent of the last of `turns`, read in the light of the earlier ones."""
        plain = await self.grammar.interpret(turns, scene)
        text = strip_word_joiners(turns[-1].text)
        if isinstance(plain, Intent) and plain.edits:
            return plain
        if hidden_text_warning(text) or len(text) > _MOST_REQUEST_CHARS:
            return plain
        if scene.repository is None:
            return Intent(text)  # the repository is asked for first: what is meant depends on its files and lanes
        if not scene.offers:
            return plain
        reading = _Reading(self, turns, scene, _can_of(plain))
        try:
            if scene.spent:
                raise NoAnswerError(scene.spent)
            return await reading.run()
        except NoAnswerError as reason:
            log.info("reading_without_model", why=str(reason))
            return plain if isinstance(plain, Intent) else Unclear(f"{plain.reason.rstrip('.')} ({reason})", plain.can)


@dataclass(slots=True)
class _Reading:
    """The reading of one turn by a model."""

    by: ModelInterpreter
    turns: Sequence[Turn]
    scene: InterpretationContext
    can: tuple[str, ...]
    until: float = 0.0
    files: Sequence[str] = ()
    cost: dict[str, Usage] = field(default_factory=dict)

    async def run(self) -> Intent | Unclear:
        """What the model reads, in at most `MOST_ASKS` answers; answers of an earlier try of this work count."""
        turn = self.turns[-1]
        journal = self.scene.journal.part(f"turn-{turn.n}") if self.scene.journal else ForgetsOldResults()
        self.files = await self._listed()
        kept = [entry for entry in await journal.recall() if _is_answer(entry)]
        self.until = asyncio.get_running_loop().time() + self.by.patience_s
        talk: tuple[ChatMessage, ...] = ()
        complaint = model = ""
        for n in range(MOST_ASKS):
            if n >= len(kept):
                talk = talk or await self._opening(journal)
                kept.append(await self._asked(talk, journal))
            answer, model = str(kept[n]["answer"]), str(kept[n]["model"])[:_MODEL_CHARS]
            try:
                return self._meant(read_answer(answer), model)
            except BadAnswerError as error:
                complaint = str(error)
                log.info("bad_reading", task_turn=turn.n, model=model, why=complaint)
                talk = (*(talk or await self._opening(journal)), *retry_messages(answer, complaint))
        return self._given_up(complaint, model)

    async def _opening(self, journal: Journal) -> tuple[ChatMessage, ...]:
        turn = self.turns[-1]
        room = self.by.talk_tokens * _CHARS_A_TOKEN
        talk = [*self.turns[:-1], *(question for question in self.scene.asked if question.n < turn.n)]
        before = sorted(talk, key=lambda said: said.n)  # a question has the number of the turn it came after
        earlier = await summarize_turns(before, room, self._summary, journal.part("summary"))
        files = list_files_for_prompt(self.files, turn.text, self.by.files_tokens * _CHARS_A_TOKEN)
        return system_message(self.scene.offers), request_message(
            turn, strip_opening(strip_word_joiners(turn.text)), earlier, files
        )

    async def _asked(self, talk: tuple[ChatMessage, ...], journal: Journal) -> dict[str, Any]:
        try:
            reply = await self._ask(
                ChatRequest(talk, schema=answer_schema(self.scene.offers), most_tokens=_MOST_TOKENS)
            )
        except (TransientError, PermanentError) as error:
            raise NoAnswerError(f"no model answered: {error.problem.message}") from error
        entry = {"answer": storable_text(reply.text), "model": storable_text(reply.model)}
        await journal.add(entry)
        return entry

    async def _summary(self, ask: ChatRequest) -> ChatReply:
        """A summary of what was said, in half of the patience that is left: the request comes first."""
        now = asyncio.get_running_loop().time()
        return await self._ask(ask, (now + self.until) / 2)

    async def _ask(self, ask: ChatRequest, until: float | None = None) -> ChatReply:
        """One question within what is left of the patience, charged; only the model's own time counts."""
        try:
            async with asyncio.timeout_at(self.until if until is None else until):
                reply = await self.by.model.ask(ask)
        except TimeoutError as error:
            raise NoAnswerError(f"no model answered within {self.by.patience_s:g} s") from error
        if self.scene.charge is not None:
            known = self.cost.get(reply.usage.model)
            self.cost[reply.usage.model] = known.plus(reply.usage) if known else reply.usage
            await self.scene.charge(self.cost[reply.usage.model])
        return reply

    async def _listed(self) -> Sequence[str]:
        """The repository's files; a remote that is down only makes the reading poorer."""
        if self.scene.files is None:
            return ()
        try:
            return await self.scene.files()
        except (TransientError, PermanentError) as error:
            log.info("reading_without_files", why=error.problem.message)
            return ()

    def _meant(self, answer: ModelAnswer, model: str) -> Intent | Unclear:
        """What the answer comes to among what is on offer; raises `BadAnswerError`."""
        text = self.turns[-1].text
        if answer.reading == "nothing":
            return Unclear(f"{model} reads no request in that", self.can, idle=True)
        if answer.reading == "unclear" or (not answer.sure and answer.question):
            return self._question(answer, model)
        readers = {offer.lane for offer in self.scene.offers if offer.reads}
        if answer.reading == "work":
            if not readers:
                return Unclear("That needs a lane with a model or an agent, and none is on offer to you here", self.can)
            return Intent(text, lane=answer.lane if answer.lane in readers else None, read_by=model)
        self._check_files(answer.edits)
        if not answer.sure:
            return _surely(answer.edits, model)
        offered = {offer.lane for offer in self.scene.offers}
        return Intent(text, answer.edits, lane=answer.lane if answer.lane in offered else None, read_by=model)

    def _question(self, answer: ModelAnswer, model: str) -> Unclear:
        """The model's question, marked as its words. Names of lanes that are not on offer are no answers to it."""
        known = {offer.lane for offer in self.scene.offers}
        lanes = tuple(option for option in answer.options if option in known)
        options = lanes if lanes and all(" " not in option for option in answer.options) else answer.options
        question = f"{model} asks: “{answer.question or 'What exactly shall it be?'}”"
        return Unclear(question, options=options, read_by=model)

    def _check_files(self, edits: Sequence[Edit]) -> None:
        """An edit of a file that is neither there nor named by a person is a slip, which the model can mend."""
        if not self.files:
            return
        there, said = set(self.files), "\n".join(strip_word_joiners(turn.text) for turn in self.turns)
        for edit in edits:
            if isinstance(edit, MoveFile):
                there.add(edit.target)
            if isinstance(edit, CreateFile):
                there.add(edit.path)
            if isinstance(edit, BumpPackage) and edit.path is None:
                continue
            for path in paths_named(edit):
                if path not in there and path not in said and not is_glob(path):
                    raise BadAnswerError(f"There is no file {path!a} in the repository.")

    def _given_up(self, complaint: str, model: str) -> Unclear:
        """After two answers that cannot be used: what a person can do, with the lanes that take any wording to pick."""
        readers = tuple(offer.lane for offer in self.scene.offers if offer.reads)
        reason = f"The model's answers could not be used ({complaint.rstrip('.')})"
        if readers:
            return Unclear(f"{reason}. Which lane shall work on it?", options=readers, read_by=model)
        return Unclear(reason, self.can, read_by=model)


def _surely(edits: Sequence[Edit], model: str) -> Unclear:
    """A guess is asked about; its button holds the same edits in words that the grammar reads just so."""
    said = "; ".join(map(describe, edits))
    exact = len(said) <= OPTION_CHARS and said.isprintable() and parse(said) == tuple(edits)
    question = f"{model} is not sure. Is it this: “{said[:300]}”?"
    return Unclear(question, options=(said,) if exact else (), read_by=model)


def _can_of(plain: Intent | Unclear) -> tuple[str, ...]:
    return plain.can if isinstance(plain, Unclear) else ()


def _is_answer(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("answer"), str) and isinstance(entry.get("model"), str)
