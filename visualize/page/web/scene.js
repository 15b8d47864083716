// Scene: draws one figure on its floor into a part of the canvas. Skinning, shading and soft shadow run on the GPU.

const FIELD_OF_VIEW = 30, SHADOW_PIXELS = 512; // degrees from the lower to the upper edge of a picture
const LIGHT = [0.3, 1, 0.25]; // towards the lamp that throws the shadow
const BONE = 0.011, DOT = 1.3, HEAD = 2.2, GLOW = 1.7; // radius of a bone in sizes of the body; of dots in bones
const MOST_MARKS = 16; // contacts that glow on the floor at once
const BONE_NUMBERS = 10; // from [3], to [3], radius, colour [3]

const MESH_VERTEX = `#version 300 es
  in vec3 place; in vec3 normal; in uvec4 influences; in vec4 weights;
  uniform highp sampler2D pose; // a row a joint: three rows of its matrix, then its colour
  uniform vec3 low, span; uniform mat4 view, projection; uniform float ground;
  out vec3 shadingNormal, toEye, tint; out float height;
  void main() {
    vec4 rows[4] = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0));
    for (int i = 0; i < 4; i++)
      for (int row = 0; row < 4; row++)
        rows[row] += weights[i] * texelFetch(pose, ivec2(row, int(influences[i])), 0);
    vec4 rest = vec4(low + span * place, 1);
    vec4 world = vec4(dot(rows[0], rest), dot(rows[1], rest), dot(rows[2], rest), 1);
    vec3 turned = vec3(dot(rows[0].xyz, normal), dot(rows[1].xyz, normal), dot(rows[2].xyz, normal));
    vec4 seen = view * world;
    shadingNormal = mat3(view) * turned; toEye = -seen.xyz; tint = rows[3].rgb; height = world.y - ground;
    gl_Position = projection * seen;
  }`;

const MESH_FRAGMENT = `#version 300 es
  precision highp float;
  in vec3 shadingNormal, toEye, tint; in float height;
  uniform vec3 up; uniform float alpha, tall;
  out vec4 colour;
  void main() {
    vec3 n = normalize(shadingNormal), eye = normalize(toEye);
    float sky = 0.5 + 0.5 * dot(n, up), key = max(dot(n, normalize(vec3(-0.45, 0.6, 0.75))), 0.0);
    float rim = pow(1.0 - max(dot(n, eye), 0.0), 3.0), low = mix(0.86, 1.0, smoothstep(0.0, 0.25 * tall, height));
    float shine = pow(max(dot(n, normalize(eye + vec3(-0.35, 0.7, 0.7))), 0.0), 24.0);
    vec3 lit = tint * (0.50 + 0.22 * sky + 0.44 * key) * low + 0.10 * shine;
    colour = vec4(mix(lit, vec3(1), 0.16 * rim), alpha);
  }`;

const BONE_VERTEX = `#version 300 es
  in vec2 corner; in vec3 start; in vec3 end; in float radius; in vec3 hue;
  uniform mat4 view, projection; uniform float ground;
  out vec2 along; out float span, thick, height; out vec3 tint; out vec2 way;
  void main() {
    vec3 a = (view * vec4(start, 1)).xyz, b = (view * vec4(end, 1)).xyz;
    vec2 line = b.xy - a.xy; span = length(line); way = span > 1e-6 ? line / span : vec2(1, 0);
    vec2 aside = vec2(-way.y, way.x) * corner.y * radius, out_ = way * radius * (2.0 * corner.x - 1.0);
    vec3 seen = mix(a, b, corner.x) + vec3(aside + out_, 0);
    along = vec2(mix(-radius, span + radius, corner.x), corner.y * radius);
    thick = radius; tint = hue; height = mix(start.y, end.y, corner.x) - ground;
    gl_Position = projection * vec4(seen, 1);
  }`;

const BONE_FRAGMENT = `#version 300 es
  precision highp float;
  in vec2 along; in float span, thick, height; in vec3 tint; in vec2 way;
  uniform vec3 up; uniform float alpha, flat_;
  out vec4 colour;
  void main() {
    vec2 off = vec2(along.x - clamp(along.x, 0.0, span), along.y) / thick;
    float far = length(off), inside = clamp(0.5 + (1.0 - far) / max(fwidth(far), 1e-5), 0.0, 1.0);
    if (inside == 0.0) discard;
    vec3 n = vec3(way * off.x + vec2(-way.y, way.x) * off.y, sqrt(max(1.0 - far * far, 0.0)));
    float light = 0.62 + 0.18 * dot(n, up) + 0.32 * max(dot(n, normalize(vec3(-0.45, 0.6, 0.75))), 0.0);
    colour = vec4(tint * mix(light, 1.0, flat_), alpha * inside);
  }`;

