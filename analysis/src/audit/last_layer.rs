//! The last layer's attention as an explanation.

use super::DepartureInfo;
use super::maps::{LOSS, MapDeparture};
use crate::attribution::{AttentionMap, Attribution, Rollout};

pub(super) static LAST_LAYER: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "last-layer",
        title: "attention of the last layer alone",
        paper: "attention is followed through all layers, because tokens mix in each",
        source: "Abnar and Zuidema, 2020, sections 2 and 3",
        popular: "the last layer's attention of the class token, mean over heads, is shown as what the model looks at",
        project: "demonstrations of DINO and many notebooks",
        measure: LOSS,
    },
    lacking: super::without_global_attention,
    paper: |bench| Rollout::USUAL.explain(&bench.evidence, &[]),
    popular: |bench| AttentionMap::USUAL.explain(&bench.evidence, &[]),
};
