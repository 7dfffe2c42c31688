"""transformers pipelines: zero-shot-imu-classification, imu-classification, imu-to-text and imu-text-retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, Pipeline

from .embedding import check_same_codebook, embed_windows
from .prompts import check_positions


def _texts(values: Sequence[str] | str | None, name: str) -> list[str]:
    values = [] if values is None else values
    texts = [part.strip() for part in values.split(",")] if isinstance(values, str) else list(values)
    if not texts:
        raise ValueError(f"{name} is empty; give at least one, such as {name}=['walking', 'sitting']")
    if name == "candidate_labels" and len(set(texts)) < len(texts):
        twice = next(text for text in texts if texts.count(text) > 1)
        raise ValueError(f"candidate_labels names {twice!r} twice, which would share its score; name it once")
    return texts


def _check_top_k(top_k: int | None) -> None:
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise ValueError(f"top_k must be a whole number of at least 1, got {top_k!r}")


class _ImuPipeline(Pipeline):
    """What they share: the input is a dict of the processor's keyword arguments for one recording.

    Model and processor of different runs are refused (ValueError).
    """

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.processor is None:
            raise ValueError(f"{type(self).__name__} needs processor=, such as AnyMoProcessor.from_pretrained(folder)")
        check_same_codebook(self.model, self.processor)

    def save_pretrained(self, save_directory, **kwargs) -> None:
        """Writes model and processor into one folder, from which `pipeline` loads with or without this package."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)

    def _pieces(self, inputs: dict[str, Any], middle: bool = False) -> tuple[list[np.ndarray], list[int]]:
        """Codes of each piece of one recording, and its segment indices."""
        if not isinstance(inputs, dict) or not ("imu" in inputs or "imu_codes" in inputs):
            raise ValueError(
                'the input must be a dict such as {"imu": {"waist": array}, "sampling_rate": 50}, got '
                f"{sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__}"
            )
        codes, placements = self.processor.windows(**inputs, middle=middle)
        if len(codes) != 1:
            raise ValueError(f"an input holds one recording, got {len(codes)}; give a list of inputs")
        return codes[0], placements[0]