// The shadow is as dark as what throws it is near the floor: feet stand firmly, heads cast a haze.
const SHADOW_FRAGMENT = `#version 300 es
  precision highp float;
  in float height; uniform float tall;
  out vec4 colour;
  void main() { colour = vec4(mix(0.34, 1.0, exp(-5.0 * max(height, 0.0) / tall)), 0, 0, 1); }`;

const FLOOR_VERTEX = `#version 300 es
  in vec2 corner; uniform mat4 view, projection; uniform vec2 middle; uniform float ground, reach;
  out vec2 spot;
  void main() {
    spot = middle + reach * (2.0 * vec2(corner.x, 0.5 + 0.5 * corner.y) - 1.0);
    gl_Position = projection * view * vec4(spot.x, ground, spot.y, 1);
  }`;

const FLOOR_FRAGMENT = `#version 300 es
  precision highp float;
  in vec2 spot; uniform vec2 middle, shadowMiddle; uniform float reach, shadowReach, cell, soft;
  uniform vec3 paper, floorColour, grid, shade, glow; uniform int marks; uniform vec3 mark[${MOST_MARKS}];
  uniform sampler2D shadow;
  out vec4 colour;
  float lines(float step, float width) {
    vec2 pixel = max(fwidth(spot), vec2(1e-6)), off = abs(fract(spot / step + 0.5) - 0.5) * step;
    vec2 on = clamp(0.5 + 0.5 * width - off / pixel, 0.0, 1.0) * (1.0 - smoothstep(0.1, 0.5, pixel / step));
    return max(on.x, on.y);
  }
  void main() {
    float far = clamp(length(spot - middle) / reach, 0.0, 1.0), clear = 1.0 - smoothstep(0.0, 1.0, far);
    colour = vec4(mix(floorColour, grid, max(0.75 * lines(cell, 1.0), 0.9 * lines(4.0 * cell, 1.4))), 1);
    for (int i = 0; i < marks; i++) {
      float near = length(spot - mark[i].xy) / mark[i].z;
      colour.rgb = mix(colour.rgb, glow, 0.75 * exp(-2.5 * near * near));
    }
    float dark = 0.0, total = 0.0;
    for (int i = 0; i < 24; i++) { // a disc of samples along a golden spiral
      float share = (float(i) + 0.5) / 24.0, turn = 2.399963 * float(i), weight = 1.0 - 0.7 * share;
      vec2 at = (spot - shadowMiddle + soft * sqrt(share) * vec2(cos(turn), sin(turn))) / shadowReach;
      dark += weight * texture(shadow, 0.5 + 0.5 * at).r, total += weight;
    }
    colour.rgb = mix(colour.rgb, shade, 0.62 * dark / total);
    colour.rgb = mix(paper, colour.rgb, clear);
  }`;

