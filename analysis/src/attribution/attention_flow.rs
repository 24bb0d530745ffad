//! Attention flow (Abnar & Zuidema, 2020, section 3): the most that can flow from each patch to the output through the attention
//! of all layers, taken as pipes.

use std::collections::VecDeque;

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution};
use crate::attention::AttentionMaps;
use crate::{AnalysisError, Paper};

/// The maximum flow from the tokens that are read, each a source of its share, to each patch of the first layer. The pipe between a
/// token of one layer and one of the layer before has the capacity of its entry in `(A + I) / 2`, A the mean over heads. Patches
/// share pipes, so that the flows do not add up to one.
#[derive(Clone, Copy, Debug)]
pub struct AttentionFlow;

static ATTENTION_FLOW: MethodInfo = MethodInfo {
    id: "attention-flow",
    title: "attention flow",
    summary: "the most that flows from each patch to the output, attention taken as pipes",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Abnar and Zuidema, 2020", url: "https://arxiv.org/abs/2005.00928" }),
    needs: &[Capability::Attention, Capability::OneStream, Capability::SmallGrid],
    depends_on_class: false,
    signed: false,
    resolution: Resolution::Patches,
    cost: Cost::Hundreds,
};

impl Attribution for AttentionFlow {
    fn info(&self) -> &'static MethodInfo {
        &ATTENTION_FLOW
    }

    fn explain(&self, evidence: &Evidence, _: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        let maps = evidence.attention()?;
        Ok((0..maps.images).map(|image| flow(maps, image)).collect())
    }
}

fn flow(maps: &AttentionMaps, image: usize) -> Heatmap {
    let site = &maps.layers[0].site;
    let (tokens, prefix) = (site.tokens(), site.prefix.count());
    let depth = maps.layers.len();
    // Node `layer · tokens + token` is a token before the layer counted from 0; the source comes last.
    let source = (depth + 1) * tokens;
    let mut pipes = Network::new(source + 1);
    for (token, share) in site.read_out_weights().into_iter().enumerate() {
        pipes.connect(source, depth * tokens + token, share);
    }
    for (layer, of_layer) in maps.layers.iter().enumerate() {
        let heads = of_layer.heads;
        for (query, key) in (0..tokens).flat_map(|query| (0..tokens).map(move |key| (query, key))) {
            let weight = |head: usize| f64::from(of_layer.head(image, 0, head)[query * tokens + key]);
            let mean = (0..heads).map(weight).sum::<f64>() / heads as f64;
            let own = if query == key { 1.0 } else { 0.0 };
            pipes.connect((layer + 1) * tokens + query, layer * tokens + key, (mean + own) / 2.0);
        }
    }
    let [rows, columns] = site.grid;
    let of_patch = |patch: usize| pipes.clone().maximum_flow(source, prefix + patch) as f32;
    Heatmap::new(rows, columns, (0..rows * columns).map(of_patch).collect())
}

/// What is left below this is rounding.
const NOTHING: f64 = 1e-12;

/// Directed pipes with what each can still take; a pipe's partner in the other direction is its number with the last bit flipped.
#[derive(Clone, Debug)]
struct Network {
    /// Numbers of the pipes that leave each node.
    leaving: Vec<Vec<usize>>,
    /// Where each pipe ends, and what it can still take.
    pipes: Vec<(usize, f64)>,
}

impl Network {
    fn new(nodes: usize) -> Self {
        Self { leaving: vec![Vec::new(); nodes], pipes: Vec::new() }
    }

    fn connect(&mut self, from: usize, to: usize, capacity: f64) {
        if capacity <= NOTHING {
            return;
        }
        for (from, to, capacity) in [(from, to, capacity), (to, from, 0.0)] {
            self.leaving[from].push(self.pipes.len());
            self.pipes.push((to, capacity));
        }
    }

    /// Dinic's algorithm (1970): blocking flows along shortest ways.
    fn maximum_flow(&mut self, source: usize, sink: usize) -> f64 {
        let mut total = 0.0;
        loop {
            let distances = self.distances(source);
            if distances[sink] == usize::MAX {
                return total;
            }
            let mut tried = vec![0; self.leaving.len()];
            loop {
                let pushed = self.push(source, sink, f64::INFINITY, &distances, &mut tried);
                if pushed <= NOTHING {
                    break;
                }
                total += pushed;
            }
        }
    }

    /// Pipes from the source to each node on the shortest way that can still take something.
    fn distances(&self, source: usize) -> Vec<usize> {
        let mut distances = vec![usize::MAX; self.leaving.len()];
        distances[source] = 0;
        let mut queue = VecDeque::from([source]);
        while let Some(node) = queue.pop_front() {
            for &pipe in &self.leaving[node] {
                let (to, left) = self.pipes[pipe];
                if left > NOTHING && distances[to] == usize::MAX {
                    distances[to] = distances[node] + 1;
                    queue.push_back(to);
                }
            }
        }
        distances
    }

    /// What one more way from `node` to the sink takes, at most `most`; `tried` is the first pipe of each node that may still lead
    /// there.
    fn push(&mut self, node: usize, sink: usize, most: f64, distances: &[usize], tried: &mut [usize]) -> f64 {
        if node == sink {
            return most;
        }
        while let Some(&pipe) = self.leaving[node].get(tried[node]) {
            let (to, left) = self.pipes[pipe];
            if left > NOTHING && distances[to] == distances[node] + 1 {
                let pushed = self.push(to, sink, most.min(left), distances, tried);
                if pushed > NOTHING {
                    self.pipes[pipe].1 -= pushed;
                    self.pipes[pipe ^ 1].1 += pushed;
                    return pushed;
                }
            }
            tried[node] += 1;
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Cormen et al., Introduction to Algorithms, figure 26.1: a flow of 23.
    #[test]
    fn a_known_network_takes_what_its_smallest_cut_lets_through() {
        let mut network = Network::new(6);
        for (from, to, capacity) in [
            (0, 1, 16.0),
            (0, 2, 13.0),
            (1, 3, 12.0),
            (2, 1, 4.0),
            (3, 2, 9.0),
            (2, 4, 14.0),
            (4, 3, 7.0),
            (3, 5, 20.0),
            (4, 5, 4.0),
        ] {
            network.connect(from, to, capacity);
        }
        assert_eq!(network.maximum_flow(0, 5), 23.0);
    }
}
