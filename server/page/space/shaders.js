/** A slab stands across the axis of layers: its corners lie in the plane of y and z. */
export const VERTEX = `#version 300 es
in vec2 corner;
in vec3 offset;
in vec4 kind;            // slice of the array of maps (−1: the picture), chosen, rows, columns
uniform mat4 camera;
uniform float side;
out vec2 at;
flat out vec4 what;
void main() {
  at = corner;
  what = kind;
  gl_Position = camera * vec4(offset + vec3(0.0, (0.5 - corner.y) * side, (corner.x - 0.5) * side), 1.0);
}`;

/** Colour by value, see-through where little is read; the query's patch and the chosen head have a frame. */
export const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2DArray;
in vec2 at;
flat in vec4 what;
uniform sampler2DArray maps;
uniform sampler2D colors;
uniform sampler2D picture;
uniform vec2 query;      // shares of height and width; −1: the read-out
out vec4 color;
void main() {
  if (what.x < 0.0) {
    color = vec4(texture(picture, at).rgb, 1.0);
  } else {
    float value = texture(maps, vec3(at, what.x)).r;
    color = vec4(texture(colors, vec2(value, 0.5)).rgb, 0.16 + 0.84 * value);
  }
  if (query.x >= 0.0) {
    vec2 grid = what.wz;
    vec2 cell = fract(at * grid);
    bool inside = all(equal(floor(at * grid), floor(query.yx * grid)));
    if (inside && (min(cell.x, cell.y) < 0.16 || max(cell.x, cell.y) > 0.84)) color = vec4(1.0);
  }
  vec2 edge = min(at, 1.0 - at);
  float width = what.y > 0.5 ? 0.035 : 0.008;
  if (min(edge.x, edge.y) < width) color = what.y > 0.5 ? vec4(1.0) : vec4(0.62, 0.66, 0.72, 0.65);
  color.rgb *= color.a;
}`;