/** What draws on a canvas, or null where WebGL 2 is missing. */
function createScene(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: false, preserveDrawingBuffer: true });
  if (!gl) return null;
  const programs = {
    mesh: link(gl, MESH_VERTEX, MESH_FRAGMENT), meshShadow: link(gl, MESH_VERTEX, SHADOW_FRAGMENT),
    bone: link(gl, BONE_VERTEX, BONE_FRAGMENT), boneShadow: link(gl, BONE_VERTEX, SHADOW_FRAGMENT),
    floor: link(gl, FLOOR_VERTEX, FLOOR_FRAGMENT),
  };
  const corners = bufferOf(gl, new Float32Array([0, -1, 1, -1, 0, 1, 1, 1]));
  const pose = textureOf(gl, gl.NEAREST), shadow = textureOf(gl, gl.LINEAR);
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R8, SHADOW_PIXELS, SHADOW_PIXELS);
  const shadowTarget = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, shadowTarget);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, shadow, 0);
  const square = gl.createVertexArray();
  gl.bindVertexArray(square);
  attribute(gl, corners, 0, 2, gl.FLOAT);
  const bones = boneArray(gl, corners), path = boneArray(gl, corners), meshes = new Map();

  /** Draw `motion` at `time` into the rectangle `area` = [x, y, width, height] of pixels from below. */
  function draw({ motion, time, area, camera, mode, contacts, floor, colours }) {
    const { body } = motion, tall = body.size, posed = poseAt(motion, time), follow = followedAt(motion, time);
    const touching = body.order.filter((joint) => contacts && touches(motion, joint, time));
    const withMesh = body.mesh && mode !== "skeleton", withBones = !body.mesh || mode !== "mesh";
    uploadPose(gl, pose, motion, posed.skin, touching, colours);
    fillBones(gl, bones, boneRows(motion, posed.joints, touching, colours));
    if (withMesh && !meshes.has(body.mesh)) meshes.set(body.mesh, meshArray(gl, body.mesh));
    const shared = { ground: motion.floor, tall, pose: 0, low: body.mesh?.low, span: body.mesh?.span };
    const figure = (kind, uniforms) => {
      if (kind !== "bone") return drawMesh(programs[uniforms.shadow ? "meshShadow" : "mesh"], body.mesh, uniforms);
      return drawBones(programs[uniforms.shadow ? "boneShadow" : "bone"], bones, uniforms);
    };
    const shadowReach = motion.around + 0.5 * tall;
    if (floor) {
      gl.bindFramebuffer(gl.FRAMEBUFFER, shadowTarget);
      gl.viewport(0, 0, SHADOW_PIXELS, SHADOW_PIXELS);
      gl.disable(gl.SCISSOR_TEST);
      gl.clearColor(0, 0, 0, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.enable(gl.BLEND);
      gl.blendEquation(gl.MAX);
      const above = shadowCamera(follow, shadowReach, motion.floor);
      figure(withMesh ? "mesh" : "bone", { ...shared, ...above, shadow: true });
      gl.blendEquation(gl.FUNC_ADD);
      gl.disable(gl.BLEND);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(...area);
    gl.scissor(...area);
    gl.enable(gl.SCISSOR_TEST);
    gl.clearColor(...colours.paper, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    const eye = { ...shared, ...viewCamera(camera, area[2] / area[3]), alpha: 1, flat_: 0 };
    if (floor) drawFloor(motion, eye, camera, follow, shadowReach, touching, posed.joints, colours);
    if (withBones) {
      gl.enable(gl.SAMPLE_ALPHA_TO_COVERAGE);
      figure("bone", eye);
      gl.disable(gl.SAMPLE_ALPHA_TO_COVERAGE);
    }
    if (withMesh && withBones) { // glass: only the nearest surface, over the bones
      gl.clear(gl.DEPTH_BUFFER_BIT);
      gl.colorMask(false, false, false, false);
      figure("mesh", eye);
      gl.colorMask(true, true, true, true);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      gl.depthFunc(gl.LEQUAL);
      figure("mesh", { ...eye, alpha: 0.45 });
      gl.depthFunc(gl.LESS);
      gl.disable(gl.BLEND);
    } else if (withMesh) figure("mesh", eye);
    gl.disable(gl.DEPTH_TEST);
  }

  function drawMesh(program, mesh, uniforms) {
    setUniforms(gl, program, uniforms);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, pose);
    const { array, count, kind } = meshes.get(mesh);
    gl.bindVertexArray(array);
    gl.drawElements(gl.TRIANGLES, count, kind, 0);
  }

  function drawBones(program, { array, count }, uniforms) {
    setUniforms(gl, program, uniforms);
    gl.bindVertexArray(array);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count);
  }

  /** The floor around what the camera looks at: grid, shadow, glow below contacts, and the way that is walked. */
  function drawFloor(motion, eye, camera, follow, shadowReach, touching, joints, colours) {
    const tall = motion.body.size, reach = Math.max(3 * motion.around, 2.4 * tall, 0.6 * camera.distance);
    const markOf = (joint) => [joints[3 * joint], joints[3 * joint + 2], 0.085 * tall];
    const marks = touching.slice(0, MOST_MARKS).map(markOf);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, shadow);
    setUniforms(gl, programs.floor, {
      ...eye, middle: [camera.target[0], camera.target[2]], shadowMiddle: follow, reach, shadowReach, shadow: 0,
      cell: gridCell(tall), soft: 0.022 * tall, paper: colours.paper, floorColour: colours.floor, grid: colours.grid,
      shade: colours.shade, glow: colours.touch, marks: marks.length, mark: marks.flat(),
    });
    gl.bindVertexArray(square);
    gl.disable(gl.DEPTH_TEST);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    const rows = pathRows(motion, camera.target, reach, mix(colours.grid, colours.middle, 0.3), colours.paper);
    if (rows.length) {
      fillBones(gl, path, rows);
      gl.enable(gl.SAMPLE_ALPHA_TO_COVERAGE);
      drawBones(programs.bone, path, { ...eye, flat_: 1 });
      gl.disable(gl.SAMPLE_ALPHA_TO_COVERAGE);
    }
    gl.enable(gl.DEPTH_TEST);
  }

  return { gl, draw };
}

