/**
 * What the server says, as types. Layers, heads and steps count from 1.
 *
 * @typedef {object} Attention How a transformer attends.
 * @property {number} layers
 * @property {number[]} heads Heads of each layer.
 * @property {[number, number][]} grids Rows and columns of patches of each layer.
 * @property {number} prefix Tokens before the patches.
 * @property {number[]} tokens Tokens of each layer.
 * @property {boolean} whole All matrices can be asked for in one piece.
 * @property {boolean} windows
 * @property {boolean} cascade
 * @property {string} read_out What the head reads, in words.
 *
 * @typedef {object} Verdict What a study found about a method on this model.
 * @property {number} score
 * @property {number} low
 * @property {number} high
 * @property {number} n
 * @property {boolean} higher_is_better
 * @property {string} metric
 * @property {string} over_random "yes", "no" or "cannot be told".
 * @property {string} over_centre
 * @property {string} source
 *
 * @typedef {{label: string, confirmed?: boolean, detail?: string}} Role
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {string} title
 * @property {string} describe
 * @property {string} weights Where its weights were read from, as typed.
 * @property {number} parameters
 * @property {number} image_size
 * @property {string[]} classes
 * @property {Attention|null} attention
 * @property {number} blocks
 * @property {string[]} methods
 * @property {Record<string, Verdict>} verdicts
 * @property {Role[][]|null} atlas
 *
 * @typedef {object} Method
 * @property {string} id
 * @property {string} title
 * @property {string} summary
 * @property {"explanation"|"baseline"} kind
 * @property {"tokens"|"pixels"} over
 * @property {boolean} signed
 * @property {boolean} targeted
 * @property {string} cost
 * @property {{citation: string, url: string}|null} paper
 *
 * @typedef {object} Attack
 * @property {string} id
 * @property {string} title
 * @property {string} summary
 * @property {string[]} norms
 * @property {number|null} steps
 * @property {string[]} losses
 * @property {boolean} restarts
 * @property {boolean} targeted
 * @property {"within"|"smallest"} goal
 *
 * @typedef {{id: string, title: string, unit: string, size: number, sizes: number[]}} Norm
 *
 * @typedef {object} Lab
 * @property {boolean} ready
 * @property {string} [opening]
 * @property {string} version
 * @property {string} device
 * @property {string} precision
 * @property {string} command
 * @property {string|null} run
 * @property {Model[]} models
 * @property {Method[]} methods
 * @property {Attack[]} attacks
 * @property {Norm[]} norms
 * @property {{count: number, name: string, labels: boolean}} images
 * @property {string} first
 * @property {{body: number, pixels: number}} limits
 *
 * @typedef {{id: string, name: string, label: string|null}} ImageName
 *
 * @typedef {object} ImageFacts
 * @property {string} id
 * @property {string} name
 * @property {string|null} label
 * @property {Record<string, number|null>} label_index
 * @property {number} width
 * @property {number} height
 * @property {string} hash
 *
 * @typedef {{class: number, name: string, probability: number, logit?: number}} Guess
 * @typedef {{logits: number[], probabilities: number[], top: Guess[], label: number|null}} Answer
 *
 * @typedef {{head: number, entropy: number, distance: number, sparsity: number, prefix_mass: number}} HeadNumbers
 * @typedef {{layers: {layer: number, grid: [number, number], heads: HeadNumbers[], even_distance?: number}[], even?: {distance: number}}} Heads
 *
 * @typedef {{data: Float32Array|Int32Array|Uint8Array, shape: number[]}} Tensor
 * @typedef {{arrays: Record<string, Tensor>, meta: any}} Arrays
 *
 * @typedef {[number, number]|null} Query Place of the query as shares of height and width; `null` is the read-out.
 */
export {};
