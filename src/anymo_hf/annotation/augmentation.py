"""Five paraphrases of a narration, verified, and regenerated or repaired where they fail (paper A.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .language_client import LanguageClient, Question, Unanswered, one_line, text_object

STYLES = {
    "rewording": "other words, same length",
    "concise": "as short as possible",
    "temporal": "stresses the order and timing of what happens",
    "body_motion": "stresses how the body and its parts move",
    "general_scene": "names objects and places more generally",
}
MAX_PASSES = 3  # of the verifier: the first, and two rounds of regeneration or repair

_WRITE = f"""You rephrase descriptions of human motion. The given description is the ground truth.
Write variants of it, one for each style:
{chr(10).join(f"- {name}: {words}" for name, words in STYLES.items())}
Every variant must keep the same atomic action and the order of actions. Do not add intent, objects, body sides, \
emotions or details that the description does not say. Variants must differ clearly from it and from each other.
Answer with a JSON object with one text for each style asked for."""

_VERIFY = f"""You check paraphrases of a description of human motion, which is the ground truth. For each of the variants \
{", ".join(STYLES)} decide whether it passes. A variant fails if it
- does not preserve the atomic action,
- changes the order of actions,
- adds intent that cannot be observed, or content that the description does not say,
- is nearly the same as the description or as another variant.
Answer with a JSON object: for each variant "passes" (true or false) and "problem" (short, empty where it passes)."""

_TEXT = {"type": "string"}
_VERDICT = text_object(passes={"type": "boolean"}, problem=_TEXT)


@dataclass(frozen=True)
class Augmentation:
    """What became of a narration.

    Args:
        variants: five texts in the order of `STYLES`; where none was verified, the narration itself.
        verified: which of them the verifier let pass.
        passes: of the verifier.
        regenerated: rounds that wrote all five anew.
        repaired: rounds that wrote some anew.
        problem: why something is missing, or empty.
    """

    variants: tuple[str, ...]
    verified: tuple[bool, ...]
    passes: int
    regenerated: int = 0
    repaired: int = 0
    problem: str = ""


def augment(narration: str, client: LanguageClient, model: str) -> Augmentation:
    """Writes five variants and verifies them, with at most two more rounds for those that fail.

    When all five fail, all five are written anew; when fewer fail, only those are. Every round ends with the verifier.
    """
    variants: dict[str, str] = {}
    verdicts: dict[str, str] = {}  # style -> problem, empty where it passed
    passes = regenerated = repaired = 0
    problem = ""
    try:
        while passes < MAX_PASSES:
            failed = [style for style in STYLES if verdicts.get(style, "not written yet")]
            if passes:
                regenerated, repaired = (
                    (regenerated + 1, repaired) if len(failed) == len(STYLES) else (regenerated, repaired + 1)
                )
            fresh = client.ask(_write(narration, failed, variants, verdicts, passes, model))
            written = variants | fresh
            checked = client.ask(_verify(narration, written, model))
            passes += 1
            variants, verdicts = written, checked
            if not any(verdicts.values()):
                break
        if any(verdicts.values()):
            problem = "; ".join(f"{style}: {why}" for style, why in verdicts.items() if why)
    except Unanswered as error:
        problem = str(error)
    good = tuple(verdicts.get(style, "no verdict") == "" for style in STYLES)
    texts = tuple(variants[style] if passed else narration for style, passed in zip(STYLES, good, strict=True))
    return Augmentation(texts, good, passes, regenerated, repaired, problem)


def _write(
    narration: str, styles: list[str], variants: dict[str, str], verdicts: dict[str, str], attempt: int, model: str
) -> Question:
    lines = [f"Description: {narration}"]
    kept = {style: text for style, text in variants.items() if style not in styles}
    if kept:
        lines += ["", "Accepted variants, which stay:", *(f"- {style}: {text}" for style, text in kept.items())]
    if rejected := [style for style in styles if style in variants]:
        lines += ["", "Rejected, write them anew:"]
        lines += [f"- {style}: {variants[style]} ({verdicts[style]})" for style in rejected]
    lines += ["", f"Write: {', '.join(styles)}"]

    def read(answer: dict[str, Any]) -> dict[str, str]:
        fresh = {style: one_line(answer[style], style) for style in styles}
        seen = {variants[style].lower(): "the rejected one" for style in rejected}
        seen |= {narration.lower(): "the description"} | {text.lower(): style for style, text in kept.items()}
        for style, text in fresh.items():
            if (twin := seen.setdefault(text.lower(), style)) != style:
                raise ValueError(f"{style} is the same as {twin}")
        return fresh

    schema = text_object(**dict.fromkeys(styles, _TEXT))
    return Question(model, "write_variants", _WRITE, "\n".join(lines), schema, read, sample=attempt)


def _verify(narration: str, variants: dict[str, str], model: str) -> Question:
    lines = [f"Description: {narration}", "", *(f"- {style}: {variants[style]}" for style in STYLES)]

    def read(answer: dict[str, Any]) -> dict[str, str]:
        problems = {}
        for style in STYLES:
            passes = answer[style]["passes"]
            if not isinstance(passes, bool):
                raise ValueError(f"{style}: passes must be true or false, not {passes!r}")
            problems[style] = "" if passes else str(answer[style].get("problem") or "rejected").strip() or "rejected"
        return problems

    schema = text_object(**dict.fromkeys(STYLES, _VERDICT))
    return Question(model, "verify_variants", _VERIFY, "\n".join(lines), schema, read)
