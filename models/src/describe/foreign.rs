//! Unsupported architectures, recognised from array names or a configuration, so that a message can name what a file holds
//! instead of asking for a name that does not exist.

use crate::architectures::ALL;
use crate::state::State;

/// The supported models, as the end of a sentence.
pub(super) fn supported() -> String {
    let all = ALL.iter().map(|architecture| architecture.supported).filter(|words| !words.is_empty());
    format!("supported are {}", listed(&all.collect::<Vec<_>>()))
}

/// `a, b and c`.
pub(super) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// Parts of the array names of an architecture, all of which must occur. The first matching row applies.
const ARRAYS: &[(&[&str], &str)] = &[
    (&["lora_A"], "a LoRA adapter, which is only what changes in a model"),
    (&["lora_down"], "a LoRA adapter, which is only what changes in a model"),
    (&["cpb_mlp"], "a Swin Transformer V2"),
    (&["continuous_position_bias_mlp"], "a Swin Transformer V2"),
    (&["layers.0.blocks.0.attn.logit_scale"], "a Swin Transformer V2"),
    (&["features.1.0.attn.logit_scale"], "a Swin Transformer V2"),
    (&["rope_embed.periods"], "a DINOv3"),
    (&["storage_tokens"], "a DINOv3"),
    (&["reg_token", "blocks.0.gamma_1", "patch_embed.proj"], "a DINOv3"),
    (&["embeddings.register_tokens", "layer.0.attention.q_proj"], "a DINOv3"),
    (&["blocks_token_only"], "a CaiT"),
    (&["cls_attn_blocks", "pos_embed"], "a XCiT"),
    (&["cls_attn_blocks"], "a XCiT"),
    (&["attn_pool.", "blocks.0.attn.qkv"], "a Vision Transformer with attention pooling (SigLIP)"),
    (&["head.probe"], "a SigLIP"),
    (&["trunk.attn_pool"], "a SigLIP"),
    (&["attnpool.q_proj"], "a CLIP with a residual network as its image tower"),
    (&["mlp_tokens"], "a MLP-Mixer"),
    (&["linear_tokens"], "a ResMLP"),
    (&["attn_block.", "attn_grid."], "a MaxViT"),
    (&["relative_position_bias_table", "attn_layer.", "grid"], "a MaxViT"),
    (&["attn_block."], "a MaxViT"),
    (&["rel_pos.relative_position_bias_table", "stem."], "a CoAtNet"),
    (&["patch_embed1.proj"], "a Pyramid Vision Transformer (PVT)"),
    (&["patch_embed.proj", "stages.0.blocks.0.attn.q."], "a Pyramid Vision Transformer (PVT)"),
    (&["patch_embed.proj", "attn.rel_pos_h", "stages."], "a MViT V2"),
    (&["attn.rel_pos_h", "neck."], "a Segment Anything model (SAM)"),
    (&["attn.rel_pos.mlp"], "a Vision Transformer with relative positions by an MLP"),
    (&["attn.rel_pos.relative_position_bias_table"], "a Vision Transformer with relative position biases"),
    (&["blocks.0.mlp.fc1_g"], "an EVA-02"),
    (&["blocks.0.mlp.w1.", "blocks.0.attn.q_proj"], "an EVA-02"),
    (&["blocks.0.attn.q_bias", "pos_embed", "patch_embed.proj", "cls_token"], "an EVA"),
    (&["attn.q_norm", "patch_embed.proj"], "a Vision Transformer that normalises queries and keys"),
    (&["patch_embeds.0.proj"], "a Twins or CrossViT"),
    (&["temporal_"], "a model of videos"),
    (&["time_embed", "patch_embed.proj"], "a model of videos"),
    (&["to_patch_embedding"], "a Vision Transformer of the library vit-pytorch"),
    (&["embeds.proj", "embeds.pos_embed"], "a NaFlexViT"),
    (&["tokens_to_token"], "a T2T-ViT"),
    (&["dwconv.", "pwconv1.", "grn."], "a ConvNeXt V2"),
    (&["conv_dw.", "mlp.grn."], "a ConvNeXt V2"),
    (&["dwconv.", "pwconv1."], "a ConvNeXt"),
    (&["stages.0.blocks.0.conv_dw", "mlp.fc1", "stem.0"], "a ConvNeXt or one of its descendants"),
    (&["dwconv.", "layer_scale_parameter"], "a ConvNeXt"),
    (&["features.1.0.layer_scale", "features.1.0.block.0"], "a ConvNeXt"),
    (&["_conv_stem", "_blocks.0."], "an EfficientNet"),
    (&["conv_stem", "conv_pwl", "blocks.0.0.se"], "an EfficientNet or MobileNet V3"),
    (&["conv_stem", "conv_pwl"], "an EfficientNet or MobileNet"),
    (&["conv_stem"], "an EfficientNet or MobileNet"),
    (&["features.1.block.0.0", "features.2.0.block"], "an EfficientNet"),
    (&["features.1.0.block.0.0"], "an EfficientNet"),
    (&["features.1.conv.0.0"], "a MobileNet V2"),
    (&["features.1.block.0.0"], "a MobileNet V3"),
    (&["denseblock1"], "a DenseNet"),
    (&["denselayer1"], "a DenseNet"),
    (&["Conv2d_1a_3x3"], "an Inception network"),
    (&["conv2d_1a"], "an Inception network"),
    (&["inception3a"], "a GoogLeNet"),
    (&["s1.b1.conv1"], "a RegNet"),
    (&["trunk_output.block1"], "a RegNet"),
    (&["fire2."], "a SqueezeNet"),
    (&["squeeze_activation"], "a SqueezeNet"),
    (&["features.3.squeeze"], "a SqueezeNet"),
    (&["stage2.0.branch1", "conv5."], "a ShuffleNet V2"),
    (&["layer1.0.se.conv"], "an ECA-ResNet"),
    (&["layer1.0.se"], "a ResNet with squeeze and excitation (SE-ResNet)"),
    (&["layer1.0.ca.", "layer1.0.sa."], "a ResNet with attention blocks (CBAM)"),
    (&["layer1.0.conv1.paths"], "a SKNet"),
    (&["layer1.0.convs."], "a Res2Net"),
    (&["layer1.0.conv2.conv.weight", "layer1.0.conv2.fc1"], "a ResNeSt"),
    (&["layer1.0.conv1.weight", "conv1.0.weight"], "a ResNet with a stem of several convolutions (ResNet-D)"),
    (&["layer0.conv1", "layer1.0.conv1", "se_module"], "a ResNet with squeeze and excitation (SE-ResNet)"),
    (&["block1.layer.0.conv1"], "a Wide ResNet with pre-activation (WRN)"),
    (&["stages.0.blocks.0.norm1", "stages.0.blocks.0.conv1", "stem.conv"], "a ResNet V2 (pre-activation)"),
    (&["root.unit", "block1.unit01"], "a BiT ResNet V2"),
    (&["network.0.0.", "patch_embed.conv"], "a VOLO"),
    (&["transformer.resblocks", "token_embedding"], "a text tower alone"),
    (&["embeddings.word_embeddings"], "a language model"),
    (&["model.embed_tokens"], "a language model"),
    (&["lm_head"], "a language model"),
    (&["wte.weight"], "a language model"),
    (&["rpn.head"], "a detector"),
    (&["bbox_embed"], "a detector (DETR)"),
    (&["model.22.cv2"], "a YOLO detector"),
    (&["model.24.anchors"], "a YOLO detector"),
    (&["model.0.conv.weight", "model.1.conv.weight"], "a YOLO detector"),
    (&["decode_head."], "a segmentation model"),
    (&["segmentation_head"], "a segmentation model"),
    (&["down_blocks.0.resnets"], "a diffusion U-Net"),
];