class _EmbeddingPipeline(_ImuPipeline):
    """Ranks texts by the cosine between a recording and each of them.

    A recording longer than the processor's `max_window_seconds` is cut, and the embeddings of its pieces are averaged,
    see `embed_windows`.
    """

    _texts_name, _text_kind = "candidate_labels", "label"

    def _sanitize_parameters(self, temperature: float | None = None, top_k: int | None = None, **kwargs):
        texts = kwargs.pop(self._texts_name, None)
        if kwargs:
            raise ValueError(f"unknown arguments {sorted(kwargs)} of {type(self).__name__}")
        if temperature is not None and (not isinstance(temperature, int | float) or not temperature > 0):
            raise ValueError(f"temperature must be a positive number, got {temperature!r}")
        _check_top_k(top_k)
        both = {} if texts is None else {"texts": _texts(texts, self._texts_name)}
        finish = {"temperature": temperature, "top_k": top_k}
        return {}, both, both | {name: value for name, value in finish.items() if value is not None}

    def preprocess(self, inputs: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        """One recording to the codes of its pieces."""
        codes, placements = self._pieces(inputs)
        return {"codes": codes, "placements": placements}

    def _text_features(self, texts: list[str]) -> torch.Tensor:
        """Embeddings of `texts`; those of the last call are kept, since lists of recordings share their labels."""
        kept = getattr(self, "_kept", None)
        if kept is None or kept[0] != texts:
            batch = self.processor(text=texts, text_kind=self._text_kind, return_tensors="pt").to(self.device)
            self._kept = kept = (list(texts), self.model.get_text_features(**batch).pooler_output)
        return kept[1]

    def _forward(self, model_inputs, texts: list[str] | None = None) -> torch.Tensor:
        """Cosines `(recordings, texts)`."""
        texts = _texts(texts, self._texts_name)
        codes, placements = model_inputs["codes"], model_inputs["placements"]
        if isinstance(codes[0], np.ndarray):  # one recording; with batch_size above 1 it is a list of them
            codes, placements = [codes], [placements]
        return embed_windows(self.model, self.processor, codes, placements) @ self._text_features(texts).float().t()


class ZeroShotImuClassificationPipeline(_EmbeddingPipeline):
    """`pipeline("zero-shot-imu-classification")`: which of some labels a recording shows.

    Call it with `candidate_labels` (list or comma-separated string); the result is `[{"score", "label"}, ...]`, best
    first, scores being the softmax over labels of cosine / `temperature` (default: the model's). A recording longer
    than the processor's `max_window_seconds` is cut into equal pieces, whose embeddings are averaged.
    """

    _texts_name, _text_kind = "candidate_labels", "label"

    def postprocess(  # type: ignore[override]
        self,
        model_outputs: torch.Tensor,
        texts: list[str],
        temperature: float | None = None,
        top_k: int | None = None,
    ) -> list[dict[str, Any]]:
        """Ranked labels."""
        logits = model_outputs[0] / (temperature or self.model.config.contrastive_temperature)
        scores = logits.softmax(0).tolist()
        ranked = sorted(range(len(texts)), key=lambda index: -scores[index])
        return [{"score": scores[index], "label": texts[index]} for index in ranked[:top_k]]


class ImuTextRetrievalPipeline(_EmbeddingPipeline):
    """`pipeline("imu-text-retrieval")`: the texts nearest to a recording.

    Call it with `candidate_texts`; the result is `[{"score", "text", "index"}, ...]`, best first, scores being
    cosines and `index` the place in `candidate_texts`. Long recordings are cut as in zero-shot classification.
    """

    _texts_name, _text_kind = "candidate_texts", "narration"

    def postprocess(  # type: ignore[override]
        self,
        model_outputs: torch.Tensor,
        texts: list[str],
        temperature: float | None = None,
        top_k: int | None = None,
    ) -> list[dict[str, Any]]:
        """Ranked texts."""
        scores = model_outputs[0].tolist()
        ranked = sorted(range(len(texts)), key=lambda index: -scores[index])
        return [{"score": scores[index], "text": texts[index], "index": index} for index in ranked[:top_k]]


class ImuClassificationPipeline(_ImuPipeline):
    """`pipeline("imu-classification")`: which label of a fine-tuned classifier a recording shows.

    The result is `[{"score", "label"}, ...]`, best first, the labels being those of `config.id2label`; `top_k` shortens it.
    Long recordings are cut as in zero-shot classification; of their pieces the embeddings are averaged, or the scores where
    the model reads raw windows. A model whose classifier was never trained is refused.
    """

    def _sanitize_parameters(self, top_k: int | None = None, **kwargs):
        if kwargs:
            raise ValueError(
                f"unknown arguments {sorted(kwargs)} of {type(self).__name__}; it answers with the labels that it learned"
            )
        _check_top_k(top_k)
        return {}, {}, {} if top_k is None else {"top_k": top_k}

    def preprocess(self, inputs: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        """One recording to the codes of its pieces."""
        if self.model.config.classifier_input == "imu":
            if not isinstance(inputs, dict) or "imu" not in inputs:
                raise ValueError(
                    'this classifier reads raw windows: give {"imu": {"waist": array}, "sampling_rate": 50}'
                )
            return {"pieces": [self.processor.window_inputs(self.processor.pieces(**inputs)[0])]}
        codes, placements = self._pieces(inputs)
        return {"codes": codes, "placements": placements}

    def _forward(self, model_inputs) -> torch.Tensor:
        """Class scores `(recordings, labels)`."""
        if self.model.config.classifier_input == "imu":
            self.model.require_trained()
            recordings = [item[0] if isinstance(item, list) else item for item in model_inputs["pieces"]]
            return torch.stack([self.model(**batch).logits.mean(0) for batch in recordings])
        codes, placements = model_inputs["codes"], model_inputs["placements"]
        if isinstance(codes[0], np.ndarray):  # one recording; with batch_size above 1 it is a list of them
            codes, placements = [codes], [placements]
        return self.model.classify(embed_windows(self.model, self.processor, codes, placements))

    def postprocess(self, model_outputs: torch.Tensor, top_k: int | None = None) -> list[dict[str, Any]]:  # type: ignore[override]
        """Ranked labels."""
        logits = model_outputs[0].float()
        names: Any = self.model.config.id2label
        kind = self.model.problem_type
        finish = {"regression": logits, "multi_label_classification": logits.sigmoid()}.get(kind, logits.softmax(0))
        scores = finish.tolist()
        ranked = sorted(range(len(scores)), key=lambda index: -scores[index])
        return [{"score": scores[index], "label": names[index]} for index in ranked[:top_k]]


class ImuToTextPipeline(_ImuPipeline):
    """`pipeline("imu-to-text")`: a caption, or with `task="multiple_choice"` and `candidates` the option chosen.

    The result is `[{"generated_text": ...}]`. Other keyword arguments go to `generate`; the default is greedy,
    64 new tokens (the paper's caption protocol). Of a recording longer than the processor's `max_window_seconds` only
    the middle one of its equal pieces is described.
    """

    def _sanitize_parameters(self, task: str | None = None, candidates: Sequence[str] | None = None, **generate):
        prompt = {"task": task, "candidates": None if candidates is None else _texts(candidates, "candidates")}
        return {name: value for name, value in prompt.items() if value is not None}, generate, {}

    def preprocess(  # type: ignore[override]
        self, inputs: dict[str, Any], task: str = "narration", candidates: list[str] | None = None
    ) -> BatchFeature:
        """One recording, or its middle piece, to a prompt."""
        codes, placements = self._pieces(inputs, middle=True)
        prompt = self.processor.generation_inputs(
            imu_codes=codes, imu_placements=[placements], task=task, candidates=candidates
        )
        positions = getattr(self.model.config.text_config, "max_position_embeddings", None)
        check_positions(prompt["input_ids"].shape[1], positions)
        return prompt

    def _forward(self, model_inputs, **generate) -> torch.Tensor:
        tokenizer = self.processor.tokenizer
        settings = {
            "max_new_tokens": 64,
            "do_sample": False,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        tokens = self.model.generate(**model_inputs, **(settings | generate))
        return tokens[:, model_inputs["input_ids"].shape[1] :]

    def postprocess(self, model_outputs: torch.Tensor) -> list[dict[str, str]]:  # type: ignore[override]
        """Text without special tokens."""
        texts = self.processor.tokenizer.batch_decode(model_outputs, skip_special_tokens=True)
        return [{"generated_text": text.strip()} for text in texts]
