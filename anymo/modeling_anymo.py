"""The motion-language model: language model over words and motion codes, with contrastive heads (paper §3.3, A.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling, CausalLMOutputWithPast, SequenceClassifierOutput
from transformers.utils import ModelOutput, TransformersKwargs, can_return_tuple, logging

from .attention import Attention
from .configuration_anymo import AnyMoConfig, check_classifier_input
from .int8_anymo import AnyMoInt8Config  # noqa: F401  # makes from_pretrained read int8 checkpoints
from .modeling_imu_tokenizer import IMU_TOKENIZER_FOLDER, AnyMoIMUTokenizerModel
from .modeling_pqvae import AnyMoPQVAEModel
from .strict_loading import StrictLoadingMixin
from .word_and_code_embedding import WordAndCodeEmbedding, embed_tokens, own_embedding

logger = logging.get_logger(__name__)


@dataclass
class AnyMoOutput(ModelOutput):
    """Embeddings and their comparison.

    Args:
        loss (`torch.FloatTensor` of shape `()`): symmetric contrastive loss (Eq. 5), with `return_loss=True`.
        logits_per_imu (`torch.FloatTensor` of shape `(imu batch, text batch)`): cosine / temperature.
        logits_per_text (`torch.FloatTensor` of shape `(text batch, imu batch)`): its transpose.
        imu_embeds (`torch.FloatTensor` of shape `(imu batch, projection_dim)`): unit length.
        text_embeds (`torch.FloatTensor` of shape `(text batch, projection_dim)`): unit length.
        hidden_states, attentions: of the language model over the motion prompts, or over the texts where there are no
            prompts; with `output_hidden_states` and `output_attentions`.
    """

    loss: torch.Tensor | None = None
    logits_per_imu: torch.Tensor | None = None
    logits_per_text: torch.Tensor | None = None
    imu_embeds: torch.Tensor | None = None
    text_embeds: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


def info_nce_loss(imu: torch.Tensor, text: torch.Tensor, temperature: float) -> torch.Tensor:
    """Symmetric InfoNCE of matched rows (paper, Eq. 5); unit vectors `(batch, dim)`."""
    return matched_contrastive_loss(
        imu, text, torch.eye(len(imu), dtype=torch.bool, device=imu.device), None, temperature
    )


def matched_contrastive_loss(
    imu: torch.Tensor, text: torch.Tensor, positives: torch.Tensor, ignored: torch.Tensor | None, temperature: float
) -> torch.Tensor:
    """-log(sum over positives / sum over all) of exp(cosine / temperature), mean of both directions.

    With the identity for `positives` this is InfoNCE (Eq. 5); with equal labels it is the label loss of §3.3.

    Args:
        imu, text: `(batch, dim)` unit vectors.
        positives: `(batch, batch)` bool, text n belongs to window m; true on the diagonal.
        ignored: `(batch, batch)` bool, pairs left out of both sums; None for none.
        temperature: divides the cosines.
    """
    logits = imu.float() @ text.float().t() / temperature
    if ignored is not None:
        logits = logits.masked_fill(ignored, float("-inf"))
    wanted = logits.masked_fill(~positives, float("-inf"))
    rows = logits.logsumexp(1) - wanted.logsumexp(1)
    columns = logits.logsumexp(0) - wanted.logsumexp(0)
    return (rows.mean() + columns.mean()) / 2


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
        self.attn = Attention(dim, heads)
        self.ffn = GatedFeedForward(dim, eps)
        self.norm = nn.RMSNorm(dim, eps=eps)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`tokens` `(batch, length, dim)`, `mask` `(batch, length)` True where averaged, to `(batch, dim)`."""
        latents = self.latents.to(tokens.dtype).expand(len(tokens), -1, -1)
        attended = self.attn(self.token_norm(tokens), self.latent_norm(latents), latents)
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
    _optional_parts = ("classifier.", "imu_tokenizer.")
    accepts_loss_kwargs = False

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, WordAndCodeEmbedding):
            init.normal_(module.codebook, mean=0.0, std=1.0)
        elif isinstance(module, Attention):
            init.xavier_uniform_(module.in_proj_weight)
            init.zeros_(module.in_proj_bias)
            init.zeros_(module.out_proj.bias)
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
        embedding, config = own_embedding(self.get_input_embeddings()), self.config
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
        return own_embedding(self.get_input_embeddings()).codebook

    @property
    def imu_projector(self) -> nn.Module:
        """Code vectors to the width of the language model."""
        return own_embedding(self.get_input_embeddings()).imu_projector

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
        embedding = own_embedding(self.get_input_embeddings())
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

    def _encode(self, embeds: torch.Tensor, attention_mask: torch.Tensor, **flags) -> BaseModelOutputWithPooling:
        """The decoder's layers; positions count real tokens only, so padding on either side changes nothing."""
        positions = (attention_mask.long().cumsum(-1) - 1).clamp_min(0)
        # a flag that is not given is the config's, which this model and its language model have each
        given = {name: getattr(self.config, name) if value is None else value for name, value in flags.items()}
        if given.get("output_attentions") and self.config.text_config._attn_implementation != "eager":
            logger.warning_once(
                "only attn_implementation='eager' tells its attentions, others give None; call "
                "model.set_attn_implementation('eager')"
            )
        output = self.language_model.base_model(
            inputs_embeds=embeds, attention_mask=attention_mask, position_ids=positions, use_cache=False,
            return_dict=True, **given,
        )  # fmt: skip
        return BaseModelOutputWithPooling(
            last_hidden_state=output.last_hidden_state,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

    def _imu_features(
        self,
        imu_input_ids: torch.Tensor,
        imu_attention_mask: torch.Tensor | None,
        imu_pooling_mask: torch.Tensor | None,
        code_embeds: torch.Tensor | None = None,
        **flags,
    ) -> BaseModelOutputWithPooling:
        """`get_imu_features`; `code_embeds` `(codes, hidden)`, row after row, stand in for those of the code tokens."""
        embedding = own_embedding(self.get_input_embeddings())
        if imu_attention_mask is None:
            imu_attention_mask = torch.ones_like(imu_input_ids)
        if imu_pooling_mask is None:
            imu_pooling_mask = embedding.is_code(imu_input_ids) & imu_attention_mask.bool()
        _require_tokens(imu_pooling_mask, "imu_pooling_mask")
        embeds = embed_tokens(self.get_input_embeddings(), imu_input_ids)
        if code_embeds is not None:
            embeds = embeds.masked_scatter(imu_pooling_mask.bool()[..., None], code_embeds.to(embeds.dtype))
        output = self._encode(embeds, imu_attention_mask, **flags)
        pooled = self.imu_pooler(output.last_hidden_state, imu_pooling_mask)
        residual = self.imu_residual_head(self.imu_residual_norm(masked_mean(embeds, imu_pooling_mask)))
        features = self.imu_embedding_head(pooled) + self.imu_residual_scale.to(residual.dtype) * residual
        output.pooler_output = F.normalize(features, dim=-1)
        return output

    @can_return_tuple
    def get_imu_features(
        self,
        imu_input_ids: torch.Tensor,
        imu_attention_mask: torch.Tensor | None = None,
        imu_pooling_mask: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """Unit-length motion embeddings `(batch, projection_dim)`, as `pooler_output` beside the token states.

        Args:
            imu_input_ids (`torch.LongTensor` of shape `(batch, length)`): prompt with placements and motion codes.
            imu_attention_mask (`torch.LongTensor` of shape `(batch, length)`): 1 for real tokens.
            imu_pooling_mask (`torch.LongTensor` of shape `(batch, length)`): 1 for code tokens, which are pooled.
            output_attentions, output_hidden_states: also those of the language model's layers.

        Raises:
            ValueError: a row without a token to pool.
        """
        return self._imu_features(
            imu_input_ids, imu_attention_mask, imu_pooling_mask,
            output_attentions=output_attentions, output_hidden_states=output_hidden_states,
        )  # fmt: skip

    @can_return_tuple
    def get_text_features(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        pooling_mask: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """Unit-length text embeddings `(batch, projection_dim)`, as `pooler_output` beside the token states.

        The soft prompt goes first, is not pooled, and is left out of the states (not of the attentions).

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): label or narration tokens.
            attention_mask (`torch.LongTensor` of shape `(batch, length)`): 1 for real tokens.
            pooling_mask (`torch.LongTensor` of shape `(batch, length)`): 1 for the content, which is pooled.
            output_attentions, output_hidden_states: also those of the language model's layers.

        Raises:
            ValueError: a row without a token to pool.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if pooling_mask is None:
            pooling_mask = attention_mask
        _require_tokens(pooling_mask, "pooling_mask")
        embeds = embed_tokens(self.get_input_embeddings(), input_ids)
        prompt = self.text_soft_prompt.to(embeds.dtype).expand(len(embeds), -1, -1)
        length = prompt.shape[1]
        output = self._encode(
            torch.cat([prompt, embeds], 1), F.pad(attention_mask, (length, 0), value=1),
            output_attentions=output_attentions, output_hidden_states=output_hidden_states,
        )  # fmt: skip
        assert output.last_hidden_state is not None
        output.last_hidden_state = output.last_hidden_state[:, length:]
        if output.hidden_states is not None:
            output.hidden_states = tuple(
                layer if layer is None else layer[:, length:] for layer in output.hidden_states
            )
        pooled = self.text_pooler(output.last_hidden_state, pooling_mask)
        output.pooler_output = F.normalize(self.text_embedding_head(pooled), dim=-1)
        return output

    @can_return_tuple
    def forward(
        self,
        imu_input_ids: torch.Tensor | None = None,
        imu_attention_mask: torch.Tensor | None = None,
        imu_pooling_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pooling_mask: torch.Tensor | None = None,
        return_loss: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> AnyMoOutput:
        """Embeds either side or both; see `get_imu_features` and `get_text_features` for the arguments.

        Args:
            return_loss: also the contrastive loss, row n of one side belonging to row n of the other.

        Raises:
            TypeError: an argument it does not know.
        """
        _refuse_unknown(self, kwargs)
        flags = {
            "output_attentions": output_attentions,
            "output_hidden_states": output_hidden_states,
            "return_dict": True,
        }
        imu = text = logits = loss = states = None
        if input_ids is not None:
            states = self.get_text_features(input_ids, attention_mask, pooling_mask, **flags)
            text = states.pooler_output
        if imu_input_ids is not None:
            states = self.get_imu_features(imu_input_ids, imu_attention_mask, imu_pooling_mask, **flags)
            imu = states.pooler_output
        if states is None:
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
            hidden_states=states.hidden_states,
            attentions=states.attentions,
        )


def _refuse_unknown(model: nn.Module, kwargs: dict) -> None:
    """TypeError for an argument; one that is None passes, since PEFT hands its whole list on."""
    if unknown := sorted(name for name, value in kwargs.items() if value is not None):
        raise TypeError(f"{type(model).__name__}.forward() got unexpected keyword arguments {unknown}")


def _require_tokens(mask: torch.Tensor, name: str) -> None:
    empty = (mask.sum(-1) == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"{name} selects no token in row {empty[0]}; every row needs content to pool")


class AnyMoForConditionalGeneration(AnyMoModel, GenerationMixin):
    """Writes text (or motion codes) after a prompt of words and motion codes (paper §3.3, instruction branch)."""

    main_input_name = "input_ids"
    accepts_loss_kwargs = True

    def __init__(self, config: AnyMoConfig):
        super().__init__(config)
        # answers are sentences of a few words; transformers would stop after 20 tokens
        self.generation_config.max_new_tokens = MAX_NEW_TOKENS
        self.generation_config._from_model_config = False

    @property
    def base_model(self) -> nn.Module:
        """The language model, which writes."""
        return self.language_model

    @can_return_tuple
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
            kwargs: those of `TransformersKwargs`, such as `output_hidden_states`.

        Raises:
            TypeError: an argument it does not know.
        """
        _refuse_unknown(self, {name: value for name, value in kwargs.items() if name not in _LANGUAGE_ARGUMENTS})
        if input_ids is not None and inputs_embeds is None:
            input_ids, inputs_embeds = None, embed_tokens(self.get_input_embeddings(), input_ids)
        return self.language_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            labels=labels,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            return_dict=True,
            **kwargs,
        )


MAX_NEW_TOKENS = 64  # the paper's caption protocol
# what language models of transformers and their losses understand
_LANGUAGE_ARGUMENTS = {*TransformersKwargs.__annotations__, "cache_position", "shift_labels", "ignore_index"}


class AnyMoForSequenceClassification(AnyMoModel):
    """A linear classifier for a closed label set (`config.num_labels`).

    With `config.classifier_input` "codes" it reads the unit motion embedding of a prompt; with "imu" it reads raw windows,
    whose gradients reach the encoder, and sees the encoder's latents (mean and standard deviation over time) as well.

    Scores are divided by `config.contrastive_temperature` as in zero-shot recognition, so that a classifier whose rows
    are embeddings of the labels' names (`init_classifier`) is zero-shot recognition, and training goes on from there.
    A regression (`config.problem_type`) is not divided. Whatever `dtype` it is loaded with, its encoder keeps float32, on
    which its codes depend.
    """

    _keep_in_fp32_modules_strict = ("imu_tokenizer",)
    _encoder_beside = False

    def __init__(self, config: AnyMoConfig):
        super().__init__(config)
        check_classifier_input(config.classifier_input)  # `from_pretrained` sets it behind the configuration's check
        width = config.projection_dim
        if config.classifier_input == "imu":
            self.imu_tokenizer = AnyMoIMUTokenizerModel(config.imu_tokenizer_config())
            width += 2 * config.stgcn_config.latent_dim
        self.classifier = nn.Linear(width, config.num_labels)
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, output_loading_info: bool = False, **kwargs):
        """As `PreTrainedModel.from_pretrained`.

        A model that reads raw windows, of a checkpoint that does not, takes its encoder from the `imu_tokenizer/` beside.

        Raises:
            OSError: such a checkpoint has no `imu_tokenizer/`.
            ValueError: tensors are missing or unexpected.
        """
        given = getattr(kwargs.get("config"), "classifier_input", "codes")  # where `AutoModel...` has put it
        check_classifier_input(kwargs.get("classifier_input", given))  # before the checkpoint is blamed for it
        model, info = super().from_pretrained(pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs)
        if not output_loading_info:
            cls.refuse_misfits(model, info, pretrained_model_name_or_path)
        if model._encoder_beside:
            where = {
                name: kwargs[name] for name in ("cache_dir", "revision", "token", "local_files_only") if name in kwargs
            }
            source = AnyMoIMUTokenizerModel.from_pretrained(
                pretrained_model_name_or_path, subfolder=IMU_TOKENIZER_FOLDER, **where
            )
            model.imu_tokenizer.float().load_state_dict(source.state_dict())
        return (model, info) if output_loading_info else model

    def _adjust_missing_and_unexpected_keys(self, loading_info) -> None:
        """As `PreTrainedModel`; an encoder that is read from `imu_tokenizer/` a moment later is not reported as missing."""
        super()._adjust_missing_and_unexpected_keys(loading_info)
        lacking = {name for name in loading_info.missing_keys if name.startswith("imu_tokenizer.")}
        if lacking == {name for name in self.state_dict() if name.startswith("imu_tokenizer.")}:
            self._encoder_beside = bool(lacking)
            loading_info.missing_keys -= lacking

    def train(self, mode: bool = True) -> AnyMoForSequenceClassification:
        """As `nn.Module.train`; the encoder keeps the statistics of its batch norms, which few windows would spoil."""
        super().train(mode)
        if self.config.classifier_input == "imu":
            self.imu_tokenizer.eval()
        return self

    @torch.no_grad()
    def init_classifier(self, text_embeds: torch.Tensor) -> None:
        """Starts from zero-shot recognition.

        Args:
            text_embeds (`torch.FloatTensor` of shape `(num_labels, projection_dim)`): `get_text_features` of the labels'
                names, in the order of `config.id2label`; its output is taken, too.

        Raises:
            ValueError: of another shape.
        """
        text_embeds = getattr(text_embeds, "pooler_output", text_embeds)
        width, expected = self.config.projection_dim, (self.config.num_labels, self.config.projection_dim)
        if tuple(text_embeds.shape) != expected:
            raise ValueError(f"text_embeds must be {expected}, a row for each label, got {tuple(text_embeds.shape)}")
        self.classifier.weight.zero_()
        self.classifier.weight[:, :width] = text_embeds
        self.classifier.bias.zero_()
        self.untrained_parts = ()

    def classify(self, imu_embeds: torch.Tensor) -> torch.Tensor:
        """Class scores `(batch, num_labels)`, before softmax, of unit motion embeddings `(batch, projection_dim)`.

        Raises:
            ValueError: the checkpoint holds no classifier and nothing has trained one since, or it reads raw windows.
        """
        self.require_trained()
        if self.config.classifier_input == "imu":
            raise ValueError("this classifier reads raw windows, not embeddings; call the model with imu=")
        weight = self.classifier.weight
        return self._scores(imu_embeds.to(weight.device, weight.dtype))

    def require_trained(self) -> None:
        """ValueError where the checkpoint holds no classifier and nothing has trained one since."""
        if "classifier." in self.untrained_parts:
            raise ValueError(
                f"{self.name_or_path or 'this model'} holds no trained classifier, so its labels would be random; fine-tune "
                "it first, or use zero-shot-imu-classification with labels of your own"
            )

    @property
    def problem_type(self) -> str:
        """`config.problem_type`, or what transformers takes it for: "regression" with one label, else one class of many."""
        usual = "regression" if self.config.num_labels == 1 else "single_label_classification"
        return self.config.problem_type or usual

    def _scores(self, features: torch.Tensor) -> torch.Tensor:
        logits = self.classifier(features)
        return logits if self.problem_type == "regression" else logits / self.config.contrastive_temperature

    def _read_windows(self, imu, node_mask, frame_mask, imu_input_ids, imu_attention_mask, imu_pooling_mask, **flags):
        """Features of raw windows `(batch, width of the classifier)`, and the language model's states."""
        imu = imu.to(next(self.imu_tokenizer.parameters()).dtype)
        tokens = self.imu_tokenizer(imu, node_mask, frame_mask, return_dict=True)
        books = self.config.pqvae_config.num_codebooks
        real = tokens.attention_mask.repeat_interleave(books, 1)
        if imu_input_ids is None:
            imu_input_ids, imu_attention_mask, imu_pooling_mask = self._bare_prompt(tokens.codes, real)
        if imu_pooling_mask is None:
            imu_pooling_mask = own_embedding(self.get_input_embeddings()).is_code(imu_input_ids)
        held = imu_pooling_mask.sum(1)
        if not torch.equal(held.to(real.device), real.sum(1)):
            raise ValueError(
                f"the prompts hold {held.tolist()} codes, the windows make {real.sum(1).tolist()}; take both from one "
                "call of the processor with return_windows=True"
            )
        vectors = tokens.quantized.unflatten(-1, (books, -1)).flatten(1, 2)[real]
        code_embeds = self.imu_projector(vectors.to(next(self.imu_projector.parameters()).dtype))
        output = self._imu_features(imu_input_ids, imu_attention_mask, imu_pooling_mask, code_embeds, **flags)
        steps = tokens.attention_mask
        mean = masked_mean(tokens.last_hidden_state, steps)
        variance = masked_mean((tokens.last_hidden_state - mean[:, None]).square(), steps)
        latents = F.normalize(torch.cat([mean, (variance + 1e-6).sqrt()], -1), dim=-1)
        return torch.cat([output.pooler_output, latents.to(output.pooler_output.dtype)], -1), output

    def _bare_prompt(self, codes: torch.Tensor, real: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """`<imu_bos>` codes `<imu_eos>` of windows without a prompt: ids, attention mask, pooling mask."""
        config, books = self.config, codes.shape[-1]
        shift = config.imu_token_offset + torch.arange(books, device=codes.device) * config.pqvae_config.codebook_size
        count = real.sum(1, keepdim=True)
        place = torch.arange(real.shape[1] + 2, device=codes.device)[None]
        pooled = (place > 0) & (place <= count)
        ids = F.pad((codes + shift).flatten(1), (1, 1)).masked_fill(~pooled, config.imu_eos_token_id)
        ids[:, 0] = config.imu_bos_token_id
        return ids, (place <= count + 1).long(), pooled.long()

    @can_return_tuple
    def forward(  # type: ignore[override]
        self,
        imu_input_ids: torch.Tensor | None = None,
        imu_attention_mask: torch.Tensor | None = None,
        imu_pooling_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        imu: torch.Tensor | None = None,
        node_mask: torch.Tensor | None = None,
        frame_mask: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> SequenceClassifierOutput:
        """Class scores `(batch, num_labels)`; with `labels` also the loss of `config.problem_type`.

        Args:
            imu_input_ids, imu_attention_mask, imu_pooling_mask: as in `get_imu_features`. Where the classifier reads raw
                windows they give the words around the codes, and may be missing.
            imu, node_mask, frame_mask: raw windows as in `AnyMoSTGCNModel`, only with `config.classifier_input` "imu".
            labels: `(batch,)` of classes, `(batch, num_labels)` float of several labels at once, or float numbers.

        Raises:
            TypeError: an argument it does not know.
            ValueError: windows for a classifier of codes or the other way round.
        """
        _refuse_unknown(self, kwargs)
        flags = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        prompts = imu_input_ids, imu_attention_mask, imu_pooling_mask
        if self.config.classifier_input == "imu":
            if imu is None:
                raise ValueError(
                    "this classifier reads raw windows: give imu=, as processor(..., return_windows=True) does"
                )
            features, output = self._read_windows(imu, node_mask, frame_mask, *prompts, **flags)
        elif imu is not None or imu_input_ids is None:
            raise ValueError(
                "this classifier reads prompts: give imu_input_ids=, as the processor does; for raw windows load it with "
                "classifier_input='imu'"
            )
        else:
            output = self._imu_features(*prompts, **flags)
            features = output.pooler_output
        logits = self._scores(features)
        loss = None if labels is None else self.loss_function(labels, logits.float(), self.config)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=output.hidden_states, attentions=output.attentions
        )
