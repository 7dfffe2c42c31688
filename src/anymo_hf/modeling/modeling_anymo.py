"""The motion-language model: language model over words and motion codes, with contrastive heads (paper §3.3, A.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import CausalLMOutputWithPast, SequenceClassifierOutput
from transformers.utils import ModelOutput

from .configuration_anymo import AnyMoConfig
from .int8_anymo import AnyMoInt8Config  # noqa: F401  # makes from_pretrained read int8 checkpoints
from .modeling_pqvae import AnyMoPQVAEModel
from .saved_code import add_code
from .strict_loading import StrictLoadingMixin


@dataclass
class AnyMoOutput(ModelOutput):
    """Embeddings and their comparison.

    Args:
        loss (`torch.FloatTensor` of shape `()`): symmetric contrastive loss (Eq. 5), with `return_loss=True`.
        logits_per_imu (`torch.FloatTensor` of shape `(imu batch, text batch)`): cosine / temperature.
        logits_per_text (`torch.FloatTensor` of shape `(text batch, imu batch)`): its transpose.
        imu_embeds (`torch.FloatTensor` of shape `(imu batch, projection_dim)`): unit length.
        text_embeds (`torch.FloatTensor` of shape `(text batch, projection_dim)`): unit length.
    """

    loss: torch.Tensor | None = None
    logits_per_imu: torch.Tensor | None = None
    logits_per_text: torch.Tensor | None = None
    imu_embeds: torch.Tensor | None = None
    text_embeds: torch.Tensor | None = None


def info_nce_loss(imu: torch.Tensor, text: torch.Tensor, temperature: float) -> torch.Tensor:
    """Symmetric InfoNCE of paired unit vectors, both `(batch, dim)`; row n of one belongs to row n of the other
    (Eq. 5)."""
    if imu.shape != text.shape:
        raise ValueError(f"imu and text must be paired, got shapes {tuple(imu.shape)} and {tuple(text.shape)}")
    logits = imu.float() @ text.float().t() / temperature
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2


class WordAndCodeEmbedding(nn.Embedding):
    """Input embedding of words and motion codes.

    A word id is looked up in `weight`. A code id (`code_offset` <= id < `code_offset` + books x size) takes its frozen
    codebook vector through a two-layer projector instead, so similar codes start out as similar inputs; rows of
    `weight` at code ids are never read.
    """

    codebook: torch.Tensor

    def __init__(self, vocab_size: int, config: AnyMoConfig, padding_idx: int | None = None):
        hidden = config.text_config.hidden_size
        super().__init__(vocab_size, hidden, padding_idx)
        pqvae = config.pqvae_config
        self.code_offset = config.imu_token_offset
        self.register_buffer("codebook", torch.randn(pqvae.num_codebooks, pqvae.codebook_size, pqvae.code_dim))
        self.imu_projector = nn.Sequential(
            nn.Linear(pqvae.code_dim, config.projector_hidden), nn.GELU(), nn.Linear(config.projector_hidden, hidden)
        )

    @property
    def num_codes(self) -> int:
        """Codes over all books."""
        return self.codebook.shape[0] * self.codebook.shape[1]

    def project_codes(self, codes: torch.Tensor) -> torch.Tensor:
        """Code numbers (`code + size * book`) `(n,)` to vectors `(n, hidden)`."""
        vectors = self.codebook.flatten(0, 1)[codes]
        return self.imu_projector(vectors.to(self.imu_projector[0].weight.dtype))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Token ids `(batch, length)` to `(batch, length, hidden)`."""
        embeds = super().forward(input_ids)
        is_code = (input_ids >= self.code_offset) & (input_ids < self.code_offset + self.num_codes)
        projected = self.project_codes((input_ids - self.code_offset).clamp(0, self.num_codes - 1)[is_code])
        # masked_scatter keeps both gradients; words alone still touch the projector, so that DDP sees every weight
        return embeds.masked_scatter(is_code[..., None], projected.to(embeds.dtype))