/** Rows of numbers for the bones and dots of joints that stand at `joints`. */
function boneRows(motion, joints, touching, colours) {
  const { body } = motion, radius = BONE * body.size, at = (joint) => [...joints.subarray(3 * joint, 3 * joint + 3)];
  const rows = [], touched = new Set(touching);
  for (const joint of body.order) {
    const parent = body.parents[joint], own = body.sides[joint];
    const side = own === "middle" && parent >= 0 ? body.sides[parent] : own;
    if (parent >= 0) rows.push(...at(parent), ...at(joint), radius, ...colours[side]);
  }
  for (const joint of body.order) {
    const size = body.joints[joint].toLowerCase() === "head" ? HEAD : DOT, glows = touched.has(joint);
    const colour = colours[glows ? "touch" : body.sides[joint]];
    rows.push(...at(joint), ...at(joint), radius * (glows ? GLOW : size), ...colour);
  }
  return rows;
}

/** Rows of numbers for the way over the floor, where a motion goes anywhere; it fades into the paper like the floor. */
function pathRows(motion, target, reach, colour, paper) {
  const { way, frames, body, floor } = motion, rows = [], step = Math.max(1, Math.round(motion.fps / 15));
  if (Math.hypot(motion.high[0] - motion.low[0], motion.high[2] - motion.low[2]) < 1.6 * body.size) return rows;
  for (let frame = 0; frame + step < frames; frame += step) {
    const [x, z] = way.subarray(2 * frame), [nextX, nextZ] = way.subarray(2 * (frame + step));
    const far = Math.hypot(x - target[0], z - target[2]) / reach;
    const faded = mix(colour, paper, far * far * (3 - 2 * far));
    if (far < 1) rows.push(x, floor, z, nextX, floor, nextZ, 0.006 * body.size, ...faded);
  }
  return rows;
}

/** The side of the small squares of the floor: 1, 2 or 5 times a power of ten, about a seventh of the body. */
function gridCell(size) {
  const decade = 10 ** Math.floor(Math.log10(size / 6));
  return decade * Math.max(...[1, 2, 5].filter((step) => step * decade <= 1.001 * size / 6));
}

/** Matrices (column by column) of an eye at `distance` from `target`, at azimuth from +z towards +x, in radians. */
function viewCamera({ azimuth, elevation, distance, target }, aspect) {
  const [sa, ca, se, ce] = [Math.sin(azimuth), Math.cos(azimuth), Math.sin(elevation), Math.cos(elevation)];
  const right = [ca, 0, -sa], above = [-se * sa, ce, -se * ca], back = [ce * sa, se, ce * ca];
  const dot = (axis) => axis[0] * target[0] + axis[1] * target[1] + axis[2] * target[2];
  const zoom = 1 / Math.tan(FIELD_OF_VIEW * Math.PI / 360), near = 0.05 * distance, far = 20 * distance;
  const view = [0, 1, 2].flatMap((axis) => [right[axis], above[axis], back[axis], 0]);
  view.push(-dot(right), -dot(above), -dot(back) - distance, 1);
  const depth = (near + far) / (near - far), shift = 2 * near * far / (near - far);
  const projection = [zoom / aspect, 0, 0, 0, 0, zoom, 0, 0, 0, 0, depth, -1, 0, 0, shift, 0];
  return { view, projection, up: [0, ce, se] };
}

/** Matrices that lay everything on the floor, away from the lamp, into the square around `middle`. */
function shadowCamera(middle, reach, ground) {
  const [x, , z] = LIGHT, view = [1, 0, 0, 0, -x, -z, 0, 0, 0, 1, 0, 0, x * ground, z * ground, 0, 1];
  const [left, down] = middle.map((value) => -value / reach);
  return { view, projection: [1 / reach, 0, 0, 0, 0, 1 / reach, 0, 0, 0, 0, 0, 0, left, down, 0, 1] };
}

function mix(a, b, share) {
  return a.map((value, i) => value + share * (b[i] - value));
}
