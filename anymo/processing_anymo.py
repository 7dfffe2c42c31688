"""Recordings and texts to model inputs: motion codes, prompts, masks; long recordings window by window."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import ceil, prod
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from transformers import BatchFeature, ProcessorMixin
from transformers.utils import logging

from .body_segments import SEGMENTS
from .feature_extraction_anymo import AnyMoFeatureExtractor, split_arguments, stack_recordings
from .imu_signal import TARGET_RATE
from .prompts import (
    TEMPLATES,
    TEXT_KINDS,
    PromptStyle,
    check_positions,
    fill_fields,
    normalize_text,
    option_key,
    read_prompt_style,
    sensor_context,
)
from .saved_code import PROCESSOR_FILE, add_code, push_saved, write_json
from .strict_loading import loading
from .token_layout import TokenLayout, merged_settings
from .tokenization_anymo import CHAT_TEMPLATE, AnyMoTokenizer
from .windows import MAX_WINDOW_SECONDS, equal_spans

logger = logging.get_logger(__name__)

BENCH_SENSORS = ("head", "left_wrist", "right_wrist")  # of a row of AnyMo Bench, in the order of its channels
IGNORED = -100  # the label that cross-entropy skips
_PIECES_AT_ONCE = 64
_SHORTEST = 8  # tokens of a model; no prompt with codes fits into fewer


class AnyMoProcessor(ProcessorMixin):
    """Feature extractor, tokenizer and prompt templates in one.

    Args:
        feature_extractor: makes motion codes from recordings; None where codes are given ready-made.
        tokenizer: words and codes to token ids.
        templates: prompt templates by name, replacing some of `TEMPLATES`; kept in processor_config.json. That of
            "motion" may also hold {text}, a description of the motion to write.
        max_window_seconds: what `windows`, and with it `embed_recordings` and the pipelines, cut longer recordings to;
            None never cuts. A plain call takes any length and warns above this one. Kept in processor_config.json.
        prompt_style: a `PromptStyle` or a dict of its settings; kept in processor_config.json.

    Raises:
        ValueError: no tokenizer, a template without its fields, an unknown or bad setting of the style, or windows under
            two seconds, whose halves could not be read.
    """

    def __init__(
        self,
        feature_extractor: AnyMoFeatureExtractor | None = None,
        tokenizer: AnyMoTokenizer | None = None,
        templates: dict[str, str] | None = None,
        max_window_seconds: float | None = MAX_WINDOW_SECONDS,
        prompt_style: PromptStyle | Mapping[str, Any] | None = None,
    ):
        if tokenizer is None:
            raise ValueError("AnyMoProcessor needs a tokenizer")
        if max_window_seconds is not None and not 2 <= max_window_seconds < float("inf"):
            raise ValueError(f"max_window_seconds must be at least 2, or None never to cut, got {max_window_seconds}")
        if not tokenizer.model_max_length >= _SHORTEST:
            raise ValueError(
                f"the tokenizer's model_max_length must be at least {_SHORTEST} tokens, got {tokenizer.model_max_length}"
            )
        self.max_window_seconds, self.prompt_style = max_window_seconds, read_prompt_style(prompt_style)
        if feature_extractor is not None:
            super().__init__(feature_extractor, tokenizer)
        self.feature_extractor, self.tokenizer = feature_extractor, tokenizer
        self.chat_template = tokenizer.chat_template or CHAT_TEMPLATE
        unknown = set(templates or {}) - set(TEMPLATES)
        if unknown:
            raise ValueError(f"unknown templates {sorted(unknown)}; known are {sorted(TEMPLATES)}")
        self.templates = {name: text for name, (text, _) in TEMPLATES.items()} | (templates or {})
        for name, (_, needed) in TEMPLATES.items():
            for part in needed:
                if self.templates[name].count("{" + part + "}") != 1:
                    raise ValueError(f"template {name!r} must hold {{{part}}} once, got {self.templates[name]!r}")
        if self.templates["motion"].count("{text}") > 1:
            raise ValueError(f"template 'motion' may hold {{text}} once, got {self.templates['motion']!r}")

    @classmethod
    def get_attributes(cls) -> list[str]:
        """The parts that `ProcessorMixin` manages."""
        return ["feature_extractor", "tokenizer"]

    @property
    def model_input_names(self) -> list[str]:
        """Everything that a call can return."""
        names = ("input_ids", "attention_mask", "pooling_mask")
        return ["imu_input_ids", "imu_attention_mask", "imu_pooling_mask", *names]

    def to_dict(self) -> dict[str, Any]:
        """What goes into processor_config.json."""
        return {
            "processor_class": type(self).__name__,
            "templates": self.templates,
            "max_window_seconds": self.max_window_seconds,
            "prompt_style": asdict(self.prompt_style),
        }

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs) -> list[str]:
        """Writes processor_config.json, the tokenizer and, where there is one, the feature extractor."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        if self.feature_extractor is not None:
            self.feature_extractor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        write_json(folder / PROCESSOR_FILE, self.to_dict())
        add_code(folder, PROCESSOR_FILE)
        if push_to_hub:
            push_saved(self, folder, kwargs)
        return [str(folder / PROCESSOR_FILE)]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs) -> AnyMoProcessor:  # type: ignore[override]
        """Loads what `save_pretrained` wrote.

        Args:
            pretrained_model_name_or_path: the folder or the repository's name.
            kwargs: `wrist` (see `AnyMoFeatureExtractor`), `max_window_seconds`, `templates` or `prompt_style` in place
                of the saved ones; the usual Hub arguments, such as `revision` and `token`.

        Raises:
            OSError: a local folder whose processor or tokenizer file is missing or cut off.
            ValueError: an unknown argument, or a value that a part refuses.
        """
        known = ("max_window_seconds", "templates", "prompt_style")
        own, hub = split_arguments(kwargs, ("wrist", *known), "AnyMoProcessor.from_pretrained")
        with loading(pretrained_model_name_or_path):
            settings, _ = cls.get_processor_dict(pretrained_model_name_or_path, **hub)
            _check_json_files(pretrained_model_name_or_path)
            wrist = {"wrist": own.pop("wrist")} if "wrist" in own else {}
            extractor = AnyMoFeatureExtractor.from_pretrained(pretrained_model_name_or_path, **wrist, **hub)
            tokenizer = AnyMoTokenizer.from_pretrained(pretrained_model_name_or_path, **hub)
            saved = {name: settings[name] for name in known if name in settings}
            return cls(extractor, tokenizer, **(saved | own))

    # -- tokens ------------------------------------------------------------------------------------------------------

    def _words(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []

    def _code_ids(self, codes: Sequence[int]) -> list[int]:
        tokenizer = self.tokenizer
        values = np.asarray(codes)
        if values.ndim != 1 or not values.size or values.dtype.kind not in "iu":
            raise ValueError(f"imu_codes must be a non-empty row of whole numbers per recording, got {codes!r}")
        if values.min() < 0 or values.max() >= tokenizer.num_codes:
            raise ValueError(
                f"imu_codes must lie in 0..{tokenizer.num_codes - 1}, got {values.min()}..{values.max()}; is the "
                "tokenizer from the same release as the feature extractor?"
            )
        ids = (values + tokenizer.imu_token_offset).tolist()
        return [tokenizer.imu_bos_token_id, *ids, tokenizer.imu_eos_token_id]

    def _fill(self, template: str, span: str, span_ids: list[int], **words: str) -> tuple[list[int], list[int]]:
        """Token ids of a template and a mask of the `{span}` in it; each side is tokenized by itself, so the span is
        exact."""
        before, after = (fill_fields(part, words) for part in template.split("{" + span + "}"))
        before_ids, after_ids = self._words(before), self._words(after)
        mask = [0] * len(before_ids) + [1] * len(span_ids) + [0] * len(after_ids)
        return before_ids + span_ids + after_ids, mask

    def _imu_prompt(self, codes: Sequence[int], placements: Sequence[int]) -> tuple[list[int], list[int]]:
        wrapped = self._code_ids(codes)
        ids, mask = self._fill(self.templates["imu"], "imu", wrapped, sensor_context=self._places(placements))
        first = mask.index(1)
        mask[first] = mask[first + len(wrapped) - 1] = 0  # <imu_bos> and <imu_eos> carry no motion
        return ids, mask

    def _text_prompt(self, text: str, kind: str, most: int | None = None) -> tuple[list[int], list[int]]:
        words = self._words(self._clean(text, kind))
        ids, mask = self._fill(self.templates["text"], "text", words)
        if most is not None and len(ids) > most:
            kept = len(words) - (len(ids) - most)
            if kept < 1:
                raise ValueError(f"max_length {most} leaves no token of the text; its prompt alone has {-kept + most}")
            ids, mask = self._fill(self.templates["text"], "text", words[:kept])
        return ids, mask

    def _clean(self, text: str, kind: str = "narration") -> str:
        """The text as prompts hold it; ValueError for an empty or non-string one."""
        lower = normalize_text(text)
        which = self.prompt_style.lower_case
        return lower if which == "all" or (which == "labels" and kind == "label") else text.strip()

    def _places(self, placements: Sequence[int]) -> str:
        return sensor_context(placements, self.prompt_style)

    def _option(self, index: int, label: str) -> str:
        style = self.prompt_style
        return fill_fields(style.option_format, {"key": option_key(index, style.option_keys), "label": label})

    def _padded(
        self, columns: dict[str, tuple[list[list[int]], int]], layout: TokenLayout
    ) -> dict[str, list[list[int]]]:
        """Columns of rows, each with the value that fills it up."""
        length = layout.length(max(len(row) for rows, _ in columns.values() for row in rows))
        padded = {}
        for name, (rows, value) in columns.items():
            fill = [[value] * max(0, length - len(row)) if length else [] for row in rows]
            left = layout.padding_side == "left"
            padded[name] = [extra + row if left else row + extra for row, extra in zip(rows, fill, strict=True)]
        return padded

    def _codes(self, imu, imu_codes, imu_placements, imu_code_mask, kwargs) -> tuple[list, list]:
        """Rows of codes and of placements, from recordings or ready-made."""
        if (imu is None) == (imu_codes is None):
            raise ValueError("give either imu= (recordings) or imu_codes= (with imu_placements=), not both")
        if imu is not None:
            extractor = self._extractor()
            features = extractor(imu, return_tensors="np", **kwargs)
            imu_codes, imu_placements = features["imu_codes"], features["imu_placements"]
            imu_code_mask = features["imu_code_mask"]
            steps = imu_codes.shape[1] // extractor.pqvae.config.num_codebooks
            rate = TARGET_RATE / prod(extractor.stgcn.config.strides)
            if self.max_window_seconds is not None and steps > ceil(self.max_window_seconds * rate):
                logger.warning_once(
                    f"a recording is longer than max_window_seconds, {self.max_window_seconds:g}, and the model was "
                    "trained on windows of at most 5 s; embed_recordings and the pipelines cut it"
                )
        elif kwargs:
            raise ValueError(f"{sorted(kwargs)} only mean something with imu=; leave them out")
        rows, masks = _rows(imu_codes), None if imu_code_mask is None else _rows(imu_code_mask)
        if masks is not None:
            rows = [row[np.asarray(mask, dtype=bool)] for row, mask in zip(rows, masks, strict=True)]
        if imu_placements is None:
            raise ValueError(
                "imu_codes comes without imu_placements; give a list of segment indices for each recording"
            )
        places = _place_rows(imu_placements)
        if len(places) != len(rows):
            raise ValueError(f"{len(rows)} rows of imu_codes but {len(places)} of imu_placements; give as many")
        return rows, places

    def _extractor(self) -> AnyMoFeatureExtractor:
        if self.feature_extractor is None:
            raise ValueError("this processor has no feature extractor; give imu_codes= and imu_placements=")
        return self.feature_extractor

    def windows(
        self,
        imu=None,
        *,
        imu_codes=None,
        imu_placements=None,
        imu_code_mask=None,
        middle: bool = False,
        **kwargs,
    ) -> tuple[list[list[np.ndarray]], list[list[int]]]:
        """Motion codes of recordings; one longer than `max_window_seconds` is cut into equal consecutive pieces.

        Args:
            imu, imu_codes, imu_placements, imu_code_mask, kwargs: as in `__call__`; ready-made codes stay in one piece.
            middle: of each recording only the middle piece (of an even number, the earlier of the two).

        Returns:
            Per recording its pieces, each a row of codes `(2L,)`, and its segment indices. As `imu_codes` and
            `imu_placements` they go into `__call__` piece by piece.
        """
        if imu is None or imu_codes is not None:
            rows, places = self._codes(imu, imu_codes, imu_placements, imu_code_mask, kwargs)
            return [[row] for row in rows], [[int(index) for index in place] for place in places]
        extractor, cut = self._extractor(), self.pieces(imu, middle=middle, **kwargs)
        pieces = [piece for own in cut for piece in own]
        owners = [number for number, own in enumerate(cut) for _ in own]
        codes: list[list[np.ndarray]] = [[] for _ in cut]
        for begin in range(0, len(pieces), _PIECES_AT_ONCE):
            part = slice(begin, begin + _PIECES_AT_ONCE)
            ids, mask = extractor.encode(*stack_recordings(pieces[part]))
            for number, row, real in zip(owners[part], ids.cpu().numpy(), mask.bool().cpu().numpy(), strict=True):
                codes[number].append(row[real])
        return codes, [sorted(own[0]) for own in cut]

    def pieces(self, imu, *, middle: bool = False, **kwargs) -> list[list[dict[int, np.ndarray]]]:
        """Signals of recordings at 60 Hz, cut as `windows` cuts them: per recording its pieces, segment -> `(T, 6)`.

        The arguments and errors are those of `AnyMoFeatureExtractor.read`, `middle` as in `windows`.
        """
        cut = []
        for nodes in self._extractor().read(imu, **kwargs):
            spans = equal_spans(len(next(iter(nodes.values()))), self.max_window_seconds)
            kept = [spans[(len(spans) - 1) // 2]] if middle else spans
            cut.append([{node: signal[start:end] for node, signal in nodes.items()} for start, end in kept])
        return cut

    def window_inputs(self, pieces: Sequence[Mapping[int, np.ndarray]]) -> BatchFeature:
        """Inputs, as tensors, of a classifier that reads raw windows: `imu` `(batch, T, 23, 6)`, `node_mask` and
        `frame_mask`, and the motion prompts, whose codes are placeholders that the model fills."""
        signals, counts, places = self._signals(pieces)
        prompts = [self._imu_prompt([0] * count, place) for count, place in zip(counts, places, strict=True)]
        data = {f"imu_{name}": value for name, value in self._batch(prompts, TokenLayout()).items()}
        return BatchFeature(data | signals, tensor_type="pt")

    def _signals(self, worn: Sequence[Mapping[int, np.ndarray]]) -> tuple[dict[str, Any], list[int], list[list[int]]]:
        """Inputs of the encoder, and of each recording how many codes it makes and its segment indices."""
        extractor = self._extractor()
        imu, node_mask, frame_mask = stack_recordings(worn)
        stride, books = prod(extractor.stgcn.config.strides), extractor.pqvae.config.num_codebooks
        counts = [ceil(int(frames) / stride) * books for frames in frame_mask.sum(1)]
        signals = {"imu": imu.numpy(), "node_mask": node_mask.numpy(), "frame_mask": frame_mask.numpy()}
        return signals, counts, [sorted(nodes) for nodes in worn]

    # -- model inputs ------------------------------------------------------------------------------------------------

    def __call__(  # type: ignore[override]
        self,
        imu=None,
        text: str | Sequence[str] | None = None,
        *,
        imu_codes=None,
        imu_placements=None,
        imu_code_mask=None,
        text_kind: str = "narration",
        return_windows: bool = False,
        padding: bool | str = True,
        truncation: bool = False,
        max_length: int | None = None,
        padding_side: str = "right",
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
        text_kwargs: Mapping[str, Any] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """Inputs of `AnyMoModel`, padded on the right.

        Args:
            imu: one recording or a list, as in `AnyMoFeatureExtractor` (placement -> `(T, 6)`); its `sampling_rate`,
                units and other settings follow as keyword arguments.
            text: a label or narration, or a list.
            imu_codes: ready-made codes (`code + size * book`, time-major) instead of `imu`, with `imu_placements`
                (segment indices for each recording) and, where rows are padded, `imu_code_mask`.
            text_kind: what `text` is, "narration" or "label" (the name of an activity to recognise). It makes a
                difference only where `prompt_style.lower_case` is "labels", as in a converted official checkpoint.
            return_windows: for a classifier that reads raw windows (`config.classifier_input` "imu"): also `imu`,
                `node_mask` and `frame_mask`, and placeholders as codes, which the model makes itself.
            padding: True or "longest", to the longest row; "max_length"; False or "do_not_pad".
            truncation: cuts texts, at their end, to `max_length` (None: to the positions of the language model). Motion
                prompts are never cut, since a recording's end would be lost unseen.
            max_length: tokens, for `padding` and `truncation`.
            padding_side: "right" or "left".
            pad_to_multiple_of: rows are padded to a multiple of it.
            return_tensors: "pt", "np" or None for lists.
            text_kwargs: the five settings before in one dict, as processors of transformers take them.

        Returns:
            `imu_input_ids`, `imu_attention_mask`, `imu_pooling_mask` and/or `input_ids`, `attention_mask`,
            `pooling_mask`, each `(batch, length)`; pooling masks are 1 on codes or on the text itself.

        A recording of any length is taken as one window, as in the official protocol; `embed_recordings` cuts long ones.

        Raises:
            ValueError: nothing given, an empty text, an unknown kind of text, a code or placement out of range, a setting
                given twice, or more tokens than the language model has positions, where the tokenizer's
                `model_max_length` tells them (a release's does).
        """
        given = dict(
            padding=padding, truncation=truncation, max_length=max_length, padding_side=padding_side,
            pad_to_multiple_of=pad_to_multiple_of, return_tensors=return_tensors,
        )  # fmt: skip
        usual = dict(
            padding=True, truncation=False, max_length=None, padding_side="right", pad_to_multiple_of=None,
            return_tensors=None,
        )  # fmt: skip
        settings = merged_settings(given, usual, text_kwargs)
        return_tensors = settings.pop("return_tensors")
        layout = TokenLayout(**settings)
        if text_kind not in TEXT_KINDS:
            raise ValueError(f"text_kind must be one of {TEXT_KINDS}, got {text_kind!r}")
        data: dict[str, list] = {}
        signals: dict[str, Any] = {}
        if return_windows:
            if imu is None or imu_codes is not None:
                raise ValueError("return_windows=True needs imu=, recordings")
            signals, counts, places = self._signals(self._extractor().read(imu, **kwargs))
            prompts = [self._imu_prompt([0] * count, place) for count, place in zip(counts, places, strict=True)]
            data |= {f"imu_{name}": value for name, value in self._batch(prompts, layout).items()}
        elif imu is not None or imu_codes is not None:
            rows, places = self._codes(imu, imu_codes, imu_placements, imu_code_mask, kwargs)
            prompts = [self._imu_prompt(row, place) for row, place in zip(rows, places, strict=True)]
            data |= {f"imu_{name}": value for name, value in self._batch(prompts, layout).items()}
        elif kwargs:
            raise ValueError(f"{sorted(kwargs)} only mean something with imu=; leave them out")
        if text is not None:
            texts = [text] if isinstance(text, str) else list(text) if isinstance(text, Iterable) else [text]
            if not texts:
                raise ValueError("text is an empty list; give at least one label or narration")
            if strange := [item for item in texts if not isinstance(item, str)]:
                raise ValueError(f"text must be a text or a list of them, got {strange[0]!r}")
            most = layout.max_length or self.tokenizer.model_max_length
            prompts = [self._text_prompt(item, text_kind, most if layout.truncation else None) for item in texts]
            data |= self._batch(prompts, layout)
        if not data:
            raise ValueError("give imu=, imu_codes= or text=")
        return BatchFeature(data | signals, tensor_type=return_tensors)

    def pad(
        self,
        features: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        padding: bool = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """Rows of different lengths to one batch, padded on the right as a call pads them.

        Takes what `DataCollatorWithPadding` hands over, so that collator works, too; `AnyMoCollator` also makes rows out of
        codes and raw windows.

        Args:
            features: rows with some of `model_input_names` as lists or arrays, of one recording or text each, and, if they
                have it, their class as `labels` or `label`; or one dict of lists of them.
            padding: only True.
            max_length: pads to at least so many tokens.
            pad_to_multiple_of: makes lengths multiples of this.
            return_tensors: "pt", "np" or None for lists.

        Raises:
            ValueError: no rows, a column that is not known, one that some rows lack, or `padding=False`.
        """
        if padding is not True:
            raise ValueError(f"padding must be True, which pads to the longest row, got {padding!r}")
        if isinstance(features, Mapping):
            names = list(features)
            features = [
                dict(zip(names, row, strict=True)) for row in zip(*(features[name] for name in names), strict=True)
            ]
        rows = [dict(row) for row in features]
        if not rows:
            raise ValueError("features is empty; give at least one row")
        if any(set(row) != set(rows[0]) for row in rows):
            raise ValueError(f"every row needs the columns of the first one, {sorted(rows[0])}")
        data: dict[str, list] = {}
        for name in rows[0]:
            values = [row[name] for row in rows]
            if name in ("label", "labels"):
                data["labels"] = [int(value) for value in values]
            elif name in self.model_input_names:
                fill = self.tokenizer.pad_token_id if name.endswith("input_ids") else 0
                lists = [np.asarray(value).tolist() for value in values]
                longest = max(max_length or 0, *map(len, lists))
                if pad_to_multiple_of:
                    longest = ceil(longest / pad_to_multiple_of) * pad_to_multiple_of
                data[name] = [row + [fill] * (longest - len(row)) for row in lists]
            else:
                raise ValueError(f"column {name!r} is no model input; known are {', '.join(self.model_input_names)}")
        return BatchFeature(data, tensor_type=return_tensors)

    def from_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Model inputs of a row of the built data sets `anymo-180`, `anymo-bench`, `anymo-zeroshot` or `anymo-synthetic`
        (views).

        `dataset.map(processor.from_row)` makes rows for `AnyMoCollator` or `pad`.

        Args:
            row: of Bench: `imu` `(T, 18)` at 60 Hz, of `BENCH_SENSORS` three channels of acceleration (m/s^2) and three of
                angular velocity (rad/s) each; a sensor that is zero throughout was not there. Of the others: a column
                `(T, 6)` for each name in `placements` or, without it, for each segment, at `sampling_rate` (60 Hz without).

        Returns:
            `imu_input_ids`, `imu_attention_mask` and `imu_pooling_mask`, lists, and `labels`, the row's `label_id` or, where
            it is a number, its `label`.

        Raises:
            ValueError: a row of another kind, or without a signal.
        """
        if not isinstance(row, Mapping):
            raise ValueError(f"a row must map the names of columns to their values, got {type(row).__name__}")
        if "imu" in row:
            signal = _signal(row, "imu")
            if signal.ndim != 2 or signal.shape[1] != 6 * len(BENCH_SENSORS):
                raise ValueError(f"imu of a row must be (T, {6 * len(BENCH_SENSORS)}), got {signal.shape}")
            sensors = dict(zip(BENCH_SENSORS, np.split(signal, len(BENCH_SENSORS), axis=1), strict=True))
        else:
            places = row.get("placements", [name for name in (*BENCH_SENSORS, *SEGMENTS) if name in row])
            if not isinstance(places, Iterable):
                raise ValueError(f"placements of a row must be a list of names, got {places!r}")
            sensors = {str(place): _signal(row, str(place)) for place in places}
        sensors = {place: signal for place, signal in sensors.items() if signal.size and signal.any()}
        if not sensors:
            raise ValueError(
                f"a row needs imu or placements with their columns, none of them zero; it has {sorted(row)}"
            )
        batch = self(imu=sensors, sampling_rate=row.get("sampling_rate", TARGET_RATE))
        inputs = {name: value[0] for name, value in batch.items()}
        label = row.get("label_id", row.get("label"))
        if label is None or isinstance(label, str):
            return inputs
        if not isinstance(label, Integral):
            raise ValueError(f"label of a row must be a whole number or a text, got {label!r}")
        return inputs | {"labels": int(label)}

    def _check_length(self, rows: list[list[int]]) -> None:
        check_positions(max(map(len, rows)), self.tokenizer.model_max_length)

    def _batch(self, prompts: list[tuple[list[int], list[int]]], layout: TokenLayout) -> dict[str, list]:
        self._check_length([ids for ids, _ in prompts])
        columns = {
            "input_ids": ([ids for ids, _ in prompts], self.tokenizer.pad_token_id),
            "attention_mask": ([[1] * len(ids) for ids, _ in prompts], 0),
            "pooling_mask": ([mask for _, mask in prompts], 0),
        }
        return self._padded(columns, layout)

    def _question(
        self, codes, placements, task: str, candidates: Sequence[str] | None, description: str | None
    ) -> list[int]:
        """ChatML up to and including the assistant's header."""
        words = {"sensor_context": self._places(placements)}
        described = task == "motion" and "{text}" in self.templates[task]
        if described and description is None:
            raise ValueError("task 'motion' of this processor needs description=: its prompt has a {text} field")
        if not described and description is not None:
            raise ValueError(f"task {task!r} of this processor takes no description: its prompt has no {{text}} field")
        if task == "motion":
            if description is not None:
                words["text"] = self._clean(description)
            ids = self._words(fill_fields(self.templates[task], words))
        elif task in ("narration", "multiple_choice"):
            if task == "multiple_choice":
                if not candidates:
                    raise ValueError("task 'multiple_choice' needs candidates: a non-empty list of activities")
                words["options"] = "\n".join(self._option(i, self._clean(text)) for i, text in enumerate(candidates))
            ids, _ = self._fill(self.templates[task], "imu", self._code_ids(codes), **words)
        else:
            raise ValueError(f"unknown task {task!r}; known are narration, multiple_choice, motion")
        return self._words("<|im_start|>user\n") + ids + self._words("<|im_end|>\n<|im_start|>assistant\n")

    def generation_inputs(
        self,
        imu=None,
        *,
        imu_codes=None,
        imu_placements=None,
        imu_code_mask=None,
        task: str = "narration",
        candidates: Sequence[str] | None = None,
        description: str | Sequence[str] | None = None,
        padding: bool | str = True,
        max_length: int | None = None,
        padding_side: str = "left",
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = "pt",
        **kwargs,
    ) -> BatchFeature:
        """Prompts for `generate`, padded on the left: `input_ids` and `attention_mask`, `(batch, length)`.

        Args:
            imu, imu_codes, imu_placements, imu_code_mask, kwargs: as in `__call__`; "motion" needs `imu_placements` only.
            task: "narration", "multiple_choice" (needs `candidates`), or "motion" (write codes).
            candidates: activities to choose from, offered in this order.
            description: of the motion to write, for all rows or one for each; needed where the motion prompt has a
                {text} field, and only there.
            padding, max_length, padding_side, pad_to_multiple_of, return_tensors: as in `__call__`.
        """
        given = imu is not None or imu_codes is not None or imu_code_mask is not None or kwargs
        if task == "motion" and imu_placements is not None and not given:
            places = _place_rows(imu_placements)
            rows: list = [None] * len(places)
        else:
            rows, places = self._codes(imu, imu_codes, imu_placements, imu_code_mask, kwargs)
        texts = [description] * len(rows) if description is None or isinstance(description, str) else list(description)
        if len(texts) != len(rows):
            raise ValueError(f"{len(rows)} rows but {len(texts)} descriptions")
        prompts = [
            self._question(row, place, task, candidates, words)
            for row, place, words in zip(rows, places, texts, strict=True)
        ]
        self._check_length(prompts)
        columns = {
            "input_ids": (prompts, self.tokenizer.pad_token_id),
            "attention_mask": ([[1] * len(ids) for ids in prompts], 0),
        }
        layout = TokenLayout(padding, False, max_length, padding_side, pad_to_multiple_of)
        return BatchFeature(self._padded(columns, layout), tensor_type=return_tensors)

    def apply_chat_template(self, conversation, chat_template: str | None = None, **kwargs):  # type: ignore[override]
        """Conversations to ChatML, as the language model was trained on it.

        Args:
            conversation: messages with `role` and `content`, or a list of conversations. A content is a text, or a list of
                `{"type": "text", "text": ...}` and `{"type": "imu", "imu": recording, "sampling_rate": 50}`, the latter with
                the keyword arguments of the processor (or `imu_codes`).
            chat_template: in place of the processor's.
            kwargs: those of the tokenizer's `apply_chat_template`, such as `add_generation_prompt` and `tokenize`.

        Raises:
            ValueError: a part of another type, or a recording that cannot be read.
        """
        several = bool(conversation) and isinstance(conversation[0], list | tuple)
        written = [
            [message | {"content": self._written(message["content"])} for message in messages]
            for messages in (conversation if several else [conversation])
        ]
        template = chat_template or self.chat_template
        kwargs = {"tokenize": False} | kwargs
        return self.tokenizer.apply_chat_template(written if several else written[0], chat_template=template, **kwargs)

    def _written(self, content) -> str:
        """A message's content as text, recordings as code tokens."""
        if isinstance(content, str):
            return content
        parts = []
        for part in content:
            settings = {name: value for name, value in part.items() if name != "type"}
            if part.get("type") == "text":
                parts.append(settings["text"])
            elif part.get("type") == "imu":
                rows, _ = self._codes(
                    settings.pop("imu", None), settings.pop("imu_codes", None), settings.pop("imu_placements", [[0]]),
                    settings.pop("imu_code_mask", None), settings,
                )  # fmt: skip
                parts += ["".join(self.tokenizer.convert_ids_to_tokens(self._code_ids(row))) for row in rows]
            else:
                raise ValueError(f"a part of a message is of type 'text' or 'imu', got {part.get('type')!r}")
        return "".join(parts)

    def language_example(
        self,
        codes: Sequence[int],
        placements: Sequence[int],
        task: str,
        answer: str | None = None,
        candidates: Sequence[str] | None = None,
        description: str | None = None,
    ) -> dict[str, list[int]]:
        """One training example in ChatML, loss on the answer and its end only.

        Args:
            codes: motion codes of one recording.
            placements: its segment indices.
            task: "narration", "multiple_choice", or "motion" (the answer is the codes themselves, paper Fig. 7).
            answer: the narration, or the right one of `candidates`.
            candidates: the options of a multiple-choice question; the answer becomes key and label.
            description: as in `generation_inputs`.

        Returns:
            `input_ids` and `labels`, -100 where there is no loss.
        """
        question = self._question(codes, placements, task, candidates, description)
        if task == "motion":
            reply = self._code_ids(codes)
        else:
            if answer is None:
                raise ValueError(f"task {task!r} needs an answer")
            text = self._clean(answer)
            if task == "multiple_choice":
                options = [self._clean(item) for item in candidates or ()]
                if text not in options:
                    raise ValueError(f"answer {text!r} is not among the candidates {options}")
                text = self._option(options.index(text), text)
            reply = self._words(text)
        reply = reply + self._words("<|im_end|>")
        end = self._words("\n")
        labels = [IGNORED] * len(question) + reply + [IGNORED] * len(end)
        return {"input_ids": question + reply + end, "labels": labels}


def _check_json_files(folder) -> None:
    """OSError that names a missing or cut JSON file of a local folder; Hub names pass."""
    if not os.path.isdir(folder):
        return
    for name in (PROCESSOR_FILE, "tokenizer_config.json", "tokenizer.json"):
        path = Path(folder) / name
        if not path.is_file():
            raise OSError(f"{path} is missing; copy the whole checkpoint folder again")
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise OSError(f"{path} is damaged ({error}); copy it again") from error


def _signal(row: Mapping[str, Any], name: str) -> np.ndarray:
    """A column of a row as numbers."""
    if name not in row:
        raise ValueError(f"a row names the placement {name!r} but has no column of it; it has {sorted(row)}")
    try:
        return np.asarray(row[name], dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} of a row must be (T, channels) numbers: {error}") from error


def _place_rows(placements) -> list:
    """One list of segment indices or a batch of them as a batch."""
    if not isinstance(placements, Iterable) or isinstance(placements, str):
        raise ValueError(f"imu_placements must be, for each recording, a list of segment indices, got {placements!r}")
    rows = list(placements)
    if not rows:
        raise ValueError("imu_placements is empty; give for each recording a list of segment indices")
    rows = [rows] if np.ndim(rows[0]) == 0 else rows
    for row in rows:
        indices = np.asarray(row, object)
        if indices.ndim != 1 or not all(
            isinstance(index, Integral) and not isinstance(index, bool) for index in indices.tolist()
        ):
            raise ValueError(f"imu_placements must hold lists of segment indices, whole numbers, got {row!r}")
    return rows


def _rows(values) -> list[np.ndarray]:
    """One row or a batch of rows as a list of arrays."""
    try:
        rows = [np.asarray(row) for row in (values if isinstance(values, list | tuple) else np.asarray(values))]
        return [np.asarray(values)] if rows and rows[0].ndim == 0 else rows
    except (TypeError, ValueError) as error:
        raise ValueError(f"imu_codes must be a row of whole numbers, or a list of such rows, got {values!r}") from error