class GatedFeedForward(nn.Module):
    """RMSNorm, then SwiGLU of twice the width."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.norm = nn.RMSNorm(dim, eps=eps)
        self.gate = nn.Linear(dim, 2 * dim)
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(..., dim)` to `(..., dim)`."""
        x = self.norm(x)
        return self.down(F.silu(self.gate(x)) * self.up(x))


class LatentAttentionPooler(nn.Module):
    """Token states look up trainable latents, then the chosen tokens are averaged (paper §3.3; NV-Embed)."""

    def __init__(self, dim: int, num_latents: int, heads: int, eps: float):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(num_latents, dim) * 0.02)
        self.token_norm = nn.RMSNorm(dim, eps=eps)
        self.latent_norm = nn.RMSNorm(dim, eps=eps)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ffn = GatedFeedForward(dim, eps)
        self.norm = nn.RMSNorm(dim, eps=eps)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`tokens` `(batch, length, dim)`, `mask` `(batch, length)` True where averaged, to `(batch, dim)`."""
        latents = self.latents.to(tokens.dtype).expand(len(tokens), -1, -1)
        attended, _ = self.attn(self.token_norm(tokens), self.latent_norm(latents), latents, need_weights=False)
        x = tokens + attended
        x = x + self.ffn(x)
        return self.norm(masked_mean(x, mask))


def masked_mean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of `x` `(batch, length, dim)` where `mask` `(batch, length)` is set, `(batch, dim)`."""
    weight = mask.to(x.dtype)[..., None]
    return (x * weight).sum(1) / weight.sum(1).clamp_min(1)


class AnyMoPreTrainedModel(StrictLoadingMixin, PreTrainedModel):
    """Weight initialisation, strict loading and the parts that every AnyMo model has."""

    config_class = AnyMoConfig
    config: AnyMoConfig
    base_model_prefix = ""
    main_input_name = "imu_input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _optional_parts = ("classifier.",)

    def save_pretrained(self, save_directory, **kwargs) -> None:
        """As `PreTrainedModel.save_pretrained`, with the code that loads it elsewhere."""
        super().save_pretrained(save_directory, **kwargs)
        add_code(save_directory, "config.json")

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, WordAndCodeEmbedding):
            init.normal_(module.codebook, mean=0.0, std=1.0)
        elif isinstance(module, LatentAttentionPooler):
            init.normal_(module.latents, mean=0.0, std=0.02)
        elif isinstance(module, AnyMoModel):
            init.normal_(module.text_soft_prompt, mean=0.0, std=0.02)
            init.constant_(module.imu_residual_scale, self.config.imu_residual_scale)


