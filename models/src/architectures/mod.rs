//! The architectures, one folder each, and their list. A folder holds everything about its architecture: sizes, network, named
//! models, the names other libraries use for its arrays and sizes, how a checkpoint is recognised, its cost.

pub mod airbench;
pub mod beit;
pub mod cct;
pub mod clip;
mod contract;
pub mod efficientvit;
pub mod resnet;
pub mod resnet_cifar;
pub mod swin;
pub mod vit;
pub mod vit_comer;

use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

pub(crate) use self::contract::{Architecture, Entry, Sizes};
use crate::forward::ForwardPass;
use crate::spec::SpecError;

/// Tag in recipes and model cards, sizes, network, documentation.
macro_rules! architectures {
    ($($tag:literal: $name:ident($folder:ident::$sizes:ident, $network:ident), $doc:literal;)+) => {
        /// An architecture with its sizes.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "architecture")]
        pub enum NetworkSpec {
            $(#[doc = $doc] #[serde(rename = $tag)] $name($folder::$sizes),)+
        }

        /// One of the architectures.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant)] // one or two exist in a program
        pub enum Network {
            $(#[doc = $doc] $name($folder::$network),)+
        }

        /// In the order of their names in lists.
        pub(crate) const ALL: &[Entry] = &[$(Entry::of::<$folder::$sizes>($tag)),+];

        $(impl From<$folder::$sizes> for NetworkSpec {
            fn from(sizes: $folder::$sizes) -> Self {
                Self::$name(sizes)
            }
        })+

        impl NetworkSpec {
            pub(crate) fn sizes(&self) -> &dyn Sizes {
                match self {
                    $(Self::$name(sizes) => sizes,)+
                }
            }

            pub(crate) fn sizes_mut(&mut self) -> &mut dyn Sizes {
                match self {
                    $(Self::$name(sizes) => sizes,)+
                }
            }

            /// Applies the conventions of the library that wrote a file ([`Architecture::as_written`]).
            pub(crate) fn as_written(&mut self, found: &Self) {
                match (self, found) {
                    $((Self::$name(sizes), Self::$name(found)) => sizes.as_written(found),)+
                    _ => {}
                }
            }
        }

        impl Network {
            /// A network with placeholder weights.
            pub(crate) fn new(spec: &NetworkSpec, device: &Device) -> Result<Self, SpecError> {
                Ok(match spec {
                    $(NetworkSpec::$name(sizes) => Self::$name(sizes.build(device)?),)+
                })
            }

            /// Its forward pass.
            pub fn parts(&self) -> &dyn ForwardPass {
                match self {
                    $(Self::$name(network) => network,)+
                }
            }
        }
    };
}

// Files are matched from the last entry to the first: an architecture whose arrays are a subset of another's comes before it.
architectures! {
    "vit": Vit(vit::VitConfig, Vit), "Vision Transformer.";
    "beit": Beit(beit::BeitConfig, Beit), "BEiT.";
    "cct": Cct(cct::CctConfig, Cct), "Compact Convolutional Transformer.";
    "swin": Swin(swin::SwinConfig, Swin), "Swin Transformer.";
    "efficientvit": EfficientVit(efficientvit::EfficientVitConfig, EfficientVit), "EfficientViT of Microsoft Research.";
    "vit-comer": VitComer(vit_comer::VitComerConfig, VitComer), "ViT-CoMer.";
    "zero-shot": ZeroShot(clip::ZeroShotConfig, ZeroShot), "Image tower of CLIP with a prototype for each class.";
    "airbench": Airbench(airbench::AirbenchConfig, Airbench), "Convolutional network of airbench.";
    "resnet": Resnet(resnet::ResNetConfig, ResNet), "ImageNet-style residual network.";
    "cifar-resnet": CifarResnet(resnet_cifar::CifarResNetConfig, CifarResNet), "CIFAR-style residual network.";
}