/// VGG and AlexNet have no characteristic names, only numbers and shapes.
fn plain_convolutions(state: &State) -> Option<&'static str> {
    let shape = |name: &str| state.get(name).map(|array| array.shape.as_slice());
    match (shape("features.0.weight")?, shape("classifier.6.weight").or(shape("classifier.1.weight"))) {
        ([64, 3, 3, 3], _) => Some("a VGG"),
        ([64, 3, 11, 11], _) => Some("an AlexNet"),
        ([32, 3, 3, 3], Some(_)) => Some("a MobileNet"),
        _ => None,
    }
}

/// The unsupported architecture of these arrays, if any.
pub(super) fn by_arrays(state: &State) -> Option<&'static str> {
    let has = |part: &&str| state.keys().any(|name| name.contains(*part));
    let row = ARRAYS.iter().find(|(parts, _)| parts.iter().all(has));
    row.map(|(_, what)| *what).or_else(|| plain_convolutions(state))
}

/// Prefixes of architecture names in configurations of timm and `transformers`.
const NAMES: &[(&str, &str)] = &[
    ("swinv2", "a Swin Transformer V2"),
    ("swin_v2", "a Swin Transformer V2"),
    ("swin2sr", "a Swin Transformer V2"),
    ("swin_s3", "a Swin-S3"),
    ("convnextv2", "a ConvNeXt V2"),
    ("convnext", "a ConvNeXt"),
    ("efficientnetv2", "an EfficientNet V2"),
    ("tf_efficientnet", "an EfficientNet"),
    ("efficientnet", "an EfficientNet"),
    ("efficientformer", "an EfficientFormer"),
    ("efficientvit", "an EfficientViT of MIT"),
    ("mobilenet", "a MobileNet"),
    ("tf_mobilenet", "a MobileNet"),
    ("mobilevit", "a MobileViT"),
    ("siglip", "a SigLIP"),
    ("dinov3", "a DINOv3"),
    ("cait", "a CaiT"),
    ("xcit", "a XCiT"),
    ("maxvit", "a MaxViT"),
    ("maxxvit", "a MaxViT"),
    ("coatnet", "a CoAtNet"),
    ("coat_", "a CoaT"),
    ("pvt", "a Pyramid Vision Transformer (PVT)"),
    ("regnet", "a RegNet"),
    ("densenet", "a DenseNet"),
    ("vgg", "a VGG"),
    ("inception", "an Inception network"),
    ("resnext", "a ResNeXt"),
    ("wide_resnet", "a wide ResNet"),
    ("seresnet", "a ResNet with squeeze and excitation (SE-ResNet)"),
    ("ecaresnet", "an ECA-ResNet"),
    ("resnetv2", "a ResNet V2 (pre-activation)"),
    ("resnest", "a ResNeSt"),
    ("res2net", "a Res2Net"),
    ("mixer", "a MLP-Mixer"),
    ("eva02", "an EVA-02"),
    ("eva_", "an EVA"),
    ("levit", "a LeViT"),
    ("mvit", "a MViT"),
    ("volo", "a VOLO"),
    ("twins", "a Twins"),
    ("hiera", "a Hiera"),
    ("poolformer", "a PoolFormer"),
    ("beitv3", "a BEiT 3"),
    ("vit_mae", "a masked autoencoder"),
    ("segformer", "a SegFormer, which segments images"),
    ("detr", "a detector (DETR)"),
    ("yolos", "a detector (YOLOS)"),
    ("sam", "a Segment Anything model (SAM)"),
    ("videomae", "a model of videos"),
    ("timesformer", "a model of videos"),
    ("vivit", "a model of videos"),
    ("bert", "a language model"),
    ("gpt", "a language model"),
    ("llama", "a language model"),
    ("t5", "a language model"),
];

/// The unsupported architecture behind a name in a configuration, if any.
pub(super) fn by_name(name: &str) -> Option<&'static str> {
    let siglip = name.contains("siglip").then_some("a SigLIP");
    let dinov3 = name.contains("dinov3").then_some("a DINOv3");
    let start = || NAMES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, what)| *what);
    siglip.or(dinov3).or_else(start)
}
