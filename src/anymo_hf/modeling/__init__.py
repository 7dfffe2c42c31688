"""Models and what travels with a checkpoint; files here import only their siblings."""


def register() -> None:
    """Makes the Auto classes and `pipeline` of transformers know AnyMo; calling it again changes nothing."""
    from transformers import (
        AutoConfig,
        AutoFeatureExtractor,
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForPreTraining,
        AutoModelForSequenceClassification,
        AutoProcessor,
        AutoTokenizer,
    )
    from transformers.pipelines import PIPELINE_REGISTRY

    from .configuration_anymo import AnyMoConfig, AnyMoIMUTokenizerConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
    from .feature_extraction_anymo import AnyMoFeatureExtractor
    from .modeling_anymo import AnyMoForConditionalGeneration, AnyMoForSequenceClassification, AnyMoModel
    from .modeling_imu_tokenizer import AnyMoIMUTokenizerModel
    from .modeling_pqvae import AnyMoPQVAEModel
    from .modeling_stgcn import AnyMoSTGCNForPreTraining, AnyMoSTGCNModel
    from .pipeline_anymo import (
        ImuClassificationPipeline,
        ImuTextRetrievalPipeline,
        ImuToTextPipeline,
        ZeroShotImuClassificationPipeline,
    )
    from .processing_anymo import AnyMoProcessor
    from .tokenization_anymo import AnyMoTokenizer

    for config in (AnyMoConfig, AnyMoIMUTokenizerConfig, AnyMoSTGCNConfig, AnyMoPQVAEConfig):
        AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoModel.register(AnyMoSTGCNConfig, AnyMoSTGCNModel, exist_ok=True)
    AutoModel.register(AnyMoPQVAEConfig, AnyMoPQVAEModel, exist_ok=True)
    AutoModel.register(AnyMoIMUTokenizerConfig, AnyMoIMUTokenizerModel, exist_ok=True)
    AutoModel.register(AnyMoConfig, AnyMoModel, exist_ok=True)
    AutoModelForPreTraining.register(AnyMoSTGCNConfig, AnyMoSTGCNForPreTraining, exist_ok=True)
    AutoModelForCausalLM.register(AnyMoConfig, AnyMoForConditionalGeneration, exist_ok=True)
    AutoModelForSequenceClassification.register(AnyMoConfig, AnyMoForSequenceClassification, exist_ok=True)
    AutoFeatureExtractor.register(AnyMoConfig, AnyMoFeatureExtractor, exist_ok=True)
    AutoTokenizer.register(AnyMoConfig, AnyMoTokenizer, exist_ok=True)
    AutoProcessor.register(AnyMoConfig, AnyMoProcessor, exist_ok=True)
    for pipeline_class, model, task in (
        (ZeroShotImuClassificationPipeline, AutoModel, "zero-shot-imu-classification"),
        (ImuClassificationPipeline, AutoModelForSequenceClassification, "imu-classification"),
        (ImuToTextPipeline, AutoModelForCausalLM, "imu-to-text"),
        (ImuTextRetrievalPipeline, AutoModel, "imu-text-retrieval"),
    ):
        if PIPELINE_REGISTRY.supported_tasks.get(task, {}).get("impl") is not pipeline_class:
            PIPELINE_REGISTRY.register_pipeline(task, pipeline_class=pipeline_class, pt_model=model, type="multimodal")