class AnyMoModel(AnyMoPreTrainedModel):
    """Embeds motion-code prompts and texts into one space (paper §3.3).

    The same parameters serve `AnyMoForConditionalGeneration`, so one checkpoint loads into both.
    """

    imu_residual_scale: torch.Tensor

    def __init__(self, config: AnyMoConfig):
        super().__init__(config)
        hidden = config.text_config.hidden_size
        codes = config.pqvae_config.num_codebooks * config.pqvae_config.codebook_size
        offset, vocab_size = config.imu_token_offset, config.text_config.vocab_size
        if offset is None or not 0 <= offset <= vocab_size - codes:
            raise ValueError(
                f"imu_token_offset {offset} leaves no room for {codes} codes in a vocabulary of {vocab_size}; set "
                "text_config.vocab_size and imu_token_offset from the tokenizer"
            )
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        padding = self.language_model.get_input_embeddings().padding_idx
        self.language_model.set_input_embeddings(WordAndCodeEmbedding(vocab_size, config, padding))
        self.imu_pooler = LatentAttentionPooler(hidden, config.pooler_latents, config.pooler_heads, config.norm_eps)
        self.text_pooler = LatentAttentionPooler(hidden, config.pooler_latents, config.pooler_heads, config.norm_eps)
        self.imu_embedding_head = nn.Linear(hidden, config.projection_dim, bias=False)
        self.text_embedding_head = nn.Linear(hidden, config.projection_dim, bias=False)
        self.text_soft_prompt = nn.Parameter(torch.randn(config.soft_prompt_length, hidden) * 0.02)
        self.imu_residual_norm = nn.RMSNorm(hidden, eps=config.norm_eps)
        self.imu_residual_head = nn.Linear(hidden, config.projection_dim, bias=False)
        self.register_buffer("imu_residual_scale", torch.tensor(float(config.imu_residual_scale)))
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The embedding of words and codes."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replaces the embedding of words and codes."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The head over words and codes."""
        return self.language_model.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replaces the head over words and codes."""
        self.language_model.set_output_embeddings(new_embeddings)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args, **kwargs) -> nn.Module:
        """As in `PreTrainedModel`: new words come after the motion codes, and no old id changes its meaning.

        Raises:
            ValueError: so few tokens that motion codes or the tokens around them would be cut off.
        """
        embedding, config = self.get_input_embeddings(), self.config
        last_code = embedding.code_offset + embedding.num_codes - 1
        least = max(last_code, config.imu_bos_token_id, config.imu_eos_token_id) + 1
        if new_num_tokens is not None and new_num_tokens < least:
            raise ValueError(
                f"new_num_tokens {new_num_tokens} would cut off motion tokens, whose ids go up to {least - 1}; give at "
                f"least {least}"
            )
        # transformers gives the whole new module the table's requires_grad, the projector included
        learns = [parameter.requires_grad for parameter in embedding.imu_projector.parameters()]
        resized = super().resize_token_embeddings(new_num_tokens, *args, **kwargs)
        for parameter, flag in zip(self.imu_projector.parameters(), learns, strict=True):
            parameter.requires_grad_(flag)
        return resized

    @property
    def codebook(self) -> torch.Tensor:
        """Frozen code vectors `(books, size, code_dim)`."""
        return self.get_input_embeddings().codebook

    @property
    def imu_projector(self) -> nn.Module:
        """Code vectors to the width of the language model."""
        return self.get_input_embeddings().imu_projector

    @torch.no_grad()
    def set_codebook(self, pqvae: AnyMoPQVAEModel) -> None:
        """Copies the code vectors of a trained motion tokenizer."""
        source = pqvae.quantizer.embedding
        if source.shape != self.codebook.shape:
            raise ValueError(
                f"the tokenizer's codebook is {tuple(source.shape)}, this model's pqvae_config asks for "
                f"{tuple(self.codebook.shape)}"
            )
        self.codebook.copy_(source)

    @torch.no_grad()
    def init_code_head(self) -> None:
        """Sets the head's code rows to the projected code vectors (paper A.4); call it after `set_codebook`."""
        embedding = self.get_input_embeddings()
        rows = embedding.project_codes(torch.arange(embedding.num_codes, device=self.codebook.device))
        head = self.get_output_embeddings()
        head.weight[embedding.code_offset : embedding.code_offset + embedding.num_codes] = rows.to(head.weight.dtype)

    @torch.no_grad()
    def load_text_weights(self, text_model: PreTrainedModel) -> None:
        """Starts from a trained causal LM of the same shape; its vocabulary may be shorter than this model's.

        Raises:
            ValueError: a tensor is missing or has another shape.
        """
        source, target = text_model.state_dict(), self.language_model.state_dict()
        own = ("codebook", "imu_projector.")
        for name, tensor in target.items():
            if name.rpartition("embed_tokens.")[2].startswith(own):
                continue
            value = source.get(name)
            if value is None or value.shape[1:] != tensor.shape[1:] or len(value) > len(tensor):
                shape = None if value is None else tuple(value.shape)
                raise ValueError(f"text model tensor {name!r} has shape {shape}, needed {tuple(tensor.shape)}")
            is_table = tensor.ndim == 2 and len(tensor) == self.config.text_config.vocab_size
            if len(value) < len(tensor) and not is_table:
                raise ValueError(f"text model tensor {name!r} has {len(value)} rows, needed {len(tensor)}")
            tensor[: len(value)] = value.to(tensor)

    def _encode(self, embeds: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Last hidden states; positions count real tokens only, so padding on either side changes nothing."""
        positions = (attention_mask.long().cumsum(-1) - 1).clamp_min(0)
        output = self.language_model.base_model(
            inputs_embeds=embeds, attention_mask=attention_mask, position_ids=positions, use_cache=False
        )
        return output.last_hidden_state

    def _imu_embedding(
        self,
        imu_input_ids: torch.Tensor,
        imu_attention_mask: torch.Tensor | None,
        imu_pooling_mask: torch.Tensor | None,
    ) -> torch.Tensor:
        embedding = self.get_input_embeddings()
        if imu_attention_mask is None:
            imu_attention_mask = torch.ones_like(imu_input_ids)
        if imu_pooling_mask is None:
            offset = embedding.code_offset
            imu_pooling_mask = (imu_input_ids >= offset) & (imu_input_ids < offset + embedding.num_codes)
            imu_pooling_mask = imu_pooling_mask & imu_attention_mask.bool()
        _require_tokens(imu_pooling_mask, "imu_pooling_mask")
        embeds = embedding(imu_input_ids)
        pooled = self.imu_pooler(self._encode(embeds, imu_attention_mask), imu_pooling_mask)
        residual = self.imu_residual_head(self.imu_residual_norm(masked_mean(embeds, imu_pooling_mask)))
        return self.imu_embedding_head(pooled) + self.imu_residual_scale.to(residual.dtype) * residual

    def get_imu_features(
        self,
        imu_input_ids: torch.Tensor,
        imu_attention_mask: torch.Tensor | None = None,
        imu_pooling_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Unit-length motion embeddings `(batch, projection_dim)`.

        Args:
            imu_input_ids (`torch.LongTensor` of shape `(batch, length)`): prompt with placements and motion codes.
            imu_attention_mask (`torch.LongTensor` of shape `(batch, length)`): 1 for real tokens.
            imu_pooling_mask (`torch.LongTensor` of shape `(batch, length)`): 1 for code tokens, which are pooled.
        """
        return F.normalize(self._imu_embedding(imu_input_ids, imu_attention_mask, imu_pooling_mask), dim=-1)

    def get_text_features(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        pooling_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Unit-length text embeddings `(batch, projection_dim)`; the soft prompt goes first and is not pooled.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): label or narration tokens.
            attention_mask (`torch.LongTensor` of shape `(batch, length)`): 1 for real tokens.
            pooling_mask (`torch.LongTensor` of shape `(batch, length)`): 1 for the content, which is pooled.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if pooling_mask is None:
            pooling_mask = attention_mask
        _require_tokens(pooling_mask, "pooling_mask")
        embeds = self.get_input_embeddings()(input_ids)
        prompt = self.text_soft_prompt.to(embeds.dtype).expand(len(embeds), -1, -1)
        length = prompt.shape[1]
        hidden = self._encode(torch.cat([prompt, embeds], 1), F.pad(attention_mask, (length, 0), value=1))
        pooled = self.text_pooler(hidden, F.pad(pooling_mask, (length, 0), value=0))
        return F.normalize(self.text_embedding_head(pooled), dim=-1)

    def forward(
        self,
        imu_input_ids: torch.Tensor | None = None,
        imu_attention_mask: torch.Tensor | None = None,
        imu_pooling_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pooling_mask: torch.Tensor | None = None,
        return_loss: bool = False,
        **kwargs,
    ) -> AnyMoOutput:
        """Embeds either side or both; see `get_imu_features` and `get_text_features` for the arguments.

        Args:
            return_loss: also the contrastive loss, row n of one side belonging to row n of the other.
        """
        imu = text = logits = loss = None
        if imu_input_ids is not None:
            imu = self.get_imu_features(imu_input_ids, imu_attention_mask, imu_pooling_mask)
        if input_ids is not None:
            text = self.get_text_features(input_ids, attention_mask, pooling_mask)
        if imu is None and text is None:
            raise ValueError("give imu_input_ids, input_ids or both; AnyMoProcessor makes them")
        if imu is not None and text is not None:
            logits = imu @ text.t() / self.config.contrastive_temperature
        if return_loss:
            if imu is None or text is None:
                raise ValueError("return_loss=True needs both imu_input_ids and input_ids")
            loss = info_nce_loss(imu, text, self.config.contrastive_temperature)
        return AnyMoOutput(
            loss=loss,
            logits_per_imu=logits,
            logits_per_text=None if logits is None else logits.t(),
            imu_embeds=imu,
            text_embeds=text,
        )


def _require_tokens(mask: torch.Tensor, name: str) -> None:
    empty = (mask.sum(-1) == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"{name} selects no token in row {empty[0]}; every row needs content to pool")


class AnyMoForConditionalGeneration(AnyMoModel, GenerationMixin):
    """Writes text (or motion codes) after a prompt of words and motion codes (paper §3.3, instruction branch)."""

    main_input_name = "input_ids"

    def forward(  # type: ignore[override]
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values=None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs,
    ) -> CausalLMOutputWithPast:
        """Next-token prediction.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): words and codes.
            attention_mask (`torch.LongTensor` of shape `(batch, length)`): 1 for real tokens.
            labels (`torch.LongTensor` of shape `(batch, length)`): as `input_ids`, -100 where no loss is wanted.
        """
        return self.language_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            labels=labels,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )


