//! Attention as it stands: what one layer's heads send to the tokens that are read.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution};
use crate::AnalysisError;

/// The weights with which one layer gathers from each patch, on that layer's grid. No explanation by itself: what a token gathers in
/// one layer has been mixed in all layers before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttentionMap {
    /// Numbered from 1; `None` is the last. One that is not there panics.
    pub layer: Option<usize>,
    /// Numbered from 1; `None` is the mean over heads. One that is not there panics.
    pub head: Option<usize>,
    /// Who gathers.
    pub query: Query,
}

/// Whose row of an attention matrix is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Query {
    /// The tokens that the model's head reads, each by its share.
    #[default]
    ReadOut,
    /// The token at this position, from 0, prefix tokens first.
    Token(usize),
}

impl AttentionMap {
    /// The last layer, the mean over its heads, towards what is read.
    pub const USUAL: Self = Self { layer: None, head: None, query: Query::ReadOut };
}

static ATTENTION: MethodInfo = MethodInfo {
    id: "attention",
    title: "attention",
    summary: "what the last layer's heads send to the tokens that are read, on average",
    kind: Kind::Explanation,
    paper: None,
    needs: &[Capability::Attention],
    depends_on_class: false,
    signed: false,
    resolution: Resolution::LastLayer,
    cost: Cost::Shared,
};

impl Attribution for AttentionMap {
    fn info(&self) -> &'static MethodInfo {
        &ATTENTION
    }

    fn explain(&self, evidence: &Evidence, _: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        let maps = evidence.attention()?;
        let layer = self.layer.unwrap_or(maps.layers.len()) - 1;
        let of_layer = &maps.layers[layer];
        let shares = match self.query {
            Query::ReadOut => of_layer.site.read_out_weights(),
            Query::Token(token) => {
                (0..of_layer.tokens()).map(|at| f64::from(u8::from(at == token))).collect()
            }
        };
        let heads = match self.head {
            Some(head) => head - 1..head,
            None => 0..of_layer.heads,
        };
        let of_image = |image: usize| {
            let all: Vec<Heatmap> =
                heads.clone().map(|head| maps.map_towards(layer, image, head, &shares)).collect();
            let mean = |place: usize| {
                let sum: f64 = all.iter().map(|map| f64::from(map.values[place])).sum();
                (sum / all.len() as f64) as f32
            };
            Heatmap::new(all[0].height, all[0].width, (0..all[0].values.len()).map(mean).collect())
        };
        Ok((0..maps.images).map(of_image).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, explained};

    #[test]
    fn a_layer_a_head_and_a_query_are_a_row_of_the_matrix() {
        let fixture = Fixture::load();
        let (vit, images) = (fixture.vit(), fixture.images());
        let maps = crate::attention::AttentionMaps::record(&vit, images.clone()).unwrap();
        let chosen = AttentionMap { layer: Some(2), head: Some(3), query: Query::Token(5) };
        let found = explained(&chosen, &vit, images, None);
        for (image, map) in found.iter().enumerate() {
            assert_eq!(map.values, maps.layers[1].head(image, 0, 2)[5 * 17 + 1..6 * 17]);
        }
    }
}