class AnyMoForSequenceClassification(AnyMoModel):
    """A linear classifier on the unit motion embedding, for a closed label set (`config.num_labels`).

    Scores are divided by `config.contrastive_temperature` as in zero-shot recognition, so that a classifier whose rows
    are embeddings of the labels' names (`init_classifier`) is zero-shot recognition, and training goes on from there.
    """

    def __init__(self, config: AnyMoConfig):
        super().__init__(config)
        self.classifier = nn.Linear(config.projection_dim, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def init_classifier(self, text_embeds: torch.Tensor) -> None:
        """Starts from zero-shot recognition.

        Args:
            text_embeds (`torch.FloatTensor` of shape `(num_labels, projection_dim)`): `get_text_features` of the labels'
                names, in the order of `config.id2label`.

        Raises:
            ValueError: of another shape.
        """
        if text_embeds.shape != self.classifier.weight.shape:
            raise ValueError(
                f"text_embeds must be {tuple(self.classifier.weight.shape)}, a row for each label, got "
                f"{tuple(text_embeds.shape)}"
            )
        self.classifier.weight.copy_(text_embeds)
        self.classifier.bias.zero_()
        self.untrained_parts = ()

    def classify(self, imu_embeds: torch.Tensor) -> torch.Tensor:
        """Class scores `(batch, num_labels)`, before softmax, of unit motion embeddings `(batch, projection_dim)`.

        Raises:
            ValueError: the checkpoint holds no classifier and nothing has trained one since.
        """
        if "classifier." in self.untrained_parts:
            raise ValueError(
                f"{self.name_or_path or 'this model'} holds no trained classifier, so its labels would be random; fine-tune "
                "it first, or use zero-shot-imu-classification with labels of your own"
            )
        weight = self.classifier.weight
        return self.classifier(imu_embeds.to(weight.device, weight.dtype)) / self.config.contrastive_temperature

    def forward(  # type: ignore[override]
        self,
        imu_input_ids: torch.Tensor,
        imu_attention_mask: torch.Tensor | None = None,
        imu_pooling_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs,
    ) -> SequenceClassifierOutput:
        """Class scores `(batch, num_labels)`; with `labels` `(batch,)` also the cross-entropy."""
        embedding = self.get_imu_features(imu_input_ids, imu_attention_mask, imu_pooling_mask)
        logits = self.classifier(embedding) / self.config.contrastive_temperature
        loss = None if labels is None else F.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)
